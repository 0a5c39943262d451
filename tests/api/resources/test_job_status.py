"""What may be written into a job's status. Source: pkg/apis/batch/validation/validation.go, pkg/registry/batch/job/strategy.go."""

from typing import Any

import pytest

from skiff.api.resources.builtin import by_kind

T0, T1, T2 = (f"2026-01-01T00:00:0{i}Z" for i in range(3))
INDEXED = {"completionMode": "Indexed", "completions": 5, "parallelism": 5}
FIXED = {**INDEXED, "parallelism": 2}
PER_INDEX = {**INDEXED, "backoffLimitPerIndex": 1}
POLICY = {**INDEXED, "successPolicy": {"rules": [{"succeededCount": 1}]}}


def holds(*types: str) -> Any:
    return [{"type": t, "status": "True"} for t in types]


def but(status: Any, *fields: str, **others: Any) -> Any:
    return {k: v for k, v in status.items() if k not in fields} | others


DONE = {"startTime": T0, "completionTime": T1, "conditions": holds("SuccessCriteriaMet", "Complete"), "succeeded": 1}
FAILED = {"startTime": T0, "conditions": holds("FailureTarget", "Failed"), "failed": 1}
SUSPENDED = {"startTime": T0, "conditions": holds("Suspended")}
RESUMED = {"startTime": T1, "conditions": [{"type": "Suspended", "status": "False"}]}

NONE: Any = {}
CONDITIONS = "status.conditions: Invalid value: cannot "
LOST_DONE = CONDITIONS + "disable the terminal Complete=True condition"
LOST_CRITERIA = CONDITIONS + "disable the SuccessCriteriaMet=True condition"
NO_CRITERIA = CONDITIONS + "set Complete=True condition without the SuccessCriteriaMet=true condition"
NO_TARGET = CONDITIONS + "set Failed=True condition without the FailureTarget=true condition"
STARTED = "status.startTime: Invalid value: {}: field is immutable for unsuspended job once set"
READY = "status.ready: Invalid value: {}: cannot set more ready pods than active"
COMPLETED = 'status.completedIndexes: Invalid value: "{0}": error parsing completedIndexes: {1}'
FAILING = 'status.failedIndexes: Invalid value: "{0}": error parsing failedIndexes: {1}'
UNCOUNTED = "status.uncountedTerminatedPods"
PLAIN = "cannot set non-empty completedIndexes when non-indexed completion mode"
NO_LIMIT = (
    'status.failedIndexes: Invalid value: "{}": cannot set non-null failedIndexes when backoffLimitPerIndex is null'
)
OVERLAP = 'status.failedIndexes: Invalid value: "{}": failedIndexes and completedIndexes overlap at index: {}'
NOT_LESS = "Invalid value: -1: must be greater than or equal to 0"

