"""certificates.k8s.io/v1: CertificateSigningRequest."""

from collections.abc import Sequence

from skiff.api import names
from skiff.api.resources import Resource, Subresource
from skiff.api.resources.define import STATUS, builtin, selectable
from skiff.api.resources.fields import child, struct
from skiff.api.types import Obj


def prepare_csr(new: Obj, old: Obj | None) -> None:
    """A request never changes after it was made; who asks is set by the API server."""
    if old is not None:
        new["spec"] = old["spec"]
    else:
        new["status"] = {}
        child(new, "spec")


RESOURCES: Sequence[Resource] = (
    builtin(
        "certificates.k8s.io",
        "v1",
        "certificatesigningrequests",
        "CertificateSigningRequest",
        name_rule=names.is_path_segment,
        namespaced=False,
        short_names=("csr",),
        subresources=(Subresource("approval"), STATUS),
        default=struct("status"),
        prepare=prepare_csr,
        selectable=selectable("spec.signerName"),
    ),
)
