"""certificates.k8s.io/v1: CertificateSigningRequest."""

from collections.abc import Sequence
from functools import partial

from skiff.api import names
from skiff.api.resources import Resource, Subresource
from skiff.api.resources import certificate_checks as checks
from skiff.api.resources.checks import update_validator, validator
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
        validate=validator(checks.check_signing_request),
        validate_update=update_validator(checks.check_status),
        validate_status_update=update_validator(partial(checks.check_status, certificate=True)),
        subresource_rules={"approval": update_validator(partial(checks.check_status, approval=True))},
        name_rule=names.is_path_segment,
        namespaced=False,
        short_names=("csr",),
        subresources=(Subresource("approval"), STATUS),
        default=struct("status"),
        prepare=prepare_csr,
        selectable=selectable("spec.signerName"),
    ),
)
