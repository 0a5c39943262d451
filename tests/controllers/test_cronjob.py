"""Cron expressions, and when jobs are due. Source: robfig/cron v3 parser; upstream cronjob/utils_test.go for situations."""

from datetime import UTC, datetime

import pytest

from skiff.controllers.cronjob.controller import due, earliest, job_for, old_jobs, review, seconds_until_next
from skiff.controllers.cronjob.schedule import ScheduleError, parse
from tests.controllers.builders import NOON, at, meta, owner


def moment(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


NEXT = [
    pytest.param("*/15 * * * *", "2026-01-01 12:00", "2026-01-01 12:15", id="a time itself is not after itself"),
    pytest.param("0 9-17/4 * * *", "2026-01-01 13:30", "2026-01-01 17:00", id="a range with a step"),
    pytest.param("5 4 * * sun", "2026-01-01 00:00", "2026-01-04 04:05", id="a weekday by name"),
    pytest.param("0 0 29 2 *", "2026-01-01 00:00", "2028-02-29 00:00", id="a leap day"),
    pytest.param("0 0 13 * 5", "2026-01-01 00:00", "2026-01-02 00:00", id="either of two restricted days"),
    pytest.param("0 0 */2 * 5", "2026-01-03 00:00", "2026-01-05 00:00", id="a step restricts"),
    pytest.param("0 0 ? * 5", "2026-01-03 00:00", "2026-01-09 00:00", id="a question mark does not"),
    pytest.param("30 12 1,15 jan,JUL *", "2026-01-15 12:30", "2026-07-01 12:30", id="lists and names"),
    pytest.param("@weekly", "2026-01-01 00:00", "2026-01-04 00:00", id="a macro"),
    pytest.param("@every 1h30m", "2026-01-01 00:10", "2026-01-01 01:40", id="a distance"),
    pytest.param("0 12 * * *", "2026-01-01 12:00", "2026-01-02 12:00", id="tomorrow"),
    pytest.param("TZ=Asia/Tokyo 0 9 * * *", "2026-01-01 00:00", "2026-01-02 00:00", id="a zone in the expression"),
]


@pytest.mark.parametrize("text, after, expected", NEXT)
def test_next(text, after, expected):
    assert parse(text).next(moment(after)) == moment(expected)


def test_a_date_that_never_comes():
    assert parse("0 0 30 2 *").next(NOON) == float("inf")


ZONES = [
    pytest.param(
        "30 2 * * *", "2026-03-29 00:00", "2026-03-30 00:30", id="a time that the clocks skip does not happen"
    ),
    pytest.param("30 3 * * *", "2026-03-29 00:00", "2026-03-29 01:30", id="summer time begins"),
    pytest.param("30 2 * * *", "2026-10-24 12:00", "2026-10-25 00:30", id="a time that comes twice happens once"),
    pytest.param("30 2 * * *", "2026-10-25 00:30", "2026-10-26 01:30", id="winter time"),
]


@pytest.mark.parametrize("text, after, expected", ZONES)
def test_clock_changes_in_berlin(text, after, expected):
    assert parse(text, "Europe/Berlin").next(moment(after)) == moment(expected)


LATEST = [
    pytest.param("*/5 * * * *", 0, 299, None, id="none yet"),
    pytest.param("*/5 * * * *", 0, 300, 300, id="just now"),
    pytest.param("*/5 * * * *", 0, 1799, 1500, id="the last of many"),
    pytest.param("@every 7s", 0, 30, 28, id="the last of a distance"),
]


@pytest.mark.parametrize("text, since, now, expected", LATEST)
def test_latest(text, since, now, expected):
    found = parse(text).latest(NOON + since, NOON + now)
    assert (found and found - NOON) == expected


WRONG = [
    pytest.param("* * * *", "expected exactly 5 fields", id="too few fields"),
    pytest.param("60 * * * *", "above maximum", id="too high"),
    pytest.param("* * 0 * *", "below minimum", id="too low"),
    pytest.param("5-3 * * * *", "beyond end", id="backwards"),
    pytest.param("*/0 * * * *", "positive", id="no step"),
    pytest.param("x * * * *", "failed to parse int", id="no number"),
    pytest.param("@never", "unrecognized descriptor", id="no macro"),
    pytest.param("@every soon", "failed to parse duration", id="no duration"),
    pytest.param("TZ=Nowhere * * * * *", "unknown time zone", id="no zone"),
]


@pytest.mark.parametrize("text, words", WRONG)
def test_wrong_expressions_say_why(text, words):
    with pytest.raises(ScheduleError, match=words):
        parse(text)


def cron(status=None, **spec):
    return {
        "metadata": meta("c"),
        "spec": {"schedule": "*/5 * * * *", "jobTemplate": {"spec": {}}, **spec},
        "status": status or {},
    }


DUE = [
    pytest.param(cron(), 100, (None, False), id="not yet"),
    pytest.param(cron(), 310, (300, False), id="the first one"),
    pytest.param(cron({"lastScheduleTime": at(300)}), 599, (None, False), id="done already"),
    pytest.param(cron({"lastScheduleTime": at(300)}), 1300, (1200, False), id="only the latest of those missed"),
    pytest.param(cron(), 40000, (39900, True), id="very many were missed"),
    pytest.param(cron(startingDeadlineSeconds=600), 40000, (39900, False), id="a deadline makes that harmless"),
]


@pytest.mark.parametrize("given, now, expected", DUE)
def test_due(given, now, expected):
    found, many = due(given, parse("*/5 * * * *"), NOON + now)
    assert (found and found - NOON, many) == expected


def test_when_to_look_again():
    assert seconds_until_next(cron(), parse("*/5 * * * *"), NOON + 100) == pytest.approx(200.1)
    assert earliest(cron(startingDeadlineSeconds=10), NOON + 100, with_deadline=True) == NOON + 90


def test_a_job_is_named_by_its_minute_and_tells_its_time_in_its_zone():
    made = job_for(cron(timeZone="Europe/Berlin"), NOON)
    assert made["metadata"]["name"] == f"c-{int(NOON) // 60}"
    assert made["metadata"]["annotations"] == {
        "batch.kubernetes.io/cronjob-scheduled-timestamp": "2026-01-01T13:00:00+01:00"
    }
    assert made["metadata"]["ownerReferences"][0]["uid"] == "uid-c"


def job(name, how="", end=None, start=0):
    status = {"startTime": at(start)}
    if how:
        status["conditions"] = [{"type": how, "status": "True"}]
    if end is not None:
        status["completionTime"] = at(end)
    return {"metadata": meta(name), "status": status}


def test_review_of_jobs():
    refs = [owner("Job", n, "batch/v1") for n in ("done", "going", "lost")]
    found = review(cron({"active": refs}), [job("done", "Complete", end=9), job("going"), job("stranger")])
    assert [r["name"] for r in found.status["active"]] == ["going", "lost"]
    assert [r["name"] for r in found.missing] == ["lost"]
    assert found.status["lastSuccessfulTime"] == at(9)
    assert [reason for _, reason, _ in found.notes] == ["SawCompletedJob", "UnexpectedJob"]


def test_history_limits():
    jobs = [job(f"s{n}", "Complete", start=n) for n in range(4)] + [job("f1", "Failed"), job("f2", "Failed"), job("go")]
    given = cron(successfulJobsHistoryLimit=3, failedJobsHistoryLimit=1)
    assert [j["metadata"]["name"] for j in old_jobs(given, jobs[::-1])] == ["s0", "f1"]
