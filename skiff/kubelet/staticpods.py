"""Static pods: manifests in a directory of the node run without the API; the API shows a mirror of each.

`complete` is pure. A pod's uid follows from its manifest, so a changed file is another pod. Source: Kubernetes docs, "Create
static Pods"; names and annotations are upstream's.
"""

import asyncio
import hashlib
import json
import logging
from pathlib import Path

from skiff import env
from skiff.api.errors import StatusError, is_already_exists, is_not_found
from skiff.api.gvr import PODS
from skiff.api.types import Obj
from skiff.client.rest import Client
from skiff.kubelet.options import Options
from skiff.kubelet.podmanager import PodManager
from skiff.kubelet.pods import HASH, MIRROR, SOURCE, micro_timestamp

log = logging.getLogger(__name__)


def complete(manifest: Obj, node_name: str, file: str) -> Obj:
    """The pod that a manifest means on a node. Raises ValueError for what is no pod."""
    if not isinstance(manifest, dict) or manifest.get("kind") != "Pod" or not isinstance(manifest.get("spec"), dict):
        raise ValueError("not a Pod")
    meta = dict(manifest.get("metadata") or {})
    if not meta.get("name") or not manifest["spec"].get("containers"):
        raise ValueError("a pod needs a name and containers")
    text = json.dumps([node_name, file, manifest], sort_keys=True, default=str)
    uid = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
    meta["name"] = f"{meta['name']}-{node_name.lower()}"
    meta["namespace"] = meta.get("namespace") or "default"
    meta["uid"] = uid
    meta["annotations"] = {**(meta.get("annotations") or {}), SOURCE: "file", HASH: uid}
    spec = {
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        **manifest["spec"],
    }
    spec["nodeName"] = node_name
    spec["containers"] = [dict(c) for c in spec["containers"]]
    forever = {"operator": "Exists", "effect": "NoExecute"}
    spec["tolerations"] = [*(spec.get("tolerations") or []), forever]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec, "status": {}}


def mirror_of(pod: Obj, owner_uid: str) -> Obj:
    """The object for the API."""
    meta = {k: v for k, v in pod["metadata"].items() if k != "uid"}
    digest = pod["metadata"]["annotations"][HASH]
    meta["annotations"] = {**meta["annotations"], MIRROR: digest}
    node_name = pod["spec"]["nodeName"]
    owner = {"apiVersion": "v1", "kind": "Node", "name": node_name, "uid": owner_uid, "controller": True}
    meta["ownerReferences"] = [owner]
    return {**pod, "metadata": meta}


def read_manifests(directory: str) -> dict[str, Obj]:
    """File name → manifest. Hidden files and those that cannot be read are left out, with a line in the log."""
    import yaml

    found = {}
    for path in sorted(Path(directory).iterdir()) if Path(directory).is_dir() else []:
        if path.name.startswith(".") or not path.is_file():
            continue
        try:
            found[path.name] = yaml.safe_load(path.read_bytes())
        except (OSError, yaml.YAMLError) as e:
            log.warning("manifest %s cannot be read: %s", path, e)
    return found


class StaticPods:
    """Looks at the directory now and then, and keeps the mirrors."""

    def __init__(self, *, client: Client, pods: PodManager, options: Options, node_name: str):
        self._client = client
        self._pods = pods
        self._options = options
        self._node_name = node_name
        self._seen: dict[str, tuple[float, int]] = {}
        self._known: dict[str, Obj] = {}

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            if self._changed():
                self._reload()
            try:
                await self._keep_mirrors()
            except (StatusError, ConnectionError) as e:
                log.warning("mirrors of static pods: %s", e)
            await asyncio.sleep(self._options.manifest_seconds)

    def _changed(self) -> bool:
        directory = Path(self._options.manifest_dir)
        seen = {}
        for path in directory.iterdir() if directory.is_dir() else []:
            try:
                info = path.stat()
            except FileNotFoundError:
                continue  # removed while we looked
            seen[path.name] = (info.st_mtime, info.st_size)
        changed = seen != self._seen
        self._seen = seen
        return changed

    def _reload(self) -> None:
        now: dict[str, Obj] = {}
        for file, manifest in read_manifests(self._options.manifest_dir).items():
            try:
                pod = complete(manifest, self._node_name, file)
            except ValueError as e:
                log.warning("manifest %s: %s", file, e)
                continue
            pod["metadata"]["annotations"]["kubernetes.io/config.seen"] = micro_timestamp(env.epoch())
            now[pod["metadata"]["uid"]] = pod
        for uid in set(self._known) - set(now):
            self._pods.drop(uid)
        for uid in set(now) - set(self._known):
            self._pods.put(now[uid])
        self._known = now

    async def _keep_mirrors(self) -> None:
        """Creates mirrors, replaces those of older manifests, removes those of files that are gone. Their statuses follow
        by themselves."""
        wanted = {p["metadata"]["annotations"][HASH]: p for p in self._known.values()}
        for mirror in self._pods.mirrors():
            digest = mirror["metadata"]["annotations"][MIRROR]
            if digest in wanted and not mirror["metadata"].get("deletionTimestamp"):
                del wanted[digest]
            else:
                await self._delete(mirror)
        node = self._pods.node()
        if node is None:
            return
        for pod in wanted.values():
            try:
                await self._client.create(PODS, mirror_of(pod, node["metadata"]["uid"]), pod["metadata"]["namespace"])
            except StatusError as e:
                if not is_already_exists(e):  # the watch is a moment behind
                    raise

    async def _delete(self, mirror: Obj) -> None:
        meta = mirror["metadata"]
        try:
            await self._client.delete(PODS, meta["name"], meta["namespace"], uid=meta["uid"], grace_seconds=0)
        except StatusError as e:
            if not is_not_found(e):
                raise
