"""The node lifecycle controller: watches heartbeats, writes Unknown conditions, taints, and unready pods.

Works per node and is woken by its heartbeats and by its deadline, so a silence is noticed when it is due, not at the
next round. Evicting pods for the taints is the taint eviction controller's. Source: upstream pkg/controller/nodelifecycle.
"""

from collections.abc import Iterable

from skiff import env
from skiff.api.errors import StatusError, is_not_found
from skiff.api.gvr import LEASES, NODES, PODS
from skiff.api.meta import name, namespace
from skiff.api.types import Obj
from skiff.client.controller import Key, Recorder, Watch
from skiff.client.informer import Change, Informers
from skiff.client.rest import Client
from skiff.controllers.common import indexes
from skiff.controllers.common.meta import status
from skiff.controllers.common.taints import UNREACHABLE
from skiff.controllers.nodelifecycle.health import (
    Health,
    Limits,
    deadline,
    has_no_execute,
    is_ready,
    missing_labels,
    next_taints,
    no_execute_key,
    observe,
    pod_not_ready,
    silent_conditions,
)
from skiff.controllers.nodelifecycle.zones import Rates, Zones

LEASE_NAMESPACE = "kube-node-lease"
MONITOR_PERIOD_S = 5.0


class NodeLifecycleController:
    name = "node-lifecycle-controller"
    workers = 8

    def __init__(
        self,
        *,
        client: Client,
        informers: Informers,
        recorder: Recorder,
        limits: Limits = Limits(),  # noqa: B008 - frozen
        rates: Rates = Rates(),  # noqa: B008 - frozen
    ):
        self._client = client
        self._recorder = recorder
        self._limits = limits
        self._nodes = informers.get(NODES)
        self._leases = informers.get(LEASES)
        self._pods = indexes.pods_by_node(informers)
        self._zones = Zones(rates)
        self._health: dict[str, Health] = {}
        self._started = False

    def watches(self) -> list[Watch]:
        return [Watch(NODES), Watch(LEASES, self._lease_renewed), Watch(PODS, lambda change: ())]

    def _lease_renewed(self, change: Change) -> Iterable[Key]:
        lease = change.object
        return [name(lease)] if namespace(lease) == LEASE_NAMESPACE else []

    async def reconcile(self, key: Key) -> float | None:
        self._start()
        node = self._nodes.get("", key)
        if node is None:
            self._forget(key)
            return None
        now = env.epoch()
        self._observe(node, now)
        due = deadline(node, self._health[key], self._limits)
        was_ready = is_ready(node)
        if due <= now and (conditions := silent_conditions(node, now)) is not None:
            changed = {**node, "status": {**status(node), "conditions": conditions}}
            node = await self._client.update(NODES, changed, subresource="status")
        if self._zones.note(node, is_ready(node)):
            self._see_again(now)
        if was_ready and not is_ready(node):
            text = f"Node {key} status is now: NodeNotReady"
            self._recorder.event(node, "Normal", "NodeNotReady", text)
        if no_execute_key(node) == UNREACHABLE:
            await self._unready_pods(key, now)
        again = await self._taint(node, now)
        if not is_ready(node):
            return min(again, MONITOR_PERIOD_S)
        return max(due - now, 0.0)

    def _start(self) -> None:
        """Once, with the cache full: zones must be known before the first verdict, or one lost node looks like all."""
        if self._started:
            return
        self._started = True
        for node in self._nodes.items():
            self._zones.note(node, is_ready(node))

    def _observe(self, node: Obj, now: float) -> None:
        key = name(node)
        before = self._health.get(key)
        if before is None:
            text = f"Node {key} event: Registered Node {key} in Controller"
            self._recorder.event(node, "Normal", "RegisteredNode", text)
        self._health[key] = observe(before, node, self._leases.get(LEASE_NAMESPACE, key), now)

    def _forget(self, key: Key) -> None:
        self._zones.forget(key)
        if self._health.pop(key, None) is not None:
            gone = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": key}}
            text = f"Node {key} event: Removing Node {key} from Controller"
            self._recorder.event(gone, "Normal", "RemovingNode", text)

    def _see_again(self, now: float) -> None:
        """We were blind: nobody's silence during that time counts."""
        self._health = {key: Health(now, h.heartbeat, h.renewed) for key, h in self._health.items()}

    async def _taint(self, node: Obj, now: float) -> float:
        """Seconds until another try would help."""
        wanted, present = no_execute_key(node), has_no_execute(node)
        wait = float("inf")
        if self._zones.blind:
            wanted = ""
        elif wanted and not present:
            wait = self._zones.seconds_until_eviction(node, now)
            wanted = "" if wait else wanted
        patch: Obj = {}
        if (taints := next_taints(node, wanted, now)) is not None:
            patch["spec"] = {"taints": taints}
        if labels := missing_labels(node):
            patch["metadata"] = {"labels": labels}
        if patch:
            version = {"resourceVersion": node["metadata"]["resourceVersion"]}
            patch["metadata"] = {**patch.get("metadata", {}), **version}
            await self._client.patch(NODES, name(node), patch)
        return wait

    async def _unready_pods(self, key: Key, now: float) -> None:
        for pod in indexes.on_node(self._pods, key):
            conditions = pod_not_ready(pod, now)
            if conditions is None:
                continue
            changed = {**pod, "status": {**status(pod), "conditions": conditions}}
            try:
                await self._client.update(PODS, changed, subresource="status")
            except StatusError as err:
                if is_not_found(err):
                    continue
                raise
            self._recorder.event(pod, "Warning", "NodeNotReady", "Node is not ready")
