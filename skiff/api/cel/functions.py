"""What can be called: the registry that the checker, the planner and the cost estimation share.

A library is a list of rows (name, overload id, signature, implementation); a name that begins with a dot is called on its
first argument. Implementations get values of exactly the declared types. Source: cel-go common/stdlib, whose overload ids
are part of the cost rules.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from skiff.api.cel.types import Type, parameters_of, signature

Row = tuple[str, str, str, Callable[..., Any]]


@dataclass(frozen=True, slots=True)
class Overload:
    id: str
    function: str
    member: bool
    args: tuple[Type, ...]
    result: Type
    parameters: frozenset[Type]
    run: Callable[..., Any]


class Functions:
    """All overloads, by the function's name and by their own id."""

    def __init__(self, *libraries: Iterable[Row]) -> None:
        self.by_name: dict[str, list[Overload]] = {}
        self.by_id: dict[str, Overload] = {}
        for rows in libraries:
            for row in rows:
                self._add(row)

    def _add(self, row: Row) -> None:
        name, identifier, text, run = row
        args, result = signature(text)
        function = name.removeprefix(".")
        overload = Overload(identifier, function, name.startswith("."), args, result, parameters_of(result, *args), run)
        self.by_name.setdefault(function, []).append(overload)
        self.by_id[identifier] = overload

    def lookup(self, name: str) -> list[Overload] | None:
        return self.by_name.get(name.removeprefix("."))


def never(*_: Any) -> Any:
    """Stands for what the planner does itself."""
    raise AssertionError("the planner evaluates this operator")
