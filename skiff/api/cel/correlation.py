"""What a value was before an update: which old element stands for which new one, and whether anything changed.

A mistake in a part that did not change is forgiven (ratcheting), as far as that part can be found again in the old object:
by name in maps, by key in lists of type map. Source: apiserver pkg/cel/common/{equality,maplist}.go.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Schema = Mapping[str, Any]


def key_of(element: Any, names: tuple[str, ...]) -> tuple[Any, ...] | None:
    """The key of an element of a list of type map; None if it has none."""
    if not isinstance(element, dict):
        return None
    key = tuple(element.get(n) for n in names)
    if any(k is None or isinstance(k, (dict, list)) for k in key):
        return None
    return tuple((type(k) is bool, k) for k in key)


def by_key(schema: Schema, values: Any) -> dict[tuple[Any, ...], Any]:
    """The elements of an old list, the first of each key; empty unless its elements can be told apart."""
    names = tuple(schema.get("x-kubernetes-list-map-keys") or ())
    found: dict[tuple[Any, ...], Any] = {}
    if schema.get("x-kubernetes-list-type") == "map" and names and isinstance(values, list):
        for value in values:
            key = key_of(value, names)
            if key is not None:
                found.setdefault(key, value)
    return found


def is_correlatable(schema: Schema) -> bool:
    """Whether the entries of a map or object can be found again."""
    return schema.get("x-kubernetes-map-type") in (None, "", "granular", "atomic")


def same(one: Any, two: Any) -> bool:
    """Equal JSON: other than in Python, true is not 1 and 1.0 is not 1."""
    if isinstance(one, dict):
        return isinstance(two, dict) and one.keys() == two.keys() and all(same(v, two[k]) for k, v in one.items())
    if isinstance(one, list):
        return isinstance(two, list) and len(one) == len(two) and all(map(same, one, two))
    return type(one) is type(two) and bool(one == two)


@dataclass(frozen=True, slots=True)
class Pair:
    """A value and what it was."""

    value: Any
    old: Any
    schema: Schema

    def unchanged(self) -> bool:
        return same(self.value, self.old)

    def key(self, name: str) -> "Pair | None":
        if not isinstance(self.value, dict) or not isinstance(self.old, dict):
            return None
        if name not in self.value or name not in self.old:
            return None
        below = (self.schema.get("properties") or {}).get(name) or self.schema.get("additionalProperties")
        return Pair(self.value[name], self.old[name], below) if isinstance(below, Mapping) else None

    def index(self, at: int, old_by_key: Mapping[tuple[Any, ...], Any]) -> "Pair | None":
        items = self.schema.get("items")
        if not isinstance(self.value, list) or not isinstance(items, Mapping):
            return None
        key = key_of(self.value[at], tuple(self.schema.get("x-kubernetes-list-map-keys") or ()))
        old = old_by_key.get(key) if key else None
        return None if old is None else Pair(self.value[at], old, items)


@dataclass(frozen=True, slots=True)
class Ratchet:
    """Where an update is compared: the pair at this place, or the nearest above that there is. here None: this place
    cannot be found in the old object; both None: nothing is forgiven."""

    here: Pair | None = None
    above: Pair | None = None

    def forgives(self) -> bool:
        pair = self.here or self.above
        return pair is not None and pair.unchanged()

    def key(self, name: str) -> "Ratchet":
        if self.here is None:
            return self
        if self.above is None and name in ("apiVersion", "kind"):
            return NOTHING  # what changed there is not visible: both objects were converted
        return Ratchet(self.here.key(name), self.here)

    def index(self, at: int, old_by_key: Mapping[tuple[Any, ...], Any]) -> "Ratchet":
        return self if self.here is None else Ratchet(self.here.index(at, old_by_key), self.here)


NOTHING = Ratchet()