CASES = [
    pytest.param({}, NONE, dict.fromkeys(("active", "succeeded", "failed", "ready", "terminating"), -1), [f"status.{n}: {NOT_LESS}" for n in ("active", "succeeded", "failed", "ready", "terminating")] + ["status.failed: Invalid value: -1: cannot decrease the failed counter", "status.succeeded: Invalid value: -1: cannot decrease the succeeded counter"], id="less than nothing"),
    pytest.param({}, NONE, {"uncountedTerminatedPods": {"succeeded": ["a", ""], "failed": ["a", "b"]}}, [UNCOUNTED + '.succeeded[1]: Invalid value: "": must not be empty', UNCOUNTED + '.failed[0]: Duplicate value: "a"'], id="pods counted twice"),
    pytest.param({}, NONE, but(DONE, conditions=holds("Complete", "Failed", "SuccessCriteriaMet", "FailureTarget")), [CONDITIONS + f"set {both}" for both in ("Complete=True and Failed=true conditions", "Complete=True and FailureTarget=true conditions", "SuccessCriteriaMet=True and Failed=true conditions", "SuccessCriteriaMet=True and FailureTarget=true conditions")], id="everything at once"),
    pytest.param({}, NONE, {"startTime": T0, "completionTime": T1}, [f'status.completionTime: Invalid value: "{T1}": cannot set completionTime when there is no Complete=True condition'], id="a completion time of what is not complete"),
    pytest.param({}, NONE, but(DONE, "completionTime"), ["status.completionTime: Required value: completionTime is required for Complete jobs"], id="complete without a time"),
    pytest.param({}, NONE, but(DONE, startTime=T2), [f'status.completionTime: Invalid value: "{T1}": must be equal to or after `startTime`'], id="complete before it started"),
    pytest.param({}, NONE, but(FAILED, conditions=holds("Failed")), [NO_TARGET], id="failed at once"),
    pytest.param({}, NONE, but(DONE, conditions=holds("Complete")), [NO_CRITERIA], id="complete at once"),
    pytest.param(POLICY, NONE, but(DONE, conditions=holds("Complete")), [NO_CRITERIA, CONDITIONS + "set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True"], id="complete against its policy"),
    pytest.param({}, NONE, DONE, [], id="complete"),
    pytest.param({}, NONE, FAILED, [], id="failed"),
    pytest.param({}, NONE, {"conditions": holds("SuccessCriteriaMet")}, [], id="about to complete, without indexes"),
    pytest.param({}, NONE, but(DONE, active=1), ["status.active: Invalid value: 1: active>0 is invalid for finished job"], id="finished with active pods"),
    pytest.param({}, NONE, but(DONE, terminating=1), ["status.terminating: Invalid value: 1: terminating>0 is invalid for finished job"], id="finished with terminating pods"),
    pytest.param({}, NONE, but(FAILED, "startTime"), ["status.startTime: Required value: startTime is required for finished job"], id="finished without a start"),
    pytest.param({"suspend": True, "completions": 0}, NONE, but(DONE, "startTime"), [], id="nothing had to start"),
    pytest.param({}, NONE, but(DONE, uncountedTerminatedPods={"succeeded": ["a"]}), [UNCOUNTED + ': Invalid value: {"Succeeded":["a"],"Failed":null}: must be empty for finished job'], id="finished with uncounted pods"),
    pytest.param(INDEXED, NONE, {"completedIndexes": "1,x"}, [COMPLETED.format("1,x", 'cannot convert string to integer for index: "x"')], id="an index that is no number"),
    pytest.param(INDEXED, NONE, {"completedIndexes": "9" * 20}, [COMPLETED.format("9" * 20, f'cannot convert string to integer for index: "{"9" * 20}"')], id="an index that is too much of a number"),
    pytest.param(INDEXED, NONE, {"completedIndexes": "1,5"}, [COMPLETED.format("1,5", 'too large index: "5"')], id="an index too large"),
    pytest.param(INDEXED, NONE, {"completedIndexes": "3,1"}, [COMPLETED.format("3,1", "non-increasing order, previous: 3, current: 1")], id="indexes out of order"),
    pytest.param({"completions": 1}, NONE, {"completedIndexes": "1"}, [COMPLETED.format("1", 'too large index: "1"'), f'status.completedIndexes: Invalid value: "1": {PLAIN}'], id="indexes of a job without"),
    pytest.param(INDEXED, NONE, {"failedIndexes": ""}, [NO_LIMIT.format("")], id="failed indexes without a limit"),
    pytest.param(PER_INDEX, NONE, {"failedIndexes": "3,2"}, [FAILING.format("3,2", "non-increasing order, previous: 3, current: 2")], id="failed indexes out of order"),
    pytest.param(PER_INDEX, NONE, {"failedIndexes": "0,2", "completedIndexes": "1,3-4"}, [], id="failed and completed ones"),
    pytest.param(PER_INDEX, NONE, {"failedIndexes": "0,2-3", "completedIndexes": "1,3-4"}, [OVERLAP.format("0,2-3", 3)], id="failed and completed"),
    pytest.param(PER_INDEX, NONE, {"failedIndexes": "x,3", "completedIndexes": "y,3"}, [COMPLETED.format("y,3", 'cannot convert string to integer for index: "y"'), FAILING.format("x,3", 'cannot convert string to integer for index: "x"'), OVERLAP.format("x,3", 3)], id="failed and completed, as far as they can be read"),
    pytest.param(FIXED, {"completedIndexes": "9"}, {"completedIndexes": "9", "active": 1}, [], id="indexes that a smaller spec left behind"),
    pytest.param({}, NONE, {"ready": 1}, [READY.format(1)], id="ready, not active"),
    pytest.param({}, NONE, {"active": -1}, [f"status.active: {NOT_LESS}"], id="active less than nothing, nobody says how many are ready"),
    pytest.param({}, {"active": 1, "ready": 2}, {"active": 1, "ready": 2, "failed": 1}, [], id="what was wrong before and has not changed"),
    pytest.param({}, DONE, but(DONE, "completionTime", conditions=holds("SuccessCriteriaMet")), [LOST_DONE], id="complete no more"),
    pytest.param({}, FAILED, but(FAILED, conditions=[]), [CONDITIONS + "disable the terminal Failed=True condition", CONDITIONS + "disable the terminal FailureTarget=True condition"], id="failed no more"),
    pytest.param({}, DONE, but(DONE, conditions=holds("Complete")), [NO_CRITERIA, LOST_CRITERIA], id="criteria met no more"),
    pytest.param({}, but(DONE, conditions=holds("Complete")), DONE, [CONDITIONS + "set SuccessCriteriaMet=True for Job already has Complete=true conditions"], id="criteria met after the end"),
    pytest.param({}, DONE, NONE, [LOST_DONE, "status.succeeded: Invalid value: 0: cannot decrease the succeeded counter", STARTED.format("null"), LOST_CRITERIA], id="nothing left"),
    pytest.param({}, {"failed": 2}, {"failed": 1}, ["status.failed: Invalid value: 1: cannot decrease the failed counter"], id="fewer failures"),
    pytest.param(FIXED, {"succeeded": 2}, {"succeeded": 1}, ["status.succeeded: Invalid value: 1: cannot decrease the succeeded counter"], id="fewer successes"),
    pytest.param(INDEXED, {"succeeded": 2}, {"succeeded": 1}, [], id="fewer successes after scaling down"),
    pytest.param({}, DONE, but(DONE, completionTime=T2), [f'status.completionTime: Invalid value: "{T2}": field is immutable'], id="completed at another time"),
    pytest.param({}, {"startTime": T0}, {"startTime": T1}, [STARTED.format(f'"{T1}"')], id="started at another time"),
    pytest.param({"suspend": True}, {"startTime": T0}, {"startTime": T1}, [], id="started at another time, suspended"),
    pytest.param({}, SUSPENDED, RESUMED, [], id="started again when resumed"),
    pytest.param({}, SUSPENDED, {"startTime": T1}, [STARTED.format(f'"{T1}"')], id="started again, not said to be resumed"),
]  # fmt: skip


