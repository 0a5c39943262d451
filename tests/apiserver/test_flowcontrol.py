"""Priority and fairness: who falls under what, who gets a seat, who waits, who is turned away."""

import asyncio

import pytest

from skiff.apiserver import requestinfo
from skiff.apiserver.flowcontrol import classify, controller, defaults
from skiff.apiserver.flowcontrol.fairqueue import Level, Pool, Rejected, Settings, deal, settings_of
from skiff.apiserver.flowcontrol.filter import FlowControl
from skiff.testing import run
from skiff.wire.messages import Response, UserInfo

KUBE_SYSTEM = "system:serviceaccount:kube-system:x"


def user(name, *groups):
    return UserInfo(name, (*groups, "system:authenticated"))


@pytest.mark.parametrize(
    "who, method, path, schema",
    [
        pytest.param(user("admin", "system:masters"), "GET", "/api/v1/pods", "exempt", id="masters"),
        pytest.param(user("eve"), "GET", "/healthz", "probes", id="probes"),
        pytest.param(
            user("system:node:n", "system:nodes"),
            "PATCH",
            "/api/v1/nodes/n/status",
            "system-node-high",
            id="node status",
        ),
        pytest.param(user("system:node:n", "system:nodes"), "GET", "/api/v1/pods", "system-nodes", id="nodes"),
        pytest.param(
            user("system:kube-scheduler"),
            "PUT",
            "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/x",
            "system-leader-election",
            id="election",
        ),
        pytest.param(user("system:kube-scheduler"), "GET", "/api/v1/pods", "kube-scheduler", id="scheduler"),
        pytest.param(
            user(KUBE_SYSTEM, "system:serviceaccounts"),
            "GET",
            "/api/v1/pods",
            "kube-system-service-accounts",
            id="accounts of kube-system",
        ),
        pytest.param(
            user("system:serviceaccount:a:b", "system:serviceaccounts"),
            "GET",
            "/api/v1/pods",
            "service-accounts",
            id="accounts",
        ),
        pytest.param(user("alice"), "GET", "/api/v1/pods", "global-default", id="people"),
        pytest.param(user("alice"), "GET", "/version", "global-default", id="paths"),
    ],
)
def test_classes(who, method, path, schema):
    assert FlowControl().classify(who, requestinfo.parse(method, path)).schema.name == schema


def test_mandatory_objects_stand_in_when_nothing_is_configured():
    flow = FlowControl()
    flow.configure([], [])
    assert flow.classify(user("alice"), requestinfo.parse("GET", "/version")).schema.name == "catch-all"
    assert set(flow.levels) == {"exempt", "catch-all"}


def test_hands_are_distinct_and_follow_the_hash():
    assert deal(0, 8, 3) == [0, 1, 2]
    for entropy in range(0, 10**9, 7654321):
        hand = deal(entropy, 64, 6)
        assert len(set(hand)) == 6
        assert all(0 <= card < 64 for card in hand)


def level(seats, **more):
    pool = Pool()
    made = Level("l", Settings(seats, borrow=0, **more), pool)
    pool.levels = [made]
    return made


def test_without_queues_what_does_not_fit_is_rejected():
    one = level(2)
    one.enter(1, 0)
    ticket = one.enter(1, 0)
    with pytest.raises(Rejected, match="concurrency-limit"):
        one.enter(1, 0)
    one.leave(ticket, 1)
    assert one.enter(1, 0).running


def test_a_full_queue_rejects():
    one = level(1, queues=1, hand=1, length=2)
    one.enter(1, 0)
    assert not one.enter(1, 0).running
    one.enter(1, 0)
    with pytest.raises(Rejected, match="queue-full"):
        one.enter(1, 0)
    assert one.rejected == {"queue-full": 1}


def test_flows_take_turns_however_many_requests_one_sends():
    one = level(1, queues=2, hand=1, length=100)
    running = one.enter(1, 0)
    started = []
    for flow, count in ((0, 6), (1, 3)):
        for _ in range(count):
            ticket = one.enter(1, flow)
            ticket.start = lambda t=ticket: started.append(t)
    while running is not None:
        before = len(started)
        one.leave(running, 0.005)
        running = started[before] if len(started) > before else None
    assert [t.flow for t in started] == [0, 1, 0, 1, 0, 1, 0, 0, 0]


def test_a_flow_with_slow_requests_gets_fewer():
    one = level(1, queues=2, hand=1, length=100)
    running = one.enter(1, 0)
    started = []
    for flow in (0, 1):
        for _ in range(10):
            ticket = one.enter(1, flow)
            ticket.start = lambda t=ticket: started.append(t)
    for _ in range(10):
        before = len(started)
        one.leave(running, 0.020 if running.flow == 0 else 0.005)
        running = started[before]
    assert sum(t.flow == 1 for t in started) > 5


def test_idle_seats_are_lent_and_come_back():
    pool = Pool()
    lender = Level("lender", Settings(4, lendable=2), pool)
    borrower = Level("borrower", Settings(1, queues=1, length=10), pool)
    pool.levels = [lender, borrower]
    assert [borrower.enter(1, 0).running for _ in range(4)] == [True, True, True, False]
    owns = [lender.enter(1, 0) for _ in range(4)]
    assert all(t.running for t in owns)
    lender.leave(owns[0], 1)
    lender.leave(owns[1], 1)
    assert borrower.waiting == 1, "two are lent already"


def test_a_request_wider_than_the_level_runs_alone():
    one = level(2, queues=1, length=5)
    wide = one.enter(5, 0)
    assert wide.running
    assert not one.enter(1, 0).running
    one.leave(wide, 1)
    assert one.waiting == 0


