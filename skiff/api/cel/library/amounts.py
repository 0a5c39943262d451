"""Quantities and semantic versions. Source: apiserver pkg/cel/library/{quantity,semverlib}.go, blang/semver."""

import re
from functools import total_ordering

from skiff.api import quantity
from skiff.api.cel.errors import CelError
from skiff.api.cel.functions import Row
from skiff.api.cel.values import MAX_INT, MAX_UINT, MIN_INT, register
from skiff.api.quantity import Quantity, QuantityError

_NANO = 10**9


class Amount:
    """A quantity as a value."""

    __slots__ = ("nanos", "quantity")
    cel_constant_equality = True

    def __init__(self, amount: Quantity) -> None:
        self.quantity = amount
        self.nanos = amount.nanos

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Amount) and self.nanos == other.nanos

    def __hash__(self) -> int:
        return hash(self.nanos)

    def __str__(self) -> str:
        return str(self.quantity)


register(Amount, "kubernetes.Quantity")


def _parse(text: str) -> Amount:
    try:
        return Amount(quantity.parse(text))
    except QuantityError as e:
        raise CelError(str(e)) from e


def _is_quantity(text: str) -> bool:
    try:
        quantity.parse(text)
    except QuantityError:
        return False
    return True


def _is_integer(a: Amount) -> bool:
    return a.nanos % _NANO == 0 and MIN_INT <= a.nanos // _NANO <= MAX_INT


def _integer(a: Amount) -> int:
    if not _is_integer(a):
        raise CelError("cannot convert value to integer")
    return a.nanos // _NANO


def _plus(a: Amount, nanos: int) -> Amount:
    return Amount(Quantity(a.nanos + nanos, a.quantity.format))


def _sign(a: int) -> int:
    return (a > 0) - (a < 0)


_NUMBER = re.compile(r"0|[1-9][0-9]{0,19}", re.ASCII)
_IDENTIFIER = re.compile(r"[0-9A-Za-z-]+", re.ASCII)


@total_ordering
class Semver:
    """major.minor.patch, with a pre-release that orders and build data that does not."""

    __slots__ = ("build", "numbers", "pre")
    cel_constant_equality = True

    def __init__(self, numbers: tuple[int, int, int], pre: tuple[str, ...], build: tuple[str, ...]) -> None:
        self.numbers = numbers
        self.pre = pre
        self.build = build

    def _order(self) -> tuple[object, ...]:
        pre = tuple((0, int(p), "") if p.isdigit() else (1, 0, p) for p in self.pre)
        return (self.numbers, not self.pre, pre)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Semver) and self._order() == other._order()

    def __lt__(self, other: "Semver") -> bool:
        return self._order() < other._order()

    def __hash__(self) -> int:
        return hash(self._order())

    def __str__(self) -> str:
        text = ".".join(map(str, self.numbers))
        text += "-" + ".".join(self.pre) if self.pre else ""
        return text + ("+" + ".".join(self.build) if self.build else "")


register(Semver, "kubernetes.Semver")


def parse_semver(text: str) -> Semver:
    if not text:
        raise CelError("Version string empty")
    parts = text.split(".", 2)
    if len(parts) != 3:
        raise CelError("No Major.Minor.Patch elements found")
    rest, _, build = parts[2].partition("+")
    patch, _, pre = rest.partition("-")
    numbers = [_number(kind, value) for kind, value in (("major", parts[0]), ("minor", parts[1]), ("patch", patch))]
    has_pre, has_build = "-" in rest, "+" in parts[2]
    return Semver(
        (numbers[0], numbers[1], numbers[2]),
        tuple(_prerelease(p) for p in pre.split(".")) if has_pre else (),
        tuple(_identifier("Build meta data", b) for b in build.split(".")) if has_build else (),
    )


def _number(kind: str, text: str) -> int:
    if not re.fullmatch(r"[0-9]+", text, re.ASCII):
        raise CelError(f'Invalid character(s) found in {kind} number "{text}"')
    if not _NUMBER.fullmatch(text):
        raise CelError(f'{kind.capitalize()} number must not contain leading zeroes "{text}"')
    if int(text) > MAX_UINT:
        raise CelError(f'strconv.ParseUint: parsing "{text}": value out of range')
    return int(text)


