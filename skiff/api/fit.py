"""Whether a configuration for apply fits its schema: known fields, types, no double keys.

Source: structured-merge-diff typed, validate.go.
"""

from typing import Any

from skiff.api.fieldset import path_text
from skiff.api.schema import SchemaNode
from skiff.api.structured import Node, child, element_of


def check(value: Any, node: Node, path: str = "") -> list[str]:
    """Why a configuration does not fit the schema, each with its path; [] if it does."""
    if value is None or node is None or node.kind == "any":
        return []
    if node.kind in ("object", "map"):
        return _check_map(value, node, path)
    if node.kind == "array":
        return _check_list(value, node, path)
    return [f"{path}: {problem}"] if (problem := _wrong_scalar(value, node)) else []


def _check_map(value: Any, node: SchemaNode, path: str) -> list[str]:
    if not isinstance(value, dict):
        return [f"{path}: expected map, got {_go(value)}"]
    errors: list[str] = []
    for key, below in value.items():
        if node.kind == "object" and key not in node.properties and not node.unknown and node.properties:
            errors.append(f"{path}.{key}: field not declared in schema")
        else:
            errors += check(below, child(node, key), f"{path}.{key}")
    return errors


def _check_list(value: Any, node: SchemaNode, path: str) -> list[str]:
    if not isinstance(value, list):
        return [f"{path}: expected list, got {_go(value)}"]
    errors: list[str] = []
    seen: set[str] = set()
    for i, item in enumerate(value):
        where = f"[{i}]"
        if node.list_type != "atomic":
            try:
                element = element_of(node, item)
            except ValueError as e:
                return [*errors, f"{path}: element {i}: {e}"]
            where = path_text((element,))
            if element in seen:
                errors.append(f"{path}: duplicate entries for key {where}")
            seen.add(element)
        errors += check(item, node.items, path + where)
    return errors


_GO_TYPES = {str: "string", bool: "bool", int: "int64", float: "float64", dict: "map[string]interface {}"}


def _wrong_scalar(value: Any, node: SchemaNode) -> str:
    if isinstance(value, (dict, list)):
        return f"expected {'numeric (int or float)' if node.type in ('integer', 'number') else node.type}, got {_go(value)}"
    if node.format in ("int-or-string", "quantity"):
        return "" if not isinstance(value, bool) else "expected string, got true"
    if node.type in ("integer", "number"):
        fits = isinstance(value, (int, float)) and not isinstance(value, bool)
        return "" if fits else f"expected numeric (int or float), got {_GO_TYPES[type(value)]}"
    if node.type == "boolean":
        return "" if isinstance(value, bool) else f"expected boolean, got &{{{_go(value)}}}"
    if node.type == "string":
        return "" if isinstance(value, str) else f"expected string, got &value.valueUnstructured{{Value:{_go(value)}}}"
    return ""


def _go(value: Any) -> str:
    if isinstance(value, dict):
        return "map[" + " ".join(f"{k}:{_go(value[k])}" for k in sorted(value)) + "]"
    if isinstance(value, list):
        return "[" + " ".join(map(_go, value)) + "]"
    return str(value).lower() if isinstance(value, bool) else str(value)
