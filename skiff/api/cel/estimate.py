"""How much an expression may cost at most, from its types and the limits in the schema, before it ever runs.

Which rules a definition may contain depends on these figures, so they follow upstream's arithmetic to the unit, with its
saturation at 2^64-1. A size or cost is a pair (least, most). Source: cel-go checker/cost.go, apiserver
pkg/cel/library/cost.go, cel-go ext/lists.go.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from skiff.api.cel import costs, types
from skiff.api.cel.ast import (
    ACCUMULATOR,
    Call,
    Comprehension,
    Expr,
    Ident,
    ListLiteral,
    Literal,
    MapLiteral,
    Select,
)
from skiff.api.cel.types import SCALARS, Type, is_optional

Pair = tuple[int, int]
Path = tuple[str, ...]
SizeOf = Callable[[Path], int | None]
"""A path (`self`, `spec`, `@items`) → the most elements or characters that can be there; None: unknown."""

MOST = 2**64 - 1
UNKNOWN: Pair = (0, MOST)
ONE: Pair = (1, 1)
ZERO: Pair = (0, 0)
STRING, REGEX = costs.STRING_FACTOR, costs.REGEX_FACTOR


def plus(a: Pair, b: Pair) -> Pair:
    return min(a[0] + b[0], MOST), min(a[1] + b[1], MOST)


def times(a: Pair, b: Pair) -> Pair:
    return min(a[0] * b[0], MOST), min(a[1] * b[1], MOST)


def scaled(a: Pair, factor: float) -> Pair:
    return _scale(a[0], factor), _scale(a[1], factor)


def union(a: Pair, b: Pair) -> Pair:
    return min(a[0], b[0]), max(a[1], b[1])


def _scale(x: int, factor: float) -> int:
    product = math.ceil(float(x) * factor)
    return min(product, MOST)


@dataclass(slots=True)
class Entries:
    """The sizes of the keys and the values of a list or map."""

    kind: str
    key: Pair
    value: Pair

    def union(self, other: "Entries | None") -> "Entries | None":
        return Entries(self.kind, union(self.key, other.key), union(self.value, other.value)) if other else None


@dataclass(slots=True)
class Local:
    path: Path
    size: Pair | None
    entries: Entries | None


@dataclass(slots=True)
class Node:
    """An operand of a call."""

    type: Type
    size: Pair
    path: Path
    expr: Expr


@dataclass(slots=True)
class Estimate:
    cost: Pair
    size: Pair | None = None


def estimate(root: Expr, size_of: SizeOf) -> Pair:
    """The least and the most that evaluating a checked tree can cost."""
    return _Estimator(size_of).cost(root)


class _Estimator:
    def __init__(self, size_of: SizeOf) -> None:
        self.size_of = size_of
        self.paths: dict[int, Path] = {}
        self.sizes: dict[int, Pair] = {}
        self.entries: dict[int, Entries] = {}
        self.locals: dict[str, list[Local]] = {}

    def cost(self, e: Expr) -> Pair:
        match e:
            case Ident():
                local = self._local(e.name)
                self.paths[id(e)] = local.path if local else (e.name,)
                return ONE
            case Select():
                return self._select(e)
            case Call():
                return self._call(e)
            case ListLiteral():
                return self._list(e)
            case MapLiteral():
                return self._map(e)
            case Comprehension():
                return self._bind(e) if e.is_bind else self._comprehension(e)
        return ZERO

    # --- what is known of a node

    def _local(self, name: str) -> Local | None:
        known = self.locals.get(name)
        return known[-1] if known else None

    def _path(self, e: Expr) -> Path:
        if isinstance(e, Ident) and (local := self._local(e.name)):
            return local.path
        return self.paths.get(id(e), ())

    def _size(self, e: Expr) -> Pair | None:
        known = self.sizes.get(id(e)) or _literal_size(e)
        if known is not None:
            return known
        path = self._path(e)
        most = self.size_of(path) if path else None
        if most is not None:
            self.sizes[id(e)] = (0, most)
            return 0, most
        if _is_scalar(e.type):
            return ONE
        local = self._local(e.name) if isinstance(e, Ident) else None
        return local.size if local else None

    def _size_or_unknown(self, e: Expr) -> Pair:
        return self._size(e) or UNKNOWN

    def _entries(self, e: Expr) -> Entries | None:
        known = self.entries.get(id(e))
        if known is None and isinstance(e, Ident) and (local := self._local(e.name)):
            return local.entries
        return known

    def _copy(self, to: Expr, of: Expr) -> None:
        if (size := self._size(of)) is not None:
            self.sizes[id(to)] = size
        if (entries := self._entries(of)) is not None:
            self.entries[id(to)] = entries

    def _node(self, e: Expr) -> Node:
        path = self._path(e)
        if path and path[0] in ("__result__", ACCUMULATOR):
            path = ()
        return Node(e.type, self._size_or_unknown(e), path, e)

    # --- nodes

    def _select(self, e: Select) -> Pair:
        if e.name:
            self.paths[id(e)] = (e.name,)
            return ONE
        total = self.cost(e.operand)
        if e.test:
            return total
        if e.operand.type.kind in ("map", "object", "param"):
            total = plus(total, ONE)
        self.paths[id(e)] = (*self._path(e.operand), e.field)
        return total

    def _list(self, e: ListLiteral) -> Pair:
        total: Pair = (costs.LIST_BASE, costs.LIST_BASE)
        value: Pair = (MOST if e.elements else 0, 0)
        for element in e.elements:
            total = plus(total, self.cost(element))
            value = union(value, self._size_or_unknown(element))
        self.entries[id(e)] = Entries("list", ONE, value)
        return total

    def _map(self, e: MapLiteral) -> Pair:
        total: Pair = (costs.MAP_BASE, costs.MAP_BASE)
        key = value = (MOST if e.entries else 0, 0)
        for entry in e.entries:
            total = plus(total, plus(self.cost(entry.key), self.cost(entry.value)))
            key = union(key, self._size_or_unknown(entry.key))
            value = union(value, self._size_or_unknown(entry.value))
        self.entries[id(e)] = Entries("map", key, value)
        return total

    def _push(self, name: str, local: Local) -> None:
        self.locals.setdefault(name, []).append(local)

    def _push_variables(self, e: Comprehension) -> None:
        entries, path = self._entries(e.range), self._path(e.range)
        is_list = (entries.kind if entries else e.range.type.kind) == "list"
        key = Local((*path, "@indices" if is_list else "@keys"), entries.key if entries else None, None)
        value = Local((*path, "@items" if is_list else "@values"), entries.value if entries else None, None)
        if e.var2:
            self._push(e.var, key)
            self._push(e.var2, value)
        else:
            self._push(e.var, value if is_list else key)

    def _comprehension(self, e: Comprehension) -> Pair:
        total = plus(self.cost(e.range), self.cost(e.init))
        self._push(e.accumulator, Local(self._path(e.init), self._size(e.init), self._entries(e.init)))
        self._push_variables(e)
        each = self.cost(e.condition)
        each = plus(each, self.cost(e.step))
        self.locals[e.var].pop()
        if e.var2:
            self.locals[e.var2].pop()
        total = plus(total, self.cost(e.result))
        self.locals[e.accumulator].pop()
        rounds = self._size_or_unknown(e.range)
        total = plus(total, times(rounds, each))
        if isinstance(e.init, Literal):
            if (size := self._size(e.init)) is not None:
                self.sizes[id(e)] = size
        else:
            self.sizes[id(e)] = rounds
            if (grown := self._entries(e.step)) is not None:
                self.entries[id(e)] = grown
        return total

    def _bind(self, e: Comprehension) -> Pair:
        total = plus(self.cost(e.range), self.cost(e.init))
        self._push(e.accumulator, Local(self._path(e.init), self._size(e.init), self._entries(e.init)))
        total = plus(total, self.cost(e.result))
        self.locals[e.accumulator].pop()
        self._copy(e, e.result)
        return total

    # --- calls

    def _call(self, e: Call) -> Pair:
        if e.function == "dyn":
            total = plus(ONE, self.cost(e.args[0]))
            self._copy(e, e.args[0])
            return total
        arg_costs = [self.cost(a) for a in e.args]
        args = [self._node(a) for a in e.args]
        if not e.overloads:
            return ZERO
        total = ZERO
        target = None
        if e.target is not None:
            total = self.cost(e.target)
            target = self._node(e.target)
        own: Pair = (MOST, 0)
        size: Pair | None = None
        for overload in e.overloads:
            found = self._function(e, overload, target, args, arg_costs)
            own = union(own, found.cost)
            if found.size is not None:
                size = union(size, found.size) if size else found.size
            if overload in ("index_list", "index_map"):
                entries = self._entries(e.args[0])
                size = entries.value if entries else None
                self.paths[id(e)] = (*self._path(e.args[0]), "@items" if overload == "index_list" else "@values")
            if size is None:
                size = self._size(e)
        if size is not None:
            self.sizes[id(e)] = size
        return plus(total, own)

    def _function(
        self, e: Call, overload: str, target: Node | None, args: Sequence[Node], arg_costs: Sequence[Pair]
    ) -> Estimate:
        before = ZERO
        for cost in arg_costs:
            before = plus(before, cost)
        found = self._of_list_library(overload, target, args) or self._of_kubernetes(e.function, overload, target, args)
        if found is not None:
            return Estimate(plus(found.cost, before), found.size)
        return self._of_language(e, overload, target, args, arg_costs, before)

    def _of_language(
        self,
        e: Call,
        overload: str,
        target: Node | None,
        args: Sequence[Node],
        arg_costs: Sequence[Pair],
        before: Pair,
    ) -> Estimate:
        sizes = [a.size for a in args]
        if overload in ("logical_or", "logical_and"):
            return Estimate((arg_costs[0][0], plus(arg_costs[0], arg_costs[1])[1]))
        if overload == "conditional":
            return self._conditional(e, args, arg_costs)
        if overload in ("add_string", "add_bytes", "add_list"):
            return self._sum(e, overload, args, before)
        if overload in _COMPARISONS:
            most = min(sizes[0][1], sizes[1][1])
            return Estimate(plus(scaled((1 if most else 0, most), STRING), before))
        known = _SIMPLE.get(overload)
        if known is not None:
            own = known(target.size if target else ZERO, sizes)
            return Estimate(plus(own.cost, before), own.size)
        return Estimate(plus(ONE, before))

    def _conditional(self, e: Call, args: Sequence[Node], arg_costs: Sequence[Pair]) -> Estimate:
        one, two = self._entries(args[1].expr), self._entries(args[2].expr)
        if one is not None and (joined := one.union(two)):
            self.entries[id(e)] = joined
        cost = plus(arg_costs[0], union(arg_costs[1], arg_costs[2]))
        return Estimate(cost, union(args[1].size, args[2].size))

    def _sum(self, e: Call, overload: str, args: Sequence[Node], before: Pair) -> Estimate:
        size = plus(args[0].size, args[1].size)
        one, two = self._entries(args[0].expr), self._entries(args[1].expr)
        if one is not None and (joined := one.union(two)):
            self.entries[id(e)] = joined
        own = ONE if overload == "add_list" else scaled(size, STRING)
        return Estimate(plus(own, before), size)

    def _of_list_library(self, overload: str, target: Node | None, args: Sequence[Node]) -> Estimate | None:
        if overload.startswith("list_sets_"):
            factor = 2 if overload == "list_sets_equivalent_list" else 1
            return Estimate(plus(scaled(times(args[0].size, args[1].size), factor), ONE))
        if overload == "lists_range":
            return _allocating(1, _fixed(_integer(args[0].expr, MOST)))
        if target is None:
            return None
        size = target.size
        match overload:
            case "list_slice":
                length = _integer(args[1].expr, size[1]) - _integer(args[0].expr, 0)
                return _allocating(1, _fixed(length % 2**64))
            case "list_reverse":
                return _allocating(1, size)
            case "list_flatten" | "list_flatten_int":
                return _allocating(float(_integer(args[0].expr, MOST)) if args else 1.0, size)
            case "list_distinct":
                return _allocating(2, times(size, size))
        for suffix, of in (("_sort", size), ("_sortByAssociatedKeys", args[0].size if args else size)):
            kind = overload.removeprefix("list_").removesuffix(suffix)
            if overload.startswith("list_") and overload.endswith(suffix) and kind in _SORTABLE:
                return _allocating(2 + (STRING if kind in ("string", "bytes") else 0), times(of, of))
        return None

    def _of_kubernetes(
        self, function: str, overload: str, target: Node | None, args: Sequence[Node]
    ) -> Estimate | None:
        if function in _FIXED:
            return Estimate(_fixed(_FIXED[function]))
        if function in _OF_ARGUMENT and len(args) == 1:
            size = args[0].size
            return Estimate(scaled(size, STRING), size if function in ("url", "jsonpatch.escapeKey") else None)
        if function in _PARSING and args and overload != "cidr_ip":
            return Estimate(scaled(args[0].size, _PARSING[function]))
        match function:
            case "ip":
                return Estimate(ONE)
            case "fieldSelector" | "labelSelector" if len(args) == 1:
                return Estimate(_selector(args[0].size))
            case "containsIP" | "containsCIDR" if args:
                return Estimate(_contained(function, overload, args[0].size))
            case "validate" if args:
                return Estimate(scaled(scaled(args[0].size, STRING), 128 * REGEX))
            case "_==_":
                return _kubernetes_equality(args)
        return self._of_target(function, target, args) if target is not None else None

    def _of_target(self, function: str, target: Node, args: Sequence[Node]) -> Estimate | None:
        size = target.size
        match function:
            case "isSorted" | "sum" | "max" | "min" | "indexOf" | "lastIndexOf":
                return self._walk(target)
            case "lowerAscii" | "upperAscii" | "substring" | "trim":
                return Estimate(scaled(size, STRING), size)
            case "replace" if len(args) >= 2:
                return Estimate(scaled(size, 2 * STRING), _replaced(size, args[0].size, args[1].size))
            case "split":
                limit = args[1].expr if len(args) > 1 else None
                known = isinstance(limit, Literal) and type(limit.value) is int
                most = limit.value % 2**64 if isinstance(limit, Literal) and known else size[1]
                return Estimate(scaled(size, 2 * STRING), (0, most))
            case "join":
                joined = self._joined(target, args)
                return Estimate(scaled(joined, STRING), joined)
            case "find" | "findAll" if args:
                cost = times(scaled(plus(size, ONE), STRING), scaled(args[0].size, REGEX))
                return Estimate(cost, (0, size[1]))
        return None

    def _element(self, target: Node) -> tuple[Type, Pair] | None:
        """The type and the size of the elements of a list."""
        if not target.type.params:
            return None
        most = self.size_of((*target.path, "@items")) if target.path else None
        return target.type.params[0], UNKNOWN if most is None else (0, most)

    def _walk(self, target: Node) -> Estimate:
        element = self._element(target)
        if element is None:
            return Estimate(scaled(target.size, STRING))
        each = ONE
        if element[0].kind in ("string", "bytes"):
            each = plus(ONE, scaled(element[1], STRING))
        return Estimate(times(target.size, each))

    def _joined(self, target: Node, args: Sequence[Node]) -> Pair:
        element = self._element(target)
        size = times(target.size, element[1]) if element else ZERO
        if args:
            separators = max(target.size[0] - 1, 0), max(target.size[1] - 1, 0)
            size = plus(size, times(args[0].size, separators))
        return size


# --- rules that need no tree


def _literal_size(e: Expr) -> Pair | None:
    match e:
        case Literal():
            return _fixed(len(e.value) if isinstance(e.value, (str, bytes)) else 1)
        case ListLiteral():
            return _fixed(len(e.elements))
        case MapLiteral():
            return _fixed(len(e.entries))
    return None


def _is_scalar(t: Type) -> bool:
    return t.kind in SCALARS or (is_optional(t) and _is_scalar(t.params[0]))


def _fixed(n: int) -> Pair:
    return n, n


def _integer(e: Expr, otherwise: int) -> int:
    if isinstance(e, Literal) and type(e.value) is int:
        return max(e.value, 0)
    return otherwise


def _allocating(factor: float, size: Pair) -> Estimate:
    return Estimate(plus(scaled(size, factor), _fixed(1 + costs.LIST_BASE)), size)


def _selector(size: Pair) -> Pair:
    requirements = scaled(scaled(size, 0.5), float(costs.LIST_BASE + costs.STRUCT_BASE))
    return plus(plus(_fixed(costs.LIST_BASE), scaled(size, STRING)), requirements)


def _contained(function: str, overload: str, size: Pair) -> Pair:
    cost = scaled((8, 32), STRING)
    if function == "containsCIDR":
        cost = plus(plus(cost, scaled((4, 16), STRING)), ONE)
    return plus(cost, scaled(size, STRING)) if overload.endswith("_string") else cost


def _replaced(size: Pair, old: Pair, new: Pair) -> Pair:
    """The length of a text after replacing."""
    if old[0] == 0:
        most_times, most_kept = min(size[1] + 1, MOST), size[1]
    elif new[1] <= old[0]:
        most_times, most_kept = 0, size[1]
    else:
        most_times, most_kept = math.ceil(size[1] / old[0]), 0
    if old[1] == 0:
        least_times, least_kept = min(size[0] + 1, MOST), size[0]
    elif old[1] <= new[0]:
        least_times, least_kept = 0, size[0]
    else:
        least_times, least_kept = math.ceil(size[0] / old[1]), 0
    return plus(times((least_times, min(most_times, MOST)), new), (least_kept, most_kept))


_UNIT_EQUALITY = frozenset(
    ("net.IP", "net.CIDR", "kubernetes.Quantity", "kubernetes.Semver", "kubernetes.authorization.Authorizer")
) | frozenset(f"kubernetes.authorization.{n}" for n in ("PathCheck", "GroupCheck", "ResourceCheck", "Decision"))


def _kubernetes_equality(args: Sequence[Node]) -> Estimate | None:
    if args[0].type != args[1].type:
        return None
    name = args[0].type.name
    if name in _UNIT_EQUALITY:
        return Estimate(ONE)
    if name == types.FORMAT.name:
        return Estimate(scaled((1, 64), STRING))
    return Estimate(scaled((1, args[1].size[1]), STRING)) if name == types.URL.name else None


def _of_first(sizes: Sequence[Pair]) -> Estimate:
    return Estimate(scaled(sizes[0], STRING))


Simple = Callable[[Pair, Sequence[Pair]], Estimate]
_SIMPLE: dict[str, Simple] = {
    "string_format": lambda target, _: Estimate(scaled(target, STRING)),
    "string_to_bytes": lambda _, s: Estimate(scaled(s[0], STRING), (s[0][0], s[0][1] * 4 % 2**64)),
    "bytes_to_string": lambda _, s: Estimate(scaled(s[0], STRING), (s[0][0] // 4, s[0][1])),
    "strings_quote": lambda _, s: Estimate(scaled(s[0], STRING), (s[0][0] + 2, (s[0][1] * 2 + 2) % 2**64)),
    "starts_with_string": lambda _, s: _of_first(s),
    "ends_with_string": lambda _, s: _of_first(s),
    "in_list": lambda _, s: Estimate(scaled(s[1], 1)),
    "matches_string": lambda t, s: Estimate(times(scaled(plus(t, ONE), STRING), scaled(s[0], REGEX))),
    "contains_string": lambda t, s: Estimate(times(scaled(t, STRING), scaled(s[0], STRING))),
}
_COMPARISONS = frozenset(
    ["equals", "not_equals"]
    + [f"{op}_{k}" for op in ("less", "greater", "less_equals", "greater_equals") for k in ("string", "bytes")]
)
_SORTABLE = frozenset(costs.COMPARABLE.values())
_FIXED = {
    "check": costs.AUTHORIZATION_CHECK,
    **dict.fromkeys(
        [
            "serviceAccount",
            "path",
            "group",
            "resource",
            "subresource",
            "namespace",
            "name",
            "allowed",
            "reason",
            "error",
            "errored",
            "masked",
            "prefixLength",
            "family",
            "isUnspecified",
            "isLoopback",
            "isLinkLocalMulticast",
            "isLinkLocalUnicast",
            "isGlobalUnicast",
            "format.named",
            "sign",
            "asInteger",
            "isInteger",
            "asApproximateFloat",
            "isGreaterThan",
            "isLessThan",
            "compareTo",
            "add",
            "sub",
            "major",
            "minor",
            "patch",
            "getScheme",
            "getHostname",
            "getHost",
            "getPort",
            "getEscapedPath",
            "getQuery",
        ],
        1,
    ),
}
_OF_ARGUMENT = frozenset(("url", "jsonpatch.escapeKey"))
_PARSING = {
    **dict.fromkeys(("cidr", "isIP", "isCIDR", "ip", "quantity", "isQuantity", "semver", "isSemver"), STRING),
    "ip.isCanonical": 2 * STRING,
}
