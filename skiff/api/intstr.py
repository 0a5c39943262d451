"""IntOrString: a field that holds a number or text, usually a percentage.

Source: apimachinery pkg/util/intstr. In objects it is a plain int or str.
"""

import re
from math import ceil, floor

IntOrString = int | str

_INTEGER = re.compile(r"[+-]?[0-9]+\Z", re.ASCII)


def parse(text: str) -> IntOrString:
    """A 32-bit integer if the text is one, else the text."""
    if _INTEGER.match(text) and -(2**31) <= int(text) < 2**31:
        return int(text)
    return text


def int_value(value: IntOrString) -> int:
    """The number, also of text that is one; 0 for any other text."""
    if isinstance(value, int):
        return value
    return int(value) if _INTEGER.match(value) else 0


def is_percent(value: IntOrString) -> bool:
    return isinstance(value, str) and value.endswith("%")


def scaled(value: IntOrString | None, total: int, *, round_up: bool) -> int:
    """A number as it is, a percentage of `total` rounded. Raises ValueError in upstream's words."""
    if value is None:
        raise ValueError("nil value for IntOrString")
    if isinstance(value, int):
        return value
    if not value.endswith("%"):
        raise ValueError("invalid value for IntOrString: invalid type: string is not a percentage")
    number = value[:-1]
    if not _INTEGER.match(number):
        why = f'strconv.Atoi: parsing "{number}": invalid syntax'
        raise ValueError(f'invalid value for IntOrString: invalid value "{value}": {why}')
    share = int(number) * total / 100
    return ceil(share) if round_up else floor(share)
