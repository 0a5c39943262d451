"""resource.Quantity: `100m`, `1.5Gi`, `12e6` as exact numbers, and their canonical text.

A quantity is a whole number of nano-units, so arithmetic is exact and comparison is integer comparison. What upstream
rounds, we round: finer than nano goes up (away from zero), as do `value()` and `milli()`. Binary quantities are capped
at 2^63-1. Source: apimachinery pkg/api/resource.
"""

import re
from functools import lru_cache, total_ordering
from typing import Final

DECIMAL_SI: Final = "DecimalSI"
BINARY_SI: Final = "BinarySI"
DECIMAL_EXPONENT: Final = "DecimalExponent"

_NANO = 10**9
_MAX = (2**63 - 1) * _NANO
_LARGEST_EXPONENT = 1000
"""Beyond it nothing has a meaning, and a hostile exponent would cost memory."""


class QuantityError(ValueError):
    """Text that is no quantity, with upstream's sentence."""


FORMAT_WRONG = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
SUFFIX_WRONG = "unable to parse quantity's suffix"

_SHAPE = re.compile(r"([+-]?)0*([0-9]*)(?:\.([0-9]*))?([eEinumkKMGTP]*[-+]?[0-9]*)\Z", re.ASCII)
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_DECIMAL_SUFFIX = {exponent: suffix for suffix, exponent in _DECIMAL.items()}
_BINARY_SUFFIX = ["", *_BINARY]


@total_ordering
class Quantity:
    """An immutable amount. `nanos`: the number times 10^9; `format`: how it is written. Equality ignores the format."""

    __slots__ = ("_text", "format", "nanos")

    def __init__(self, nanos: int, format: str = DECIMAL_SI, text: str = ""):
        self.nanos = nanos
        self.format = format
        self._text = text

    @property
    def value(self) -> int:
        """Whole units, rounded away from zero."""
        return _round_up(self.nanos, _NANO)

    @property
    def milli(self) -> int:
        """Thousandths, rounded away from zero."""
        return _round_up(self.nanos, 10**6)

    def scaled(self, exponent: int) -> int:
        """In units of 10^exponent (-9 or more), rounded away from zero."""
        return _round_up(self.nanos, 10 ** (exponent + 9))

    def __float__(self) -> float:
        return self.nanos / _NANO

    def __bool__(self) -> bool:
        return self.nanos != 0

    def __add__(self, other: "Quantity") -> "Quantity":
        """Keeps the left format, unless the left is zero."""
        return Quantity(self.nanos + other.nanos, self.format if self.nanos else other.format)

    def __sub__(self, other: "Quantity") -> "Quantity":
        return Quantity(self.nanos - other.nanos, self.format if self.nanos else other.format)

    def __mul__(self, factor: int) -> "Quantity":
        return Quantity(self.nanos * factor, self.format)

    def __neg__(self) -> "Quantity":
        return Quantity(-self.nanos, self.format)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Quantity) and self.nanos == other.nanos

    def __lt__(self, other: "Quantity") -> bool:
        return self.nanos < other.nanos

    def __hash__(self) -> int:
        return hash(self.nanos)

    def __str__(self) -> str:
        if not self._text:
            self._text = _canonical(self.nanos, self.format)
        return self._text

    def __repr__(self) -> str:
        return f"Quantity({str(self)!r})"


ZERO = Quantity(0, DECIMAL_SI, "0")


def from_value(value: int, format: str = DECIMAL_SI) -> Quantity:
    return Quantity(value * _NANO, format)


def from_milli(milli: int, format: str = DECIMAL_SI) -> Quantity:
    return Quantity(milli * 10**6, format)


def parse(text: str | int | float) -> Quantity:
    """A quantity from JSON: text, or a bare number. Raises QuantityError."""
    if isinstance(text, bool) or not isinstance(text, (str, int, float)):
        raise QuantityError(FORMAT_WRONG)
    return _parse(text if isinstance(text, str) else repr(text))


def value(text: str | int | float) -> int:
    """parse(text).value"""
    return parse(text).value


def milli(text: str | int | float) -> int:
    """parse(text).milli"""
    return parse(text).milli


def canonical(text: str | int | float) -> str:
    """The text that upstream stores for it."""
    return str(parse(text))


@lru_cache(maxsize=4096)
def _parse(text: str) -> Quantity:
    text = text.strip()
    match = _SHAPE.match(text) if text else None
    if not match or len(text) > 256:
        raise QuantityError(FORMAT_WRONG)
    sign, whole, fraction, suffix = match[1], match[2], match[3] or "", match[4]
    format, exponent = _interpret(suffix)
    mantissa = int(whole + fraction or "0")
    nanos = _nanos(mantissa, len(fraction), format, exponent)
    if format == BINARY_SI and 0 < nanos < _NANO:
        format = DECIMAL_SI
    if sign == "-":
        nanos = -nanos
    kept = text if _is_canonical(whole or "0", fraction, format, exponent) else ""
    return Quantity(nanos, format, kept)


def _interpret(suffix: str) -> tuple[str, int]:
    """The format, and the exponent to base 10 or, for BinarySI, to base 2."""
    if suffix in _DECIMAL:
        return DECIMAL_SI, _DECIMAL[suffix]
    if suffix in _BINARY:
        return BINARY_SI, _BINARY[suffix]
    number = suffix[1:]
    if suffix[0] not in "eE" or not number.lstrip("+-").isdecimal() or len(number) > 5:
        raise QuantityError(SUFFIX_WRONG)
    exponent = int(number)
    if abs(exponent) > _LARGEST_EXPONENT:
        raise QuantityError(SUFFIX_WRONG)
    return DECIMAL_EXPONENT, exponent


def _nanos(mantissa: int, places: int, format: str, exponent: int) -> int:
    if format == BINARY_SI:
        return min(_round_up((mantissa << exponent) * _NANO, 10**places), _MAX)
    shift = exponent + 9 - places
    return mantissa * 10**shift if shift >= 0 else _round_up(mantissa, 10**-shift)


def _round_up(n: int, unit: int) -> int:
    """n / unit, away from zero."""
    return -(-n // unit) if n >= 0 else n // unit


def _is_canonical(whole: str, fraction: str, format: str, exponent: int) -> bool:
    """Whether upstream's parser keeps the text as it was written: it looks like the canonical form."""
    digits = whole + fraction
    if format == BINARY_SI:
        room = 15 - len(whole) - exponent * 3 // 10 - 1
        return not fraction and room >= 0 and int(digits) & 7 != 0
    scale = exponent - len(fraction)
    fits = len(digits) <= 18 and scale >= -9
    return fits and scale % 3 == 0 and not digits.endswith("000") and not digits.startswith("0")


def _canonical(nanos: int, format: str) -> str:
    """The largest suffix that keeps the number whole; a binary quantity that is small or broken becomes decimal."""
    if not nanos:
        return "0"
    if format == BINARY_SI and nanos % _NANO == 0 and abs(nanos) >= 1024 * _NANO:
        return _canonical_binary(nanos // _NANO)
    exponent = -9
    while nanos % 1000 == 0 and (format == DECIMAL_EXPONENT or exponent < 18):
        nanos //= 1000
        exponent += 3
    if format == DECIMAL_EXPONENT:
        return f"{nanos}e{exponent}" if exponent else str(nanos)
    return f"{nanos}{_DECIMAL_SUFFIX[exponent]}"


def _canonical_binary(number: int) -> str:
    steps = 0
    while number % 1024 == 0 and steps < 6:
        number //= 1024
        steps += 1
    return f"{number}{_BINARY_SUFFIX[steps]}"