@pytest.mark.parametrize("spec, before, after, mistakes", CASES)
def test_the_status_of_a_job(spec: Any, before: Any, after: Any, mistakes: list[str]) -> None:
    old, new = ({"metadata": {"name": "a"}, "spec": spec, "status": status} for status in (before, after))
    assert [str(e) for e in by_kind["batch/v1", "Job"].validate_status_update(new, old)] == mistakes


AFFINE = {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}}
ADAPTED = {"nodeSelector": {"a": "b"}, "tolerations": [{"operator": "Exists"}], "affinity": AFFINE, "containers": [{"name": "c", "resources": {"requests": {"cpu": "1"}}}]}  # fmt: skip
OTHER = {"containers": [{"name": "c", "image": "other"}]}


@pytest.mark.parametrize(
    "suspend, status, pod, mistakes",
    [
        pytest.param(False, {}, ADAPTED, ["spec.template"], id="while it runs"),
        pytest.param(True, {}, ADAPTED, [], id="before it has started"),
        pytest.param(True, {}, OTHER, ["spec.template.spec"], id="what its pods do, before it has started"),
        pytest.param(True, {"startTime": T0}, ADAPTED, ["spec.template"], id="about to be suspended"),
        pytest.param(True, SUSPENDED, ADAPTED, [], id="suspended"),
        pytest.param(True, SUSPENDED | {"active": 1}, ADAPTED, ["spec.template"], id="suspended, with pods left"),
    ],
)
def test_what_may_change_in_a_template(suspend: bool, status: Any, pod: Any, mistakes: list[str]) -> None:
    """Source: shouldAllowMutablePodTemplate in pkg/registry/batch/job/strategy.go."""
    old, new = (
        {"spec": {"suspend": suspend, "template": {"spec": p}}, "status": status}
        for p in ({"containers": [{"name": "c"}]}, pod)
    )
    found = by_kind["batch/v1", "Job"].validate_update(new, old)
    assert [e.path for e in found] == mistakes
    assert all(e.detail == "field is immutable" for e in found)
