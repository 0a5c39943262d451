"""meta.k8s.io Table objects: what a client gets that asks with `Accept: application/json;as=Table`."""

from collections.abc import Iterable
from typing import Any

from skiff.api.resources import Printer
from skiff.api.types import Obj

META_V1 = "meta.k8s.io/v1"
METADATA, OBJECT, NONE = "Metadata", "Object", "None"


def table(
    printer: Printer,
    objects: Iterable[Obj],
    now: float,
    *,
    include_object: str = METADATA,
    metadata: Obj | None = None,
    headers: bool = True,
    version: str = META_V1,
) -> Obj:
    """`objects`: the items of a list, or one object. `metadata`: of the list (resourceVersion, continue,
    remainingItemCount), or the object's resourceVersion. `include_object`: Metadata, Object or None, as in the query
    parameter includeObject. `version`: meta.k8s.io/v1 or meta.k8s.io/v1beta1. `headers=False`: later watch events."""
    if printer.order is not None:
        objects = sorted(objects, key=printer.order)
    return {
        "kind": "Table",
        "apiVersion": version,
        "metadata": metadata or {},
        "columnDefinitions": column_definitions(printer) if headers else None,
        "rows": [row(printer, obj, now, include_object=include_object, version=version) for obj in objects],
    }


def row(printer: Printer, obj: Obj, now: float, *, include_object: str = METADATA, version: str = META_V1) -> Obj:
    """One row. It shares the object's parts."""
    found: Obj = {"cells": printer.cells(obj, now)}
    if printer.conditions is not None and (conditions := printer.conditions(obj)):
        found["conditions"] = conditions
    if include_object == OBJECT:
        found["object"] = obj
    else:
        found["object"] = None if include_object == NONE else partial_metadata(obj, version)
    return found


def column_definitions(printer: Printer) -> list[dict[str, Any]]:
    return [
        {
            "name": c.name,
            "type": c.type,
            "format": c.format,
            "description": c.description,
            "priority": c.priority,
        }
        for c in printer.columns
    ]


def partial_metadata(obj: Obj, version: str = META_V1) -> Obj:
    return {"kind": "PartialObjectMetadata", "apiVersion": version, "metadata": obj["metadata"]}
