"""What the server itself sets on core kinds other than pods and services. Source: pkg/registry/core/*/strategy.go."""

from skiff.api.resources.fields import child, get
from skiff.api.types import Obj


def prepare_limit_range(new: Obj, old: Obj | None) -> None:
    """One without a name is named as no other one will be."""
    meta = new["metadata"]
    if old is None and not meta.get("name"):
        meta["name"] = meta.get("uid", "")


def prepare_namespace(new: Obj, old: Obj | None) -> None:
    """A namespace has the finalizer `kubernetes` from the start; only the finalize subresource changes finalizers."""
    spec = child(new, "spec")
    if old is None:
        metadata = new["metadata"]
        child(metadata, "labels")["kubernetes.io/metadata.name"] = metadata.get("name", "")  # it may be generated
        finalizers = spec.setdefault("finalizers", [])
        if "kubernetes" not in finalizers:
            finalizers.append("kubernetes")
        new["status"] = {"phase": "Active"}
    elif get(old, "spec", "finalizers"):
        spec["finalizers"] = list(old["spec"]["finalizers"])
    else:
        spec.pop("finalizers", None)


def prepare_node(new: Obj, old: Obj | None) -> None:
    """Configuration from the API has been removed; a node that still names one keeps it."""
    if get(old, "spec", "configSource") is None:
        child(new, "spec").pop("configSource", None)


def prepare_service_account(new: Obj, old: Obj | None) -> None:
    """Of the secrets only the names count."""
    if new.get("secrets"):
        new["secrets"] = [{"name": s["name"]} if s.get("name") else {} for s in new["secrets"]]


def prepare_persistent_volume(new: Obj, old: Obj | None) -> None:
    """A new volume is Pending since it was created."""
    if old is None:
        new["status"] = {"phase": "Pending"}
        created = get(new, "metadata", "creationTimestamp")
        if created:
            new["status"]["lastPhaseTransitionTime"] = created


def prepare_claim(new: Obj, old: Obj | None) -> None:
    """A new claim is Pending; dataSource and dataSourceRef say the same when only one is given."""
    spec = child(new, "spec")
    if old is None:
        new["status"] = {"phase": "Pending"}
    source, reference = spec.get("dataSource"), spec.get("dataSourceRef")
    if source is not None and not _is_claim_source(source) and reference is None:
        spec.pop("dataSource")
        source = None
    if source is not None and reference is None:
        spec["dataSourceRef"] = dict(source)
    elif reference is not None and source is None and not reference.get("namespace"):
        spec["dataSource"] = dict(reference)


def _is_claim_source(source: Obj) -> bool:
    group, kind = source.get("apiGroup") or "", source.get("kind")
    return (group, kind) in (("", "PersistentVolumeClaim"), ("snapshot.storage.k8s.io", "VolumeSnapshot"))
