"""Sets of fields in the form in which managedFields carry them (FieldsV1), and the operations on them.

A set is a tree of dicts. Keys are path elements: `f:<field>`, `k:{"<key>":<value>,…}` (an element of a list with keys),
`v:<value>` (an element of a set) and `i:<index>`; values are the trees below. A field is a member of the set if its
tree is empty or contains ".". Sets are never changed once made: operations share what stays the same and return their
first argument itself when it does not change. Source: structured-merge-diff, fieldpath.
"""

from collections.abc import Iterator
from typing import Any

import orjson

FieldSet = dict[str, Any]
Path = tuple[str, ...]

MEMBER = "."
LEAF: FieldSet = {}


def tree(children: FieldSet, member: bool) -> FieldSet | None:
    """The tree of one field; None if it holds nothing."""
    if not children:
        return LEAF if member else None
    return {MEMBER: LEAF, **children} if member else children


def is_member(found: FieldSet) -> bool:
    return not found or MEMBER in found


def put(target: FieldSet, element: str, found: FieldSet | None) -> None:
    """In place, into a set that is being made."""
    if found is not None:
        target[element] = found


def ordered(found: FieldSet) -> FieldSet:
    """The same set with its elements sorted."""
    return {k: ordered(v) if v else v for k, v in sorted(found.items())}


# --- operations on whole sets


def union(a: FieldSet, b: FieldSet) -> FieldSet:
    result = None
    for element, other in b.items():
        mine = a.get(element)
        joined = other if mine is None else _join(mine, other)
        if joined is not mine:
            result = result or a.copy()
            result[element] = joined
    if result is None:
        return a
    return dict(sorted(result.items())) if len(result) > len(a) else result


def _join(a: FieldSet, b: FieldSet) -> FieldSet:
    if not b:
        return a if is_member(a) else {MEMBER: LEAF, **a}
    if not a:
        return b if MEMBER in b else {MEMBER: LEAF, **b}
    return union(a, b)


def difference(a: FieldSet, b: FieldSet) -> FieldSet:
    """The members of a that are not members of b. A field does not stand for what is below it."""
    result = None
    for element, other in b.items():
        mine = a.get(element)
        if mine is None:
            continue
        rest = _subtract(mine, other)
        if rest is not mine:
            result = a.copy() if result is None else result
            put_or_drop(result, element, rest)
    return a if result is None else result


def _subtract(a: FieldSet, b: FieldSet) -> FieldSet | None:
    if not a:
        return None if is_member(b) else a
    if not b:
        if MEMBER not in a:
            return a
        return {k: v for k, v in a.items() if k != MEMBER} or None
    rest = difference(a, b)
    return rest if rest is a else _plain(rest)


def _plain(found: FieldSet) -> FieldSet | None:
    """A tree that may hold nothing, or nothing but itself, in its one form."""
    if len(found) == 1 and MEMBER in found:
        return LEAF
    return found or None


def put_or_drop(target: FieldSet, element: str, found: FieldSet | None) -> None:
    if found is None:
        target.pop(element, None)
    else:
        target[element] = found


def recursive_difference(a: FieldSet, b: FieldSet) -> FieldSet:
    """The members of a that are neither members of b nor below one."""
    result: FieldSet = {}
    for element, mine in a.items():
        other = b.get(element)
        if other is None:
            result[element] = mine
        elif not is_member(other):
            put(result, element, _plain(recursive_difference(mine, other)) if mine else mine)
    return result


def intersection(a: FieldSet, b: FieldSet) -> FieldSet:
    """The members of both."""
    result: FieldSet = {}
    for element, mine in a.items():
        other = b.get(element)
        if other is None or element == MEMBER:
            continue
        both = intersection(mine, other) if mine and other else {}
        put(result, element, tree(both, is_member(mine) and is_member(other)))
    return result


# --- members


def has(found: FieldSet, path: Path) -> bool:
    """Whether the field is a member."""
    for element in path:
        below = found.get(element)
        if below is None:
            return False
        found = below
    return is_member(found)


def insert(target: FieldSet, path: Path) -> None:
    """In place, into a set that is being made."""
    for element in path[:-1]:
        below = target.get(element)
        if not below:
            below = target[element] = {} if below is None else {MEMBER: LEAF}
        target = below
    last = path[-1]
    if target.get(last):
        target[last].setdefault(MEMBER, LEAF)
    else:
        target[last] = {}


def members(found: FieldSet, path: Path = ()) -> Iterator[Path]:
    """Every member's path, parents first, sorted."""
    for element, below in sorted(found.items()):
        if element == MEMBER:
            continue
        here = (*path, element)
        if is_member(below):
            yield here
        yield from members(below, here)


# --- path elements


def key_element(keys: dict[str, Any]) -> str:
    return "k:" + orjson.dumps(keys, option=orjson.OPT_SORT_KEYS).decode()


def value_element(value: Any) -> str:
    return "v:" + orjson.dumps(value).decode()


def path_text(path: Path) -> str:
    """As upstream prints it: `.spec.containers[name="web"].image`."""
    return "".join(map(_element_text, path))


def _element_text(element: str) -> str:
    kind, body = element[:2], element[2:]
    if kind == "f:":
        return f".{body}"
    if kind == "k:":
        pairs = orjson.loads(body).items()
        return "[" + ",".join(f"{k}={_value_text(v)}" for k, v in pairs) + "]"
    return f"[={_value_text(orjson.loads(body))}]" if kind == "v:" else f"[{body}]"


def _value_text(value: Any) -> str:
    return orjson.dumps(value).decode()


def decode(fields: Any) -> FieldSet:
    """A set that a client sent, in our form: keys canonical, unknown kinds of elements left out. Raises ValueError."""
    if not isinstance(fields, dict):
        raise ValueError("fieldsV1 is no object")
    result: FieldSet = {}
    for element, below in fields.items():
        if element == MEMBER:
            result[MEMBER] = LEAF
        elif (name := _canonical(element)) is not None:
            result[name] = decode(below)
    return result


def _canonical(element: str) -> str | None:
    kind, body = element[:2], element[2:]
    if len(element) < 2 or kind[1] != ":":
        raise ValueError(f"missing colon: {element}")
    if kind == "f:":
        return element
    if kind == "i:":
        return f"i:{int(body)}"
    if kind == "v:":
        return value_element(orjson.loads(body))
    if kind == "k:":
        keys = orjson.loads(body)
        if not isinstance(keys, dict):
            raise ValueError(f"no keys: {element}")
        return key_element(keys)
    return None
