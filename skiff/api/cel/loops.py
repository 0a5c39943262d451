"""The loops that macros make, each as a closure over its parts.

`slot` and `second` are the places of the loop's variables in the frame; second 0: there is one. Every round adds its cost
and ends the evaluation when there is none left.
"""

from collections.abc import Callable, Iterable
from typing import Any

from skiff.api.cel.errors import CelError, CostExceeded, no_such_overload
from skiff.api.cel.operators import insert as insert_into
from skiff.api.cel.values import items, keys, type_name

Frame = list[Any]
Run = Callable[[Frame], Any]

ABSORBED = (CelError, TypeError, AttributeError)
"""What ends an operand of `&&` and `||` without ending them. The last two come from data that is not of its declared type."""


def charge(f: Frame, cost: int) -> None:
    f[0] += cost
    if f[0] > f[1]:
        raise CostExceeded(f[0])


def rounds(over: Any, two: bool) -> Iterable[Any]:
    """What a loop goes through: elements or keys, or pairs of (index or key, element)."""
    if isinstance(over, list):
        return enumerate(over) if two else over
    if isinstance(over, dict):
        return items(over) if two else keys(over)
    raise CelError(f"got '{type_name(over)}', expected iterable type")


def _set(f: Frame, slot: int, second: int, value: Any) -> None:
    if second:
        f[slot], f[second] = value
    else:
        f[slot] = value


def quantifier(over: Run, slot: int, second: int, predicate: Run, each: int, stop: int, decisive: bool) -> Run:
    """exists (decisive True) or all (False). An error counts only if no other element decides."""

    def run(f: Frame) -> bool:
        values = over(f)
        left = len(values) if isinstance(values, (list, dict)) else 0
        failed: Exception | None = None
        for value in rounds(values, second > 0):
            left -= 1
            _set(f, slot, second, value)
            f[0] += each
            if f[0] > f[1]:
                raise CostExceeded(f[0])
            try:
                result = predicate(f)
            except ABSORBED as error:
                failed = failed or error
                continue
            if result is decisive:
                f[0] += stop if left else 0
                return decisive
            if result is not True and result is not False:
                failed = failed or no_such_overload()
        if failed is not None:
            raise failed
        return not decisive

    return run


def _passes(f: Frame, test: Run) -> bool:
    result = test(f)
    if result is True or result is False:
        return result
    raise no_such_overload()


def exactly_one(over: Run, slot: int, second: int, test: Run, each: int) -> Run:
    def run(f: Frame) -> bool:
        count = 0
        for value in rounds(over(f), second > 0):
            _set(f, slot, second, value)
            charge(f, each)
            if _passes(f, test):
                f[0] += 2
                count += 1
        return count == 1

    return run


def collect(over: Run, slot: int, second: int, test: Run | None, test_cost: int, element: Run, each: int) -> Run:
    """map, filter and transformList: a list of what `element` gives where `test` passes."""

    def run(f: Frame) -> list[Any]:
        out: list[Any] = []
        for value in rounds(over(f), second > 0):
            _set(f, slot, second, value)
            if test is not None:
                charge(f, test_cost)
                if not _passes(f, test):
                    continue
            charge(f, each)
            out.append(element(f))
        return out

    return run


def insert(
    over: Run, slot: int, second: int, test: Run | None, test_cost: int, value_of: Run, each: int, keyed: bool
) -> Run:
    """transformMap (keyed: the first variable is the key) and transformMapEntry (the value is a map to merge in)."""

    def run(f: Frame) -> dict[Any, Any]:
        out: dict[Any, Any] = {}
        for value in rounds(over(f), True):
            _set(f, slot, second, value)
            if test is not None:
                charge(f, test_cost)
                if not _passes(f, test):
                    continue
            charge(f, each)
            made = value_of(f)
            for key, item in [(f[slot], made)] if keyed else items(made):
                insert_into(out, key, item)
        return out

    return run
