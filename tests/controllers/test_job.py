"""Jobs: counting, verdicts, what to start. Source: upstream pkg/controller/job, job_controller_test.go for situations."""

import pytest

from skiff.controllers.job import indexes
from skiff.controllers.job.plan import next_status, plan, verdict
from skiff.controllers.job.policy import backoff_wait, failure_action, success_rule
from skiff.controllers.job.tally import FINALIZER, Tally, tally, written
from tests.controllers.builders import NOON, at, meta, pod

PARTS = [
    pytest.param("0-3,5,7-8", {0, 1, 2, 3, 5, 7, 8}, id="ranges"),
    pytest.param("", set(), id="none"),
    pytest.param("3-12,x,-", {3, 4, 5, 6, 7, 8, 9}, id="beyond the end and nonsense is left out"),
]


@pytest.mark.parametrize("text, expected", PARTS)
def test_parse_indexes(text, expected):
    assert indexes.parse(text, 10) == expected


def test_write_indexes():
    assert indexes.write({5, 0, 1, 2, 3, 7, 8}) == "0-3,5,7,8"
    assert indexes.write(set()) == ""
    assert indexes.missing(2, 5, {0, 2}) == [1, 3]


def job(status=None, **spec):
    fixed = {"parallelism": 2, "completions": 5, "backoffLimit": 6, "template": {"spec": {"restartPolicy": "Never"}}}
    return {"metadata": meta("j"), "spec": {**fixed, **spec}, "status": status or {"startTime": at(0)}}


def work(name, phase="Running", *, index=None, held=True, end=None, code=1, **more):
    notes = {} if index is None else {indexes.INDEX: str(index)}
    found = pod(name, phase=phase, finalizers=[FINALIZER] if held else [], annotations=notes, **more)
    if end is not None:
        done = {"terminated": {"exitCode": code, "finishedAt": at(end)}}
        found["status"]["containerStatuses"] = [{"name": "c", "state": done}]
    return found


def counted(found):
    return found.succeeded, found.failed, found.uncounted_succeeded, found.uncounted_failed


UNCOUNTED = {"succeeded": 1, "uncountedTerminatedPods": {"succeeded": ["uid-a", "uid-b"], "failed": ["uid-c"]}}
TALLIES = [
    pytest.param({}, [work("a", "Succeeded"), work("r")], (0, 0, ["uid-a"], []), ["a"], id="an end is noted first"),
    pytest.param({}, [work("a", "Failed")], (0, 0, [], ["uid-a"]), ["a"], id="a failure too"),
    pytest.param(
        {}, [work("a", "Succeeded", held=False)], (0, 0, [], []), [], id="without finalizer it was counted before"
    ),
    pytest.param(
        UNCOUNTED,
        [work("a", "Succeeded"), work("b", "Succeeded", held=False)],
        (2, 1, ["uid-a"], []),
        ["a"],
        id="noted ones become numbers when their finalizers are gone, pods that vanished too",
    ),
    pytest.param({}, [work("a", deletionTimestamp=at(0))], (0, 0, [], ["uid-a"]), ["a"], id="deleted counts as failed"),
]


@pytest.mark.parametrize("status, pods, expected, released", TALLIES)
def test_tally(status, pods, expected, released):
    found = tally(job(status), pods, (), ending=False)
    assert counted(found) == expected
    assert [p["metadata"]["name"] for p in found.release] == released


def test_every_end_counts_once_however_often_the_steps_are_repeated():
    """A crash between any two steps, a late cache: the numbers stay right."""
    pods = [work("a", "Succeeded"), work("b", "Failed")]
    status: dict = {}
    for _ in range(3):
        status = written(job(status), tally(job(status), pods, (), ending=False))
    assert status["uncountedTerminatedPods"] == {"succeeded": ["uid-a"], "failed": ["uid-b"]}
    pods = [work("a", "Succeeded", held=False), work("b", "Failed", held=False)]
    for _ in range(3):
        status = written(job(status), tally(job(status), pods, (), ending=False))
    assert status == {"uncountedTerminatedPods": {}, "succeeded": 1, "failed": 1}
    late = [work("a", "Succeeded"), work("b", "Failed")]
    found = tally(job(status), late, {"uid-a", "uid-b"}, ending=False)
    assert counted(found) == (1, 1, [], [])


