"""Deletion: grace periods of pods, finalizers, propagation, preconditions. Source: upstream registry/rest/delete.go."""

import asyncio

import pytest

from skiff.testing.builders import configmap, deployment, pod

CM = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
MERGE = "application/merge-patch+json"


def test_answers_with_a_status(api):
    async def scenario(call):
        made = (await call("POST", CM, configmap("a"))).body
        return made, await call("DELETE", f"{CM}/a"), await call("GET", f"{CM}/a")

    made, deleted, gone = api(scenario)
    assert deleted.body == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": {"name": "a", "kind": "configmaps", "uid": made["metadata"]["uid"]},
    }
    assert gone.status == 404


RUNNING = {"status": {"phase": "Running"}}

GRACE = [
    pytest.param(pod("p"), {}, None, 404, None, id="not scheduled: at once"),
    pytest.param(pod("p", node="n"), {}, None, 200, 30, id="its own grace period"),
    pytest.param(pod("p", node="n", terminationGracePeriodSeconds=7), {}, None, 200, 7, id="a shorter one of its own"),
    pytest.param(pod("p", node="n"), {}, {"gracePeriodSeconds": 3}, 200, 3, id="as asked"),
    pytest.param(pod("p", node="n"), {}, {"gracePeriodSeconds": 0}, 404, None, id="none asked: at once"),
    pytest.param(pod("p", node="n"), {}, {"gracePeriodSeconds": -5}, 200, 1, id="negative: one second"),
    pytest.param(pod("p", node="n"), {"status": {"phase": "Succeeded"}}, None, 404, None, id="ended: at once"),
    pytest.param(pod("p", node="n"), {"status": {"phase": "Failed"}}, None, 404, None, id="failed: at once"),
]


@pytest.mark.parametrize("body, status, options, after, grace", GRACE)
def test_grace_period_of_a_pod(api, body, status, options, after, grace):
    async def scenario(call):
        await call("POST", PODS, body)
        await call("PATCH", f"{PODS}/p/status", status, type=MERGE)
        answer = await call("DELETE", f"{PODS}/p", options)
        assert (answer.status, answer.body["kind"]) == (200, "Pod")
        return await call("GET", f"{PODS}/p")

    answer = api(scenario)
    assert answer.status == after
    if after == 200:
        meta = answer.body["metadata"]
        assert meta["deletionGracePeriodSeconds"] == grace
        assert meta["deletionTimestamp"] == f"2026-01-01T00:00:{grace:02}Z"
        assert meta["generation"] == 2


SECOND = [
    pytest.param(None, 0, 30, "2026-01-01T00:00:30Z", id="without options: nothing changes"),
    pytest.param(60, 0, 30, "2026-01-01T00:00:30Z", id="longer: nothing changes"),
    pytest.param(10, 0, 10, "2026-01-01T00:00:10Z", id="shorter"),
    pytest.param(10, 20, 1, "2026-01-01T00:00:20Z", id="shorter than what has passed: one second from now"),
]


@pytest.mark.parametrize("grace, passed, expected, at", SECOND)
def test_second_deletion_only_shortens(api, grace, passed, expected, at):
    async def scenario(call):
        await call("POST", PODS, pod("p", node="n"))
        await call("DELETE", f"{PODS}/p")
        await asyncio.sleep(passed)
        await call("DELETE", f"{PODS}/p", None if grace is None else {"gracePeriodSeconds": grace})
        return (await call("GET", f"{PODS}/p")).body["metadata"]

    meta = api(scenario)
    assert (meta["deletionGracePeriodSeconds"], meta["deletionTimestamp"]) == (expected, at)


def test_the_kubelet_ends_a_pod_with_grace_zero(api):
    async def scenario(call):
        await call("POST", PODS, pod("p", node="n"))
        await call("DELETE", f"{PODS}/p")
        await call("DELETE", f"{PODS}/p", {"gracePeriodSeconds": 0})
        return (await call("GET", f"{PODS}/p")).status

    assert api(scenario) == 404


def with_finalizer(*finalizers):
    body = configmap("a")
    body["metadata"]["finalizers"] = list(finalizers)
    return body


