"""selectableFields of a CustomResourceDefinition: simple paths to scalar fields of the schema, at most eight.

Source: apiextensions-apiserver pkg/apis/apiextensions/validation, pkg/apiserver/schema/cel/validation.go (ValidFieldPath).
"""

from collections.abc import Callable, Mapping
from typing import Any

from skiff.api.resources.checks import ErrorList
from skiff.api.types import Obj

MOST = 8
SCALARS = ("string", "boolean", "integer")


def check_selectable_fields(fields: list[Any], schema: Mapping[str, Any], path: str, errors: ErrorList) -> None:
    seen: set[str] = set()
    for i, field in enumerate(fields):
        here, text = f"{path}[{i}].jsonPath", field.get("jsonPath", "")
        if not text:
            errors.required(here)
            continue
        found = _find(text, schema)
        if isinstance(found, str):
            errors.invalid(here, text, f"is an invalid path: {found}")
            continue
        if text.split(".")[1] == "metadata":
            errors.invalid(here, text, "must not point to fields in metadata")
        if found.get("type") not in SCALARS:
            why = "must point to a field of type string, boolean or integer. "
            errors.invalid(here, text, why + "Enum string fields and strings with formats are allowed.")
        if text in seen:
            errors.duplicate(here, text)
        seen.add(text)
    if len(seen) > MOST:
        errors.too_many(path, len(seen), MOST)


def _find(text: str, schema: Mapping[str, Any]) -> Mapping[str, Any] | str:
    """The schema of the field, or why there is none."""
    if "[" in text:
        return "array notation is not allowed"
    if not text.startswith("."):
        return f"expected [ or . but got: {text.split('.')[0]}"
    for name in text[1:].split("."):
        if not name:
            return "unexpected end of JSON path"
        if schema.get("properties"):
            found = schema["properties"].get(name)
        else:
            rest = schema.get("additionalProperties")
            found = rest if isinstance(rest, dict) else None
        if found is None:
            return "does not refer to a valid field"
        schema = found
    return schema


def getter(path: str) -> Callable[[Obj], str]:
    """The value of a selectable field as a selector compares it."""
    parts = path.removeprefix(".").split(".")

    def value(obj: Obj) -> str:
        here: Any = obj
        for part in parts:
            here = here.get(part) if isinstance(here, dict) else None
        if here is None:
            return ""
        return str(here).lower() if isinstance(here, bool) else str(here)

    return value