def test_a_job_that_replaces_only_failed_pods_waits_for_their_end():
    found = tally(job(podReplacementPolicy="Failed"), [work("a", deletionTimestamp=at(0))], (), ending=False)
    assert counted(found) == (0, 0, [], [])


def test_indexes_count_once_each():
    given = job({"completedIndexes": "0", "succeeded": 1}, completionMode="Indexed")
    pods = [work("a", "Succeeded", index=0), work("b", "Succeeded", index=2), work("c", "Succeeded", index=9)]
    found = tally(given, pods, (), ending=False)
    assert (found.succeeded, found.completed) == (2, {0, 2})
    assert written(given, found) == {"uncountedTerminatedPods": {}, "succeeded": 2, "completedIndexes": "0,2"}


def outcome(given, pods, found=None):
    how = verdict(given, pods, found or tally(given, pods, (), ending=False), NOON + 100)
    return how and (how.type, how.reason)


FAILED = [work(f"f{n}", "Failed") for n in range(3)]
VERDICTS = [
    pytest.param(job(), [work("a")], None, id="goes on"),
    pytest.param(job({"succeeded": 5}), [], ("SuccessCriteriaMet", "CompletionsReached"), id="all completions"),
    pytest.param(job({"succeeded": 5}), [work("a")], None, id="not before the last pod has ended"),
    pytest.param(
        job(completions=None), [work("a", "Succeeded")], ("SuccessCriteriaMet", "CompletionsReached"), id="one of any"
    ),
    pytest.param(job(backoffLimit=2), FAILED, ("FailureTarget", "BackoffLimitExceeded"), id="too many failures"),
    pytest.param(job(backoffLimit=3), FAILED, None, id="as many failures as allowed"),
    pytest.param(job(activeDeadlineSeconds=100), [work("a")], ("FailureTarget", "DeadlineExceeded"), id="too long"),
    pytest.param(job(activeDeadlineSeconds=101), [work("a")], None, id="almost too long"),
]


@pytest.mark.parametrize("given, pods, expected", VERDICTS)
def test_verdict(given, pods, expected):
    assert outcome(given, pods) == expected


PLANS = [
    pytest.param(job(), [], [None, None], [], id="as many as may run side by side"),
    pytest.param(job({"succeeded": 4, "startTime": at(0)}), [], [None], [], id="no more than are left"),
    pytest.param(job(), [work("a"), work("b"), work("c")], [], 1, id="too many: one goes"),
    pytest.param(job(suspend=True), [work("a"), work("b")], [], 2, id="suspended: all go"),
    pytest.param(
        job(completions=None), [work("a"), work("s", "Succeeded")], [], [], id="after a success none is added"
    ),
    pytest.param(
        job(completionMode="Indexed"), [work("a", index=0), work("b", index=0)], [], ["b"], id="one pod per index"
    ),
    pytest.param(
        job({"completedIndexes": "0,2", "succeeded": 2, "startTime": at(0)}, completionMode="Indexed"),
        [work("a", index=1)],
        [3],
        [],
        id="the next free index",
    ),
]


@pytest.mark.parametrize("given, pods, create, delete", PLANS)
def test_plan(given, pods, create, delete):
    found = plan(given, pods, tally(given, pods, (), ending=False), NOON + 10)
    assert found.create == create
    assert (found.delete if isinstance(delete, list) else len(found.delete)) == delete


WAITS = [
    pytest.param([], 0, id="nothing has failed"),
    pytest.param([work("a", "Failed", end=0)], 7, id="10 s after the first"),
    pytest.param([work("a", "Failed", end=0), work("b", "Failed", end=1)], 18, id="20 s after the second in a row"),
    pytest.param([work("a", "Failed", end=0), work("s", "Succeeded", end=1)], 0, id="a success in between forgives"),
    pytest.param([work(f"{n}", "Failed", end=0) for n in range(12)], 597, id="ten minutes at most"),
]


@pytest.mark.parametrize("pods, expected", WAITS)
def test_backoff(pods, expected):
    assert backoff_wait(pods, NOON + 3) == expected