def test_waits_for_the_last_finalizer(api):
    async def scenario(call):
        await call("POST", CM, with_finalizer("x.y/a", "x.y/b"))
        events = await call.send("GET", f"{CM}?watch=1&resourceVersion=0")
        marked = (await call("DELETE", f"{CM}/a")).body
        again = (await call("DELETE", f"{CM}/a")).body
        one = await call("PATCH", f"{CM}/a", {"metadata": {"finalizers": ["x.y/b"]}}, type=MERGE)
        more = await call("PATCH", f"{CM}/a", {"metadata": {"finalizers": ["x.y/b", "x.y/c"]}}, type=MERGE)
        last = await call("PATCH", f"{CM}/a", {"metadata": {"finalizers": None}}, type=MERGE)
        return marked, again, one, more, last, await call.read(events, 4), await call("GET", f"{CM}/a")

    marked, again, one, more, last, events, gone = api(scenario)
    assert marked["metadata"]["deletionTimestamp"]
    assert marked["metadata"]["deletionGracePeriodSeconds"] == 0
    assert again["metadata"]["resourceVersion"] == marked["metadata"]["resourceVersion"]
    assert (one.status, last.status, gone.status) == (200, 200, 404)
    assert more.status == 422
    assert "no new finalizers can be added if the object is being deleted" in more.body["message"]
    assert [t for t, _ in events] == ["ADDED", "MODIFIED", "MODIFIED", "DELETED"]


def test_a_pod_with_a_finalizer_stays_after_its_grace(api):
    async def scenario(call):
        body = pod("p", node="n")
        body["metadata"]["finalizers"] = ["x.y/a"]
        await call("POST", PODS, body)
        await call("DELETE", f"{PODS}/p")
        await call("DELETE", f"{PODS}/p", {"gracePeriodSeconds": 0})
        still = await call("GET", f"{PODS}/p")
        await call("PATCH", f"{PODS}/p", {"metadata": {"finalizers": None}}, type=MERGE)
        return still, await call("GET", f"{PODS}/p")

    still, gone = api(scenario)
    assert still.body["metadata"]["deletionGracePeriodSeconds"] == 0
    assert gone.status == 404


PROPAGATION = [
    pytest.param("?propagationPolicy=Foreground", None, ["foregroundDeletion"], id="foreground in the query"),
    pytest.param("", {"propagationPolicy": "Foreground"}, ["foregroundDeletion"], id="foreground in the body"),
    pytest.param("", {"propagationPolicy": "Orphan"}, ["orphan"], id="orphan"),
    pytest.param("", {"orphanDependents": True}, ["orphan"], id="orphan as it was said before"),
]


@pytest.mark.parametrize("query, options, finalizers", PROPAGATION)
def test_propagation_becomes_a_finalizer(api, query, options, finalizers):
    async def scenario(call):
        await call("POST", DEPLOYMENTS, deployment("d"))
        await call("DELETE", f"{DEPLOYMENTS}/d{query}", options)
        return (await call("GET", f"{DEPLOYMENTS}/d")).body["metadata"]

    meta = api(scenario)
    assert meta["finalizers"] == finalizers
    assert meta["deletionTimestamp"]
    assert meta["generation"] == 2


def test_background_deletes_at_once(api):
    async def scenario(call):
        await call("POST", DEPLOYMENTS, deployment("d"))
        answer = await call("DELETE", f"{DEPLOYMENTS}/d", {"propagationPolicy": "Background"})
        return answer.body["kind"], (await call("GET", f"{DEPLOYMENTS}/d")).status

    assert api(scenario) == ("Status", 404)


PRECONDITIONS = [
    pytest.param({"uid": "other"}, "the UID in the precondition (other) does not match the UID in record", id="uid"),
    pytest.param(
        {"resourceVersion": "1"}, "the ResourceVersion in the precondition (1) does not match", id="resourceVersion"
    ),
]


@pytest.mark.parametrize("conditions, message", PRECONDITIONS)
def test_preconditions(api, conditions, message):
    async def scenario(call):
        await call("POST", CM, configmap("a"))
        return await call("DELETE", f"{CM}/a", {"preconditions": conditions})

    answer = api(scenario)
    assert answer.status == 409
    assert message in answer.body["message"]
