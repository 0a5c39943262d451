"""Leader election (upstream: client-go tools/leaderelection)."""

import asyncio

import pytest

from skiff.api.gvr import LEASES
from skiff.client.leader import LeaderElector, LeadershipLost, Observed, Step, step
from tests.client.fakeapi import FakeApi

MINE = {"holderIdentity": "me", "leaseDurationSeconds": 15}
THEIRS = {"holderIdentity": "other", "leaseDurationSeconds": 15}


@pytest.mark.parametrize(
    "spec, now, expected",
    [
        pytest.param({}, 0, Step.TAKE, id="free"),
        pytest.param({"holderIdentity": "", "leaseDurationSeconds": 1}, 0, Step.TAKE, id="given back"),
        pytest.param(MINE, 100, Step.RENEW, id="our own, even if late"),
        pytest.param(THEIRS, 14.9, Step.WAIT, id="another's, fresh"),
        pytest.param(THEIRS, 15, Step.TAKE, id="another's, silent for its duration"),
    ],
)
def test_step(spec, now, expected):
    assert step(Observed(spec, 0), "me", now) is expected


@pytest.fixture
def leases() -> FakeApi:
    return FakeApi(LEASES)


def elector(api: FakeApi, identity: str) -> LeaderElector:
    return LeaderElector(api.client(), name="manager", identity=identity)


class Leading:
    """Who leads now, and that never two do."""

    def __init__(self) -> None:
        self.now: list[str] = []

    def as_(self, name: str):
        async def lead() -> None:
            self.now.append(name)
            assert len(self.now) == 1
            try:
                await asyncio.sleep(1e6)
            finally:
                self.now.remove(name)

        return lead


async def end(task: asyncio.Task) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.virtual
async def test_one_leads_and_gives_back_when_it_ends(leases: FakeApi):
    leading = Leading()
    a = asyncio.create_task(elector(leases, "a").run(leading.as_("a")))
    await asyncio.sleep(1)
    b = asyncio.create_task(elector(leases, "b").run(leading.as_("b")))
    await asyncio.sleep(100)
    assert leading.now == ["a"]
    await end(a)
    await asyncio.sleep(5)
    assert leading.now == ["b"]
    (lease,) = leases.objects.values()
    assert (lease["spec"]["holderIdentity"], lease["spec"]["leaseTransitions"]) == ("b", 1)
    await end(b)


@pytest.mark.virtual
async def test_a_silent_leader_is_followed_after_its_lease(leases: FakeApi):
    spec = {**THEIRS, "renewTime": "2026-01-01T00:00:00.000000Z", "leaseTransitions": 3}
    leases.put({"metadata": {"namespace": "kube-system", "name": "manager"}, "spec": spec})
    leading = Leading()
    task = asyncio.create_task(elector(leases, "me").run(leading.as_("me")))
    await asyncio.sleep(14.9)
    assert leading.now == []
    await asyncio.sleep(5)
    assert leading.now == ["me"]
    await end(task)


@pytest.mark.virtual
async def test_a_leader_that_cannot_renew_stops_within_its_deadline(leases: FakeApi):
    leading = Leading()
    task = asyncio.create_task(elector(leases, "me").run(leading.as_("me")))
    await asyncio.sleep(5)
    leases.fail = [ConnectionError("away")] * 100
    await asyncio.sleep(8)
    assert leading.now == ["me"]
    await asyncio.sleep(6)
    assert leading.now == []
    with pytest.raises(LeadershipLost):
        await task


@pytest.mark.virtual
async def test_a_short_outage_is_survived(leases: FakeApi):
    leading = Leading()
    task = asyncio.create_task(elector(leases, "me").run(leading.as_("me")))
    await asyncio.sleep(5)
    leases.fail = [ConnectionError("away")] * 3
    await asyncio.sleep(60)
    assert leading.now == ["me"]
    await end(task)


@pytest.mark.virtual
async def test_the_result_of_the_work_ends_the_election(leases: FakeApi):
    async def lead() -> None:
        await asyncio.sleep(3)
        raise ValueError("done for")

    with pytest.raises(ValueError, match="done for"):
        await elector(leases, "me").run(lead)
