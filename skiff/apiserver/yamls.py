"""YAML in and out, for clients that ask for it; imported only then. Times, binaries and the like stay plain text."""

import re
from typing import Any

import yaml

_BASE: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DUMPER_BASE: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
DEPTH_LIMIT = 200
NODES_LIMIT = 500_000
"""With aliases counted as what they stand for: more than three megabytes of honest text hold, less than hurts."""


_INT, _FLOAT, _TIME = (f"tag:yaml.org,2002:{name}" for name in ("int", "float", "timestamp"))
_NUMERIC = "+-.0123456789"
_INTEGER = re.compile(r"([-+]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]?([0-7]+)|(0|[1-9][0-9]*))")
_DECIMAL = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")


def number(text: str) -> int | float | None:
    """A plain scalar as Go's YAML reads it and then writes it as JSON: no sexagesimals, and what is whole is an integer.
    None: it is no number."""
    plain = text.replace("_", "")
    if match := _INTEGER.fullmatch(plain):
        digits, base = next((m, b) for m, b in zip(match.groups()[1:], (16, 2, 8, 10), strict=True) if m is not None)
        value = int(digits, base) * (-1 if match[1] == "-" else 1)
        if -(1 << 63) <= value < 1 << 64:
            return value
    if not _DECIMAL.fullmatch(plain):
        return None
    read = float(plain)
    return int(read) if read.is_integer() and abs(read) < 1 << 63 else read


class _Numbers:
    """In the place of an expression that scalars are matched with."""

    def match(self, text: str) -> bool:
        return number(text) is not None


class _Dumper(_DUMPER_BASE):
    """What stands in an object twice is written twice. Text that Go would read as a number is quoted."""

    yaml_implicit_resolvers = {
        **_DUMPER_BASE.yaml_implicit_resolvers,
        **{c: [*_DUMPER_BASE.yaml_implicit_resolvers.get(c, ()), (_INT, _Numbers())] for c in _NUMERIC},
    }

    def ignore_aliases(self, data: Any) -> bool:
        return True


class _Loader(_BASE):
    """YAML 1.1's core types without timestamps, with Go's numbers. Notes the keys that stand twice."""

    yaml_implicit_resolvers = {
        **{
            f: [r for r in found if r[0] not in (_INT, _FLOAT, _TIME)]
            for f, found in _BASE.yaml_implicit_resolvers.items()
        },
        **{first: [(_INT, _Numbers())] for first in _NUMERIC},
    }

    def construct_number(self, node: Any) -> int | float:
        found = number(node.value)
        if found is None:
            raise ValueError(f"cannot decode !!{node.tag.rpartition(':')[2]} `{node.value}`")
        return found

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    self.repeated = [*getattr(self, "repeated", ()), (key.start_mark.line + 1, key.value)]
                seen.add(key.value)
        return super().construct_mapping(node, deep)


_Loader.add_constructor(_INT, _Loader.construct_number)
_Loader.add_constructor(_FLOAT, _Loader.construct_number)


def load(text: bytes) -> Any:
    """JSON-shaped data. Raises ValueError."""
    return load_with_repeated(text)[0]


def load_with_repeated(text: bytes) -> tuple[Any, list[str]]:
    """JSON-shaped data, and sentences about keys that stand twice in a mapping. Raises ValueError."""
    try:
        _survey(text)
        loader = _Loader(text)
        try:
            data = loader.get_single_data()
        finally:
            loader.dispose()
    except yaml.YAMLError as e:
        raise ValueError(_problem(e)) from None
    repeated = [f'line {line}: key "{key}" already set in map' for line, key in getattr(loader, "repeated", ())]
    return _plain(data), repeated


def _survey(text: bytes) -> None:
    """Looks through the text before anything is built from it: libyaml recurses without end, and a few lines of aliases
    can stand for gigabytes. Raises ValueError, YAMLError."""
    parser = _BASE(text)
    sizes: dict[str, int] = {}
    open_: list[tuple[str | None, int]] = []
    count = 0
    try:
        while (event := parser.get_event()) is not None:
            kind = type(event)
            if kind is yaml.ScalarEvent:
                count += 1
            elif kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
                open_.append((event.anchor, count))
                count += 1
                if len(open_) > DEPTH_LIMIT:
                    raise ValueError("exceeded max depth")
            elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
                anchor, before = open_.pop()
                if anchor:
                    sizes[anchor] = count - before
            elif kind is yaml.AliasEvent:
                if any(anchor == event.anchor for anchor, _ in open_):
                    raise ValueError(f"anchor '{event.anchor}' value contains itself")
                count += sizes.get(event.anchor, 1)
            if count > NODES_LIMIT:
                raise ValueError(
                    "document contains excessive aliasing" if sizes else "document contains too many values"
                )
    finally:
        parser.dispose()


def _problem(error: yaml.YAMLError) -> str:
    """As upstream's parser words it: the line first, unless it is the first one."""
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem is None:
        return str(error)
    marks = [m for m in (error.context_mark, error.problem_mark) if m is not None and m.line]
    return (
        f"line {marks[0].line + isinstance(error, yaml.scanner.ScannerError)}: {error.problem}"
        if marks
        else error.problem
    )


def _plain(value: Any) -> Any:
    """Keys as text."""
    if isinstance(value, dict):
        return {_key(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_plain(v) for v in value]
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    raise ValueError(f"cannot use a value of type {type(value).__name__}")


def _key(key: Any) -> str:
    if isinstance(key, bool):
        return "true" if key else "false"
    if isinstance(key, (str, int, float)):
        return str(key)
    raise ValueError("a mapping key must be a scalar")


def dump(data: Any) -> bytes:
    text: bytes = yaml.dump(data, Dumper=_Dumper, encoding="utf-8", sort_keys=True, allow_unicode=True)
    return text