AGAIN = [
    pytest.param(job(), None, id="no deadline"),
    pytest.param(job(activeDeadlineSeconds=30), 20, id="when the deadline is over"),
    pytest.param(job(activeDeadlineSeconds=10), None, id="it is over: what changes next is told"),
    pytest.param(job(activeDeadlineSeconds=3), None, id="it is long over"),
]


@pytest.mark.parametrize("given, expected", AGAIN)
def test_when_a_job_is_looked_at_again(given, expected):
    pods = [work("a"), work("b")]
    assert plan(given, pods, tally(given, pods, (), ending=False), NOON + 10).again == expected


def test_a_failure_delays_the_next_pod():
    pods = [work("a", "Failed", end=0)]
    found = plan(job(), pods, tally(job(), pods, (), ending=False), NOON + 3)
    assert (found.create, found.again) == ([], 7)


RULES = {
    "rules": [
        {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42]}},
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
    ]
}


def test_failure_policy():
    given = job(podFailurePolicy=RULES)
    action, message = failure_action(given, work("a", "Failed", end=0, code=42))
    assert action == "FailJob"
    assert message == "Container c failed with exit code 42 for pod default/a matching FailJob rule at index 0"
    disrupted = work("b", "Failed", end=0)
    disrupted["status"]["conditions"].append({"type": "DisruptionTarget", "status": "True"})
    assert failure_action(given, disrupted) == ("Ignore", "")
    assert counted(tally(given, [disrupted], (), ending=False)) == (0, 0, [], []), "what is ignored does not count"
    assert failure_action(given, work("c", "Failed", end=0)) == ("Count", "")


def test_success_policy():
    given = job(successPolicy={"rules": [{"succeededIndexes": "0-2", "succeededCount": 2}]}, completionMode="Indexed")
    assert success_rule(given, {0, 4}) == ""
    assert success_rule(given, {0, 2}) == "Matched rules at index 0"


def test_the_verdict_becomes_final_when_all_has_ended_and_is_counted():
    given, pods = job({"succeeded": 5, "startTime": at(0)}), [work("late", deletionTimestamp=at(0))]
    how = plan(given, pods, Tally(succeeded=5), NOON).verdict
    assert how is not None

    def types(pods, found):
        return [c["type"] for c in next_status(given, pods, found, how, NOON + 9)["conditions"]]

    assert types(pods, Tally(succeeded=5)) == ["SuccessCriteriaMet"]
    assert types([], Tally(succeeded=4, uncounted_succeeded=["u"])) == ["SuccessCriteriaMet"]
    assert types([], Tally(succeeded=5)) == ["SuccessCriteriaMet", "Complete"]
    assert next_status(given, [], Tally(succeeded=5), how, NOON + 9)["completionTime"] == at(9)


ENDS = [
    pytest.param({"completions": 0}, {}, at(9), ["SuccessCriteriaMet", "Complete"], id="at once: it starts as it ends"),
    pytest.param({"completions": 0, "suspend": True}, {}, None, ["SuccessCriteriaMet", "Complete"], id="nothing to start"),
    pytest.param({"suspend": True}, {"succeeded": 5}, None, ["SuccessCriteriaMet"], id="suspended: not before it is resumed"),
]  # fmt: skip


@pytest.mark.parametrize("spec, before, start, conditions", ENDS)
def test_a_job_that_ends_has_started(spec, before, start, conditions):
    given, done = job(before, **spec), Tally(succeeded=before.get("succeeded", 0))
    given["status"].pop("startTime", None)
    how = plan(given, [], done, NOON).verdict
    assert how is not None
    found = next_status(given, [], done, how, NOON + 9)
    assert (found.get("startTime"), [c["type"] for c in found["conditions"]]) == (start, conditions)


def test_suspending_and_resuming():
    suspended = next_status(job(suspend=True), [], Tally(), None, NOON)
    assert "startTime" not in suspended
    assert [(c["type"], c["status"], c["reason"]) for c in suspended["conditions"]] == [
        ("Suspended", "True", "JobSuspended")
    ]
    resumed = next_status(job(suspended), [], Tally(), None, NOON + 5)
    assert resumed["startTime"] == at(5)
    assert [(c["status"], c["reason"]) for c in resumed["conditions"]] == [("False", "JobResumed")]