def _identifier(kind: str, text: str) -> str:
    if not text:
        raise CelError(f"{kind} is empty")
    if not _IDENTIFIER.fullmatch(text):
        raise CelError(f'Invalid character(s) found in {kind.lower()} "{text}"')
    return text


def _prerelease(text: str) -> str:
    _identifier("Prerelease", text)
    if text.isdigit() and not _NUMBER.fullmatch(text):
        raise CelError(f'Numeric PreRelease version must not contain leading zeroes "{text}"')
    return text


def _semver(text: str, normalize: bool = False) -> Semver:
    return parse_semver(_normalized(text) if normalize else text)


def _normalized(text: str) -> str:
    """Without a leading v and zeros, and with all three numbers."""
    parts = text.removeprefix("v").split(".", 2)
    for i, part in enumerate(parts):
        if len(part) > 1:
            stripped = part.lstrip("0")
            parts[i] = stripped if stripped and stripped[0].isdigit() else "0" + stripped
    if len(parts) < 3:
        if re.search(r"[+-]", parts[-1]):
            raise CelError("short version cannot contain PreRelease/Build meta data")
        parts += ["0"] * (3 - len(parts))
    return ".".join(parts)


def _is_semver(text: str, normalize: bool = False) -> bool:
    try:
        _semver(text, normalize)
    except CelError:
        return False
    return True


def _compare_versions(a: Semver, b: Semver) -> int:
    return (a > b) - (a < b)


ROWS: list[Row] = [
    ("quantity", "string_to_quantity", "string -> quantity", _parse),
    ("isQuantity", "is_quantity_string", "string -> bool", _is_quantity),
    ("sign", "quantity_sign", "quantity -> int", lambda a: _sign(a.nanos)),
    (".isGreaterThan", "quantity_is_greater_than", "quantity, quantity -> bool", lambda a, b: a.nanos > b.nanos),
    (".isLessThan", "quantity_is_less_than", "quantity, quantity -> bool", lambda a, b: a.nanos < b.nanos),
    (".compareTo", "quantity_compare_to", "quantity, quantity -> int", lambda a, b: _sign(a.nanos - b.nanos)),
    (".asApproximateFloat", "quantity_get_float", "quantity -> double", lambda a: a.nanos / _NANO),
    (".asInteger", "quantity_get_int", "quantity -> int", _integer),
    (".isInteger", "quantity_is_integer", "quantity -> bool", _is_integer),
    (".add", "quantity_add", "quantity, quantity -> quantity", lambda a, b: _plus(a, b.nanos)),
    (".add", "quantity_add_int", "quantity, int -> quantity", lambda a, n: _plus(a, n * _NANO)),
    (".sub", "quantity_sub", "quantity, quantity -> quantity", lambda a, b: _plus(a, -b.nanos)),
    (".sub", "quantity_sub_int", "quantity, int -> quantity", lambda a, n: _plus(a, -n * _NANO)),
    ("semver", "string_to_semver", "string -> semver", _semver),
    ("semver", "string_bool_to_semver", "string, bool -> semver", _semver),
    ("isSemver", "is_semver_string", "string -> bool", _is_semver),
    ("isSemver", "is_semver_string_bool", "string, bool -> bool", _is_semver),
    (".isGreaterThan", "semver_is_greater_than", "semver, semver -> bool", lambda a, b: a > b),
    (".isLessThan", "semver_is_less_than", "semver, semver -> bool", lambda a, b: a < b),
    (".compareTo", "semver_compare_to", "semver, semver -> int", _compare_versions),
    (".major", "semver_major", "semver -> int", lambda v: v.numbers[0]),
    (".minor", "semver_minor", "semver -> int", lambda v: v.numbers[1]),
    (".patch", "semver_patch", "semver -> int", lambda v: v.numbers[2]),
]
