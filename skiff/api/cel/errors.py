"""What can go wrong with an expression: at compile time (issues with a place in the text), at run time, or by its cost.

The texts are cel-go's, because users of Kubernetes match on them. Source: cel-go common/error.go, checker/errors.go.
"""

from collections.abc import Sequence
from dataclasses import dataclass

_LONGEST_SNIPPET = 16384
_MOST_ISSUES = 100


@dataclass(frozen=True, slots=True)
class Issue:
    """One mistake. `offset` counts characters from the start of the text."""

    offset: int
    message: str


class CompileError(Exception):
    """An expression that cannot be used. The message shows each mistake with the line it stands in."""

    def __init__(self, source: str, issues: Sequence[Issue]) -> None:
        self.issues = sorted(issues, key=lambda i: i.offset)
        super().__init__(_display(source, self.issues))


class CelError(Exception):
    """An evaluation that failed. `&&` and `||` may absorb it."""


class CostExceeded(Exception):
    """An evaluation that became too expensive. Nothing absorbs it."""

    def __init__(self, cost: int) -> None:
        super().__init__("operation cancelled: actual cost limit exceeded")
        self.cost = cost


def no_such_overload() -> CelError:
    return CelError("no such overload")


def _display(source: str, issues: Sequence[Issue]) -> str:
    shown = [_display_one(source, issue) for issue in issues[:_MOST_ISSUES]]
    if len(issues) > _MOST_ISSUES:
        shown.append(f"{len(issues) - _MOST_ISSUES} more errors were truncated")
    return "\n".join(shown)


def _display_one(source: str, issue: Issue) -> str:
    if not source:
        return f"ERROR: <input>:1:0: {issue.message}"
    start = source.rfind("\n", 0, issue.offset) + 1
    line, column = source.count("\n", 0, issue.offset) + 1, issue.offset - start
    text = f"ERROR: <input>:{line}:{column + 1}: {issue.message}"
    end = source.find("\n", start)
    snippet = source[start : end if end >= 0 else len(source)]
    if len(snippet.encode("utf-8", "replace")) > _LONGEST_SNIPPET:
        return text
    before = "".join("．" if ord(c) > 127 else "." for c in snippet[:column])
    mark = "＾" if column < len(snippet) and ord(snippet[column]) > 127 else "^"
    return f"{text}\n | {snippet.replace(chr(9), ' ')}\n | {before}{mark}"


class ProgramError(Exception):
    """An expression whose constant parts cannot be evaluated."""
