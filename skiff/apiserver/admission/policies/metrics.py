"""What policies have done and how long it took, under upstream's names."""

from collections.abc import Sequence

from skiff.client.metrics import Histogram

SECONDS = (0.0000005, 0.001, 0.01, 0.1, 1.0)
CONDITION_SECONDS = (0.001, 0.005, 0.01, 0.025, 0.1, 0.2, 0.25)
Labels = tuple[str, ...]


class Checks:
    """Expressions that were evaluated: counted and timed. prefix: of the metrics. names: of the labels."""

    def __init__(self, prefix: str, names: Sequence[str]):
        self._prefix = prefix
        self._names = names
        self._seen: dict[Labels, Histogram] = {}

    def observe(self, seconds: float, *labels: str) -> None:
        self._seen.setdefault(labels, Histogram(SECONDS)).observe(seconds)

    def lines(self) -> list[str]:
        rows = [(_labels(self._names, labels), seen) for labels, seen in sorted(self._seen.items())]
        counted, timed = f"{self._prefix}_check_total", f"{self._prefix}_check_duration_seconds"
        found = [f"# TYPE {counted} counter"] if rows else []
        found += [f"{counted}{{{labels}}} {sum(seen.buckets)}" for labels, seen in rows]
        found += [f"# TYPE {timed} histogram"] if rows else []
        return found + [line for labels, seen in rows for line in seen.lines(timed, labels)]


class Conditions:
    """matchConditions: what could not be evaluated, and how long those took that did not simply match."""

    _NAMES = ("name", "kind", "type", "operation")

    def __init__(self) -> None:
        self._errors: dict[Labels, int] = {}
        self._times: dict[Labels, Histogram] = {}

    def failed(self, *labels: str) -> None:
        self._errors[labels] = self._errors.get(labels, 0) + 1

    def observe(self, seconds: float, *labels: str) -> None:
        self._times.setdefault(labels, Histogram(CONDITION_SECONDS)).observe(seconds)

    def lines(self) -> list[str]:
        errors = "apiserver_admission_match_condition_evaluation_errors_total"
        times = "apiserver_admission_match_condition_evaluation_seconds"
        found = [f"# TYPE {errors} counter"] if self._errors else []
        found += [f"{errors}{{{_labels(self._NAMES, k)}}} {n}" for k, n in sorted(self._errors.items())]
        found += [f"# TYPE {times} histogram"] if self._times else []
        for labels, seen in sorted(self._times.items()):
            found += seen.lines(times, _labels(self._NAMES, labels))
        return found


def _labels(names: Sequence[str], values: Sequence[str]) -> str:
    return ",".join(f'{name}="{value}"' for name, value in zip(names, values, strict=True))


def error_type(message: str) -> str:
    """What kind of mistake a message tells of."""
    if message.startswith("compilation"):
        return "compile_error"
    return "out_of_budget" if message.startswith("validation failed due to running out of cost") else "invalid_error"
