"""Printers of custom resources, from a CRD's additionalPrinterColumns."""

from collections.abc import Callable, Sequence
from typing import Any

from skiff.api import jsonpath
from skiff.api.printers.text import NAME, age, name, since
from skiff.api.resources import Column, Printer
from skiff.api.times import TimeError, canonical
from skiff.api.types import Obj

Cell = Callable[[Obj, float], Any]


def custom_printer(definitions: Sequence[Obj] | None) -> Printer:
    """`definitions`: name, type, jsonPath, format, description, priority each; none: the age. Raises JSONPathError."""
    if not definitions:
        return Printer((NAME, Column("Age", "date")), lambda obj, now: [name(obj), age(obj, now)])
    readers = [_reader(d["type"], jsonpath.parse(d["jsonPath"])) for d in definitions]
    headers = (NAME, *map(_column, definitions))
    return Printer(headers, lambda obj, now: [name(obj), *(read(obj, now) for read in readers)])


def _column(definition: Obj) -> Column:
    words = f"Custom resource definition column (in JSONPath format): {definition['jsonPath']}"
    return Column(
        definition["name"],
        definition["type"],
        definition.get("format", ""),
        definition.get("description") or words,
        definition.get("priority", 0),
    )


def _reader(type: str, path: jsonpath.JSONPath) -> Cell:
    """The cell of the first match; null if there is none or it has another type."""

    def read(obj: Obj, now: float) -> Any:
        try:
            found = path.find(obj)
        except jsonpath.JSONPathError:
            return None
        return _convert(type, found[0], now) if found else None

    return read


def _convert(type: str, value: Any, now: float) -> Any:
    if type == "string":
        return jsonpath.text(value)
    if type == "boolean":
        return value if isinstance(value, bool) else None
    if type == "date":
        return _date(value, now) if isinstance(value, str) else None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return int(value) if type == "integer" else float(value)


def _date(value: str, now: float) -> str:
    if not value:
        return since(None, now)
    try:
        return since(canonical(value), now)
    except TimeError:
        return "<invalid>"
