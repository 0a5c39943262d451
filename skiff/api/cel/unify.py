"""When a type fits where another is expected, with type parameters standing for what they were first seen as.

A mapping is extended on a copy: an overload that does not fit leaves no trace. Source: cel-go checker/types.go.
"""

from collections.abc import Sequence

from skiff.api.cel.types import DYN, Type, is_dyn

Mapping = dict[Type, Type]

_NULLABLE = frozenset(("opaque", "object", "timestamp", "duration"))


def assignable(mapping: Mapping, wanted: Sequence[Type], given: Sequence[Type]) -> Mapping | None:
    """The mapping under which all types fit in pairs, or None."""
    trial = dict(mapping)
    return trial if _all(trial, wanted, given) else None


def _all(m: Mapping, one: Sequence[Type], two: Sequence[Type]) -> bool:
    return len(one) == len(two) and all(_fits(m, a, b) for a, b in zip(one, two, strict=True))


def _fits(m: Mapping, a: Type, b: Type) -> bool:
    if b.kind == "param":
        valid, known = _substitutes(m, a, b)
        if valid or known:
            return valid
    if a.kind == "param":
        return _substitutes(m, b, a)[0]
    if is_dyn(a) or is_dyn(b):
        return True
    if a.kind == "null" or b.kind == "null":
        other = b if a.kind == "null" else a
        return other.kind in _NULLABLE or other.kind == "null"
    if a.kind == "type":
        return b.kind == "type"
    if a.kind in ("opaque", "list", "map"):
        return a.kind == b.kind and a.name == b.name and _all(m, a.params, b.params)
    return a == b


def _substitutes(m: Mapping, t: Type, parameter: Type) -> tuple[bool, bool]:
    """Whether a parameter may stand for a type, and whether it already stood for one."""
    if t == parameter:
        return True, True
    known = m.get(parameter)
    if known is not None:
        if t == known:
            return True, True
        if _fits(m, t, known):
            general = most_general(t, known)
            if _free(m, parameter, general):
                m[parameter] = general
            return True, True
        return False, True
    if _free(m, parameter, t):
        m[parameter] = t
        return True, False
    return False, False


def _free(m: Mapping, parameter: Type, within: Type) -> bool:
    """Whether a parameter does not occur in a type: else the type would contain itself."""
    if within == parameter:
        return False
    if within.kind == "param":
        known = m.get(within)
        return known is None or _free(m, parameter, known)
    return all(_free(m, parameter, p) for p in within.params)


def most_general(a: Type, b: Type) -> Type:
    return a if _less_specific(a, b) else b


def _less_specific(a: Type, b: Type) -> bool:
    if is_dyn(a) or a.kind == "param":
        return True
    if is_dyn(b) or b.kind == "param" or a.kind != b.kind:
        return False
    if a.kind == "type":
        return True
    if a.kind in ("opaque", "list", "map"):
        same = a.name == b.name and len(a.params) == len(b.params)
        return same and all(_less_specific(x, y) for x, y in zip(a.params, b.params, strict=True))
    return a == b


def substitute(m: Mapping, t: Type, *, final: bool = False) -> Type:
    """A type with its parameters replaced; those that stand for nothing become dyn when it is final."""
    known = m.get(t)
    if known is not None:
        return substitute(m, known, final=final)
    if t.kind == "param":
        return DYN if final else t
    if not t.params:
        return t
    return Type(t.kind, t.name, tuple(substitute(m, p, final=final) for p in t.params))
