"""How the group modules write their records: names derived from the kind, the usual subresources, field selectors."""

from collections.abc import Callable, Mapping
from typing import Any

from skiff.api import names
from skiff.api.printers import printer
from skiff.api.resources import Resource, Subresource
from skiff.api.types import GVR, Obj

STATUS = Subresource("status")
SCALE = Subresource("scale", "Scale", "autoscaling", "v1")

_PACKAGES = {
    "apiextensions.k8s.io": "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions",
    "apiregistration.k8s.io": "io.k8s.kube-aggregator.pkg.apis.apiregistration",
}


def definition_name(group: str, version: str, kind: str) -> str:
    """The OpenAPI definition of a built-in kind: `io.k8s.api.apps.v1.Deployment`."""
    package = _PACKAGES.get(group, f"io.k8s.api.{group.partition('.')[0] or 'core'}")
    return f"{package}.{version}.{kind}"


def builtin(
    group: str,
    version: str,
    plural: str,
    kind: str,
    *,
    namespaced: bool = True,
    subresources: tuple[Subresource, ...] = (),
    **differences: Any,
) -> Resource:
    """The record of a built-in kind; `differences` are Resource's own fields. `has_status` follows the subresources."""
    gvr = GVR(group, version, plural, kind, namespaced)
    differences.setdefault("has_status", STATUS in subresources)
    differences.setdefault("printer", printer(gvr))
    differences.setdefault("name_rule", names.is_dns1123_subdomain)
    return Resource(
        gvr=gvr,
        schema=definition_name(group, version, kind),
        singular=kind.lower(),
        subresources=subresources,
        **differences,
    )


def text(path: str) -> Callable[[Obj], str]:
    """The value of a field selector: the field's text, "" when it is not set, `true`/`false` for a boolean."""
    parts = path.split(".")

    def value(obj: Obj) -> str:
        here: Any = obj
        for part in parts:
            here = here.get(part) if isinstance(here, dict) else None
        if here is None:
            return ""
        return str(here).lower() if isinstance(here, bool) else str(here)

    return value


def selectable(*paths: str) -> Mapping[str, Callable[[Obj], str]]:
    """Field label → value for labels that are the fields' own paths."""
    return {path: text(path) for path in paths}
