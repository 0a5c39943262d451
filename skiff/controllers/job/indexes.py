"""Indexes of an Indexed job: sets of small numbers written as `0-3,5,7-9`, and which of them need a pod.

Pure. Source: upstream pkg/controller/job/indexed_job_utils.go.
"""

from collections.abc import Iterable

from skiff.api.meta import annotations
from skiff.api.types import Obj

INDEX = "batch.kubernetes.io/job-completion-index"
FAILURE_COUNT = "batch.kubernetes.io/job-index-failure-count"


def parse(text: str | None, completions: int) -> set[int]:
    """Those below `completions`; what cannot be read is left out."""
    found: set[int] = set()
    for part in (text or "").split(","):
        first, _, last = part.partition("-")
        if first.isdigit() and (last or first).isdigit():
            found.update(range(int(first), min(int(last or first), completions - 1) + 1))
    return found


def write(indexes: Iterable[int]) -> str:
    parts: list[list[int]] = []
    for index in sorted(indexes):
        if parts and parts[-1][1] == index - 1:
            parts[-1][1] = index
        else:
            parts.append([index, index])
    return ",".join(_span(first, last) for first, last in parts)


def _span(first: int, last: int) -> str:
    return str(first) if first == last else f"{first},{last}" if last == first + 1 else f"{first}-{last}"


def index_of(pod: Obj) -> int:
    """-1 for a pod without a usable one."""
    text = annotations(pod).get(INDEX, "")
    return int(text) if text.isascii() and text.isdigit() else -1


def failure_count(pod: Obj) -> int:
    text = annotations(pod).get(FAILURE_COUNT, "")
    return int(text) if text.isascii() and text.isdigit() else 0


def missing(count: int, completions: int, taken: set[int]) -> list[int]:
    """The lowest free ones, at most `count`."""
    found: list[int] = []
    for index in range(completions):
        if len(found) >= count:
            break
        if index not in taken:
            found.append(index)
    return found


def duplicates(pods: Iterable[Obj], completions: int) -> list[Obj]:
    """Pods whose index is not one of the job's or is another pod's too."""
    seen: set[int] = set()
    result = []
    for pod in pods:
        index = index_of(pod)
        if not 0 <= index < completions or index in seen:
            result.append(pod)
        seen.add(index)
    return result
