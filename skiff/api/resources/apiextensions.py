"""apiextensions.k8s.io/v1: CustomResourceDefinition. Defaults: apiextensions-apiserver pkg/apis/apiextensions/v1."""

from collections.abc import Sequence

from skiff.api.resources import Resource
from skiff.api.resources import other_checks as checks
from skiff.api.resources.checks import update_validator, validator
from skiff.api.resources.define import STATUS, builtin
from skiff.api.resources.fields import child, inside, items, zero
from skiff.api.types import Obj


def default_crd(obj: Obj) -> None:
    """Singular and list kind follow from the kind; the storage version is the first of the stored ones."""
    spec = child(obj, "spec")
    names = child(spec, "names")
    kind = names.get("kind", "")
    if not names.get("singular"):
        names["singular"] = kind.lower()
    if kind and not names.get("listKind"):
        names["listKind"] = kind + "List"
    if spec.get("conversion") is None:
        spec["conversion"] = {"strategy": "None"}
    inside("conversion.webhook.clientConfig.service", zero(port=443))(spec)
    status = child(obj, "status")
    if not status.get("storedVersions"):
        stored = [v["name"] for v in items(spec, "versions") if v.get("storage") and v.get("name")]
        if stored:
            status["storedVersions"] = stored[:1]


def prepare_crd(new: Obj, old: Obj | None) -> None:
    """A new definition starts without conditions, its stored versions being the storage version."""
    if old is None:
        stored = [v["name"] for v in items(new, "spec", "versions") if v.get("storage") and v.get("name")]
        new["status"] = {
            "conditions": [],
            "acceptedNames": {"plural": "", "kind": ""},
            "storedVersions": stored[:1],
        }


RESOURCES: Sequence[Resource] = (
    builtin(
        "apiextensions.k8s.io",
        "v1",
        "customresourcedefinitions",
        "CustomResourceDefinition",
        validate=validator(checks.check_crd),
        validate_update=update_validator(checks.check_crd_update),
        namespaced=False,
        short_names=("crd", "crds"),
        categories=("api-extensions",),
        subresources=(STATUS,),
        default=default_crd,
        prepare=prepare_crd,
        has_generation=True,
        unconditional_update=False,
    ),
)