@pytest.mark.parametrize(
    "name, nominal",
    [
        pytest.param("system", 74, id="system"),
        pytest.param("workload-low", 245, id="workload-low"),
        pytest.param("catch-all", 13, id="catch-all"),
    ],
)
def test_seats_follow_shares_as_upstream_rounds_them(name, nominal):
    spec = next(o for o in defaults.levels() if o["metadata"]["name"] == name)["spec"]
    assert settings_of(spec, 600, 245).nominal == nominal


def test_who_waits_too_long_is_told_to_come_back():
    async def scenario():
        flow = FlowControl(seats=1, wait_s=15)
        flow.configure([tiny(queues=1)], defaults.schemas()[-1:])
        info, alice = requestinfo.parse("GET", "/api/v1/pods"), user("alice")

        async def slow():
            await asyncio.sleep(100)
            return Response(200)

        async def quick():
            return Response(200)

        first = asyncio.create_task(flow.run(flow.classify(alice, info), info, slow()))
        await asyncio.sleep(0)
        started = asyncio.get_running_loop().time()
        second = await flow.run(flow.classify(alice, info), info, quick())
        waited = asyncio.get_running_loop().time() - started
        cancelled = asyncio.create_task(flow.run(flow.classify(alice, info), info, quick()))
        await asyncio.sleep(1)
        cancelled.cancel()
        await asyncio.gather(cancelled, return_exceptions=True)
        third = flow.run(flow.classify(alice, info), info, quick())
        third = asyncio.create_task(third)
        await asyncio.sleep(80)
        return waited, second, await first, await third, flow.levels["catch-all"].used, "\n".join(flow.render())

    waited, second, first, third, used, text = run(scenario())
    labels = 'flow_schema="catch-all",priority_level="catch-all"'
    assert f"apiserver_flowcontrol_dispatched_requests_total{{{labels}}} 1" in text
    assert f'apiserver_flowcontrol_rejected_requests_total{{{labels},reason="time-out"}} 2' in text
    assert f'request_wait_duration_seconds_count{{execute="false",{labels}}} 3' in text
    assert f"apiserver_flowcontrol_current_inqueue_requests{{{labels}}} 0" in text
    assert waited == pytest.approx(15)
    assert (second.status, second.headers["Retry-After"]) == (429, "1")
    assert second.body == b"Too many requests, please try again later.\n"
    assert first.status == 200
    assert third.status == 429
    assert used == 0


def tiny(queues):
    (found,) = [o for o in defaults.levels() if o["metadata"]["name"] == "catch-all"]
    response = {"type": "Queue", "queuing": {"queues": queues, "handSize": 1, "queueLengthLimit": 10}}
    spec = {**found["spec"], "limited": {**found["spec"]["limited"], "limitResponse": response}}
    return {**found, "spec": spec}


def test_headers_name_the_objects():
    async def scenario():
        flow = FlowControl()
        schemas = [
            {**o, "metadata": {**o["metadata"], "uid": o["metadata"]["name"] + "-s"}} for o in defaults.schemas()
        ]
        levels = [{**o, "metadata": {**o["metadata"], "uid": o["metadata"]["name"] + "-l"}} for o in defaults.levels()]
        flow.configure(levels, schemas)

        async def answer():
            return Response(200)

        info = requestinfo.parse("GET", "/version")
        return await flow.run(flow.classify(user("alice"), info), info, answer())

    headers = run(scenario()).headers
    assert headers["X-Kubernetes-PF-FlowSchema-UID"] == "global-default-s"
    assert headers["X-Kubernetes-PF-PriorityLevel-UID"] == "global-default-l"


def changed(obj, annotation, generation=2, **spec):
    meta = {**obj["metadata"], "generation": generation, "annotations": {defaults.AUTOUPDATE: annotation}}
    return {**obj, "metadata": meta, "spec": {**obj["spec"], **spec}}


@pytest.mark.parametrize(
    "name, annotation, needed",
    [
        pytest.param("exempt", "true", True, id="a mandatory one is put right"),
        pytest.param("exempt", "false", True, id="whatever its annotation says"),
        pytest.param("system-nodes", "true", True, id="a suggested one that follows"),
        pytest.param("system-nodes", "false", False, id="a suggested one that an operator owns"),
    ],
)
def test_what_is_put_right(name, annotation, needed):
    wanted = next(o for o in defaults.schemas() if o["metadata"]["name"] == name)
    found = changed(wanted, annotation, matchingPrecedence=7)
    assert controller.needs_update(found, wanted) is needed
    if needed:
        fixed = controller.updated(found, wanted)
        assert fixed["spec"] == wanted["spec"]
        assert fixed["metadata"]["annotations"][defaults.AUTOUPDATE] == "true"


def test_schemas_of_one_precedence_go_by_name():
    schemas = [classify.compile_schema(o) for o in defaults.schemas()]
    names = [s.name for s in classify.ordered(schemas)]
    assert names.index("kube-controller-manager") + 1 == names.index("kube-scheduler")
    assert names[0] == "exempt"
    assert names[-1] == "catch-all"


def test_a_dangling_schema_says_so():
    schema = defaults.schemas()[-1]
    assert controller.dangling(schema, False)["reason"] == "NotFound"
    assert controller.dangling(schema, True)["status"] == "False"


@pytest.mark.parametrize(
    "who, path, code",
    [
        pytest.param(user("alice"), "/version", 429, id="one too many"),
        pytest.param(user("admin", "system:masters"), "/version", 200, id="masters are let in"),
    ],
)
def test_without_flow_control_requests_are_counted(api, who, path, code):
    async def scenario(call):
        call.server.in_flight = (1, 1)
        call.server.metrics.reading = 1  # another one is being answered
        call.user = who
        return await call("GET", path)

    assert api(scenario).status == code
