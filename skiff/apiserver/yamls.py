"""YAML in and out, for clients that ask for it; imported only then. Times, binaries and the like stay plain text."""

from typing import Any

import yaml

_BASE: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
ALIAS_LIMIT = 10_000


class _Loader(_BASE):
    """YAML 1.1's core types without timestamps; aliases are refused (a few lines can stand for gigabytes)."""

    yaml_implicit_resolvers = {
        first: [(tag, expression) for tag, expression in found if tag != "tag:yaml.org,2002:timestamp"]
        for first, found in _BASE.yaml_implicit_resolvers.items()
    }

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            self.aliases = getattr(self, "aliases", 0) + 1
            if self.aliases > 100:
                raise yaml.YAMLError("document contains excessive aliasing")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    self.repeated = [*getattr(self, "repeated", ()), (key.start_mark.line + 1, key.value)]
                seen.add(key.value)
        return super().construct_mapping(node, deep)


def load(text: bytes) -> Any:
    """JSON-shaped data. Raises ValueError."""
    return load_with_repeated(text)[0]


def load_with_repeated(text: bytes) -> tuple[Any, list[str]]:
    """JSON-shaped data, and sentences about keys that stand twice in a mapping. Raises ValueError."""
    try:
        loader = _Loader(text)
        try:
            data = loader.get_single_data()
        finally:
            loader.dispose()
    except yaml.YAMLError as e:
        raise ValueError(str(e)) from None
    repeated = [f'line {line}: key "{key}" already set in map' for line, key in getattr(loader, "repeated", ())]
    return _plain(data, [ALIAS_LIMIT * 100]), repeated


def _plain(value: Any, budget: list[int]) -> Any:
    """Keys as text. The budget bounds how often shared parts are visited."""
    budget[0] -= 1
    if budget[0] < 0:
        raise ValueError("document contains excessive aliasing")
    if isinstance(value, dict):
        return {_key(k): _plain(v, budget) for k, v in value.items()}
    if isinstance(value, list):
        return [_plain(v, budget) for v in value]
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
    text: bytes = yaml.dump(data, Dumper=_DUMPER, encoding="utf-8", sort_keys=True, allow_unicode=True)
    return text
