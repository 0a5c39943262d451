"""Upstream's metrics of what admission asks outside the server, and of conditions (apiserver pkg/admission/metrics)."""

from dataclasses import dataclass, field

from skiff.client.metrics import Histogram

PREFIX = "apiserver_admission_"
WEBHOOK_S = (0.005, 0.025, 0.1, 0.5, 1.0, 2.5, 10.0, 25.0)
CONDITION_S = (0.001, 0.005, 0.01, 0.025, 0.1, 0.2, 0.25)
CHECK_S = (0.0000005, 0.001, 0.01, 0.1, 1.0)
MOST_CODE = 600

Labels = tuple[str, ...]


@dataclass(slots=True)
class Counters:
    """A metric: its labels' names, and what was counted by their values."""

    name: str
    labels: Labels
    prefix: str = PREFIX
    counts: dict[Labels, int] = field(default_factory=dict)

    def add(self, *values: str) -> None:
        self.counts[values] = self.counts.get(values, 0) + 1

    def lines(self) -> list[str]:
        name = self.prefix + self.name
        found = [f"# TYPE {name} counter"] if self.counts else []
        return found + [f"{name}{{{_shown(self.labels, v)}}} {n}" for v, n in sorted(self.counts.items())]


@dataclass(slots=True)
class Times:
    name: str
    labels: Labels
    bounds: tuple[float, ...]
    prefix: str = PREFIX
    observed: dict[Labels, Histogram] = field(default_factory=dict)

    def observe(self, seconds: float, *values: str) -> None:
        found = self.observed.get(values) or self.observed.setdefault(values, Histogram(self.bounds))
        found.observe(seconds)

    def lines(self) -> list[str]:
        name = self.prefix + self.name
        found = [f"# TYPE {name} histogram"] if self.observed else []
        for values, histogram in sorted(self.observed.items()):
            found += histogram.lines(name, _shown(self.labels, values))
        return found


def _shown(labels: Labels, values: Labels) -> str:
    return ",".join(f'{name}="{value}"' for name, value in zip(labels, values, strict=True))


class Checks:
    """The expressions of policies that were evaluated."""

    def __init__(self, prefix: str, *labels: str):
        self._counts = Counters("check_total", labels, prefix)
        self._times = Times("check_duration_seconds", labels, CHECK_S, prefix)

    def observe(self, seconds: float, *values: str) -> None:
        self._counts.add(*values)
        self._times.observe(seconds, *values)

    def lines(self) -> list[str]:
        return [*self._counts.lines(), *self._times.lines()]


class AdmissionMetrics:
    """step: admit or validating; of requests that conditions exclude admit or validate, as upstream has it."""

    def __init__(self) -> None:
        kinds = ("name", "kind", "type", "operation")
        self.times = Times("webhook_admission_duration_seconds", ("name", "type", "operation", "rejected"), WEBHOOK_S)
        self.rejections = Counters(
            "webhook_rejection_count", ("name", "type", "operation", "error_type", "rejection_code")
        )
        self.open = Counters("webhook_fail_open_count", ("name", "type"))
        self.requests = Counters("webhook_request_total", ("name", "type", "operation", "code", "rejected"))
        self.errors = Counters("match_condition_evaluation_errors_total", kinds)
        self.exclusions = Counters("match_condition_exclusions_total", kinds)
        self.evaluations = Times("match_condition_evaluation_seconds", kinds, CONDITION_S)
        checks = ("policy", "policy_binding", "error_type")
        self.mutating = Checks("apiserver_mutating_admission_policy_", *checks)
        self.validating = Checks("apiserver_validating_admission_policy_", *checks, "enforcement_action")

    def called(self, seconds: float, name: str, step: str, operation: str, code: int, *, rejected: bool) -> None:
        """A webhook has answered, or failed to."""
        said = str(rejected).lower()
        self.requests.add(name, step, operation, str(min(code, MOST_CODE)), said)
        self.times.observe(seconds, name, step, operation, said)

    def rejected(self, name: str, step: str, operation: str, error: str, code: int) -> None:
        """error: calling_webhook_error, apiserver_internal_error or no_error."""
        self.rejections.add(name, step, operation, error, str(min(code, MOST_CODE)))

    def render(self) -> list[str]:
        parts: tuple[Counters | Times | Checks, ...] = (
            self.times, self.rejections, self.open, self.requests, self.errors, self.exclusions, self.evaluations,
            self.mutating, self.validating,
        )  # fmt: skip
        return [line for part in parts for line in part.lines()]
