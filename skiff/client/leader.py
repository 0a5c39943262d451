"""Leader election over a Lease: of several replicas of a component one works, another takes over when it falls silent.

Upstream's semantics: a candidate takes the lease when it is free, its own, or has not changed for `lease_duration_s` of the
candidate's own clock (so clocks need not agree); the leader renews every `retry_period_s` and stops leading when it could
not for `renew_deadline_s`. Source: client-go tools/leaderelection; figures: kube-controller-manager's flags.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum

from skiff import env
from skiff.api.errors import StatusError, is_not_found
from skiff.api.gvr import LEASES
from skiff.api.types import Obj
from skiff.client.rest import Client

log = logging.getLogger(__name__)

JITTER = 1.2


class LeadershipLost(Exception):
    """The lease could not be renewed in time: another replica may lead now. The process should end."""


class Step(Enum):
    RENEW = "renew"
    TAKE = "take"
    WAIT = "wait"


@dataclass(slots=True)
class Observed:
    """A lease as last read, and when (on our clock) it was first seen so."""

    spec: Obj
    at: float


def step(observed: Observed, identity: str, now: float) -> Step:
    """What a replica may do with a lease that exists."""
    holder = observed.spec.get("holderIdentity") or ""
    if holder == identity:
        return Step.RENEW
    if holder and now < observed.at + (observed.spec.get("leaseDurationSeconds") or 0):
        return Step.WAIT
    return Step.TAKE


class LeaderElector:
    """One candidate for the Lease `namespace/name`. Two processes must not share an identity unless they never run at
    the same time; a restarted process with its old identity leads again at once."""

    def __init__(
        self,
        client: Client,
        *,
        name: str,
        identity: str,
        namespace: str = "kube-system",
        lease_duration_s: float = 15,
        renew_deadline_s: float = 10,
        retry_period_s: float = 2,
    ):
        self.identity = identity
        self.leading = False
        self._client = client
        self._name = name
        self._namespace = namespace
        self._lease_duration_s = lease_duration_s
        self._renew_deadline_s = renew_deadline_s
        self._retry_period_s = retry_period_s
        self._lease: Obj | None = None
        self._observed = Observed({}, 0)

    async def run(self, lead: Callable[[], Awaitable[None]]) -> None:
        """Waits to become leader, then runs `lead` until it ends, the caller cancels (the lease is given back), or the
        lease is lost (LeadershipLost, after `lead` has been cancelled and has ended)."""
        log.info("waiting for the lease %s/%s as %s", self._namespace, self._name, self.identity)
        while not await self._try():  # noqa: ASYNC110 - the lease is on the other side, nothing here can tell
            await asyncio.sleep(self._retry_period_s * env.rng().uniform(1, 1 + JITTER))
        log.info("leading %s/%s as %s", self._namespace, self._name, self.identity)
        self.leading = True
        work = asyncio.ensure_future(lead())
        try:
            await self._renew_while(work)
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
            self.leading = False
            await self._release()

    async def _renew_while(self, work: "asyncio.Future[None]") -> None:
        loop = asyncio.get_running_loop()
        renewed = loop.time()
        while True:
            done, _ = await asyncio.wait({work}, timeout=self._retry_period_s)
            if done:
                return work.result()
            if await self._try(renewed + self._renew_deadline_s - loop.time()):
                renewed = loop.time()
            elif loop.time() - renewed >= self._renew_deadline_s:
                raise LeadershipLost(f"could not renew the lease {self._namespace}/{self._name}")

    async def _try(self, timeout_s: float | None = None) -> bool:
        """One attempt to take or renew; whether we hold the lease now."""
        try:
            async with asyncio.timeout(timeout_s):
                return await self._take_or_renew()
        except (StatusError, ConnectionError, TimeoutError) as e:
            self._lease = None  # read it again before the next write
            log.debug("lease %s/%s: %s", self._namespace, self._name, e)
            return False

    async def _take_or_renew(self) -> bool:
        if self._lease is None or self._observed.spec.get("holderIdentity") != self.identity:
            await self._read()
        if self._lease is None:
            meta = {"name": self._name, "namespace": self._namespace}
            lease = {"apiVersion": LEASES.api_version, "kind": LEASES.kind, "metadata": meta}
            self._saw(await self._client.create(LEASES, {**lease, "spec": self._spec(0)}))
            return True
        transitions = self._observed.spec.get("leaseTransitions") or 0
        match step(self._observed, self.identity, asyncio.get_running_loop().time()):
            case Step.WAIT:
                return False
            case Step.RENEW:
                spec = self._spec(transitions, self._observed.spec.get("acquireTime"))
            case Step.TAKE:
                spec = self._spec(transitions + 1)
        self._saw(await self._client.update(LEASES, {**self._lease, "spec": {**self._lease["spec"], **spec}}))
        return True

    async def _read(self) -> None:
        try:
            self._saw(await self._client.get(LEASES, self._name, self._namespace))
        except StatusError as e:
            if not is_not_found(e):
                raise
            self._lease = None

    def _saw(self, lease: Obj) -> None:
        self._lease = lease
        spec = lease.setdefault("spec", {})
        if spec != self._observed.spec:
            self._observed = Observed(spec, asyncio.get_running_loop().time())

    def _spec(self, transitions: int, acquired: str | None = None) -> Obj:
        now = _micro_time()
        return {
            "holderIdentity": self.identity,
            "leaseDurationSeconds": int(self._lease_duration_s),
            "acquireTime": acquired or now,
            "renewTime": now,
            "leaseTransitions": transitions,
        }

    async def _release(self) -> None:
        """Gives the lease back if it is still ours, so that the next one need not wait."""
        if self._lease is None or self._observed.spec.get("holderIdentity") != self.identity:
            return
        now = _micro_time()
        free = {"holderIdentity": "", "leaseDurationSeconds": 1, "acquireTime": now, "renewTime": now}
        try:
            async with asyncio.timeout(self._retry_period_s):
                await self._client.update(LEASES, {**self._lease, "spec": {**self._lease["spec"], **free}})
        except (StatusError, ConnectionError, TimeoutError) as e:
            log.debug("lease %s/%s not given back: %s", self._namespace, self._name, e)


def _micro_time() -> str:
    return env.now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
