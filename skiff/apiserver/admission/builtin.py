"""The built-in admission plugins, in upstream's order (pkg/kubeapiserver/options/plugins.go).

Places kept free: PodSecurity after TaintNodesByCondition; CertificateApproval, -Signing and -SubjectRestriction after
RuntimeClass; webhooks and policies before ServiceAllocation (mutating) and before ResourceQuota (validating).
"""

from collections.abc import Iterable

from skiff.apiserver.admission import Plugin
from skiff.apiserver.admission.certificaterequester import CertificateRequester
from skiff.apiserver.admission.defaultingressclass import DefaultIngressClass
from skiff.apiserver.admission.defaultstorageclass import DefaultStorageClass
from skiff.apiserver.admission.defaulttolerationseconds import DefaultTolerationSeconds
from skiff.apiserver.admission.limitranger import LimitRanger
from skiff.apiserver.admission.namespacelifecycle import NamespaceLifecycle
from skiff.apiserver.admission.noderestriction import NodeRestriction
from skiff.apiserver.admission.persistentvolumeclaimresize import PersistentVolumeClaimResize
from skiff.apiserver.admission.priority import Priority
from skiff.apiserver.admission.rbacescalation import RBACEscalation
from skiff.apiserver.admission.resourcequota import ResourceQuota
from skiff.apiserver.admission.runtimeclass import RuntimeClass
from skiff.apiserver.admission.serviceaccount import ServiceAccount
from skiff.apiserver.admission.serviceallocation import ServiceAllocation
from skiff.apiserver.admission.storageobjectinuseprotection import StorageObjectInUseProtection
from skiff.apiserver.admission.taintnodesbycondition import TaintNodesByCondition
from skiff.apiserver.allocators import ServiceAllocators
from skiff.apiserver.authz.escalation import Escalation
from skiff.apiserver.lookup import Lookup
from skiff.client.rest import Client

ALWAYS = frozenset(("CertificateRequester", "ServiceAllocation", "RBACEscalation"))
"""Not plugins upstream: they cannot be switched off."""


def plugins(
    lookup: Lookup,
    *,
    client: Client,
    allocators: ServiceAllocators,
    escalation: Escalation | None = None,
    enable: Iterable[str] = (),
    disable: Iterable[str] = (),
) -> list[Plugin]:
    """client: for what plugins write, with every right. escalation: with RBAC on. Raises ValueError for an unknown name
    in `enable` or `disable` (the names of kube-apiserver's flags; all of ours are on by default)."""
    chain: list[Plugin] = [
        CertificateRequester(),
        NamespaceLifecycle(lookup),
        LimitRanger(lookup),
        ServiceAccount(lookup),
        NodeRestriction(lookup),
        TaintNodesByCondition(),
        Priority(lookup),
        DefaultTolerationSeconds(),
        DefaultStorageClass(lookup),
        StorageObjectInUseProtection(),
        PersistentVolumeClaimResize(lookup),
        RuntimeClass(lookup),
        DefaultIngressClass(lookup),
        ServiceAllocation(allocators),
        ResourceQuota(lookup, client),
    ]
    if escalation is not None:
        chain.append(RBACEscalation(escalation))
    off = set(disable) - set(enable)
    unknown = (set(enable) | set(disable)) - {p.name for p in chain}
    if unknown:
        raise ValueError(f"unknown admission plugins: {', '.join(sorted(unknown))}")
    return [p for p in chain if p.name not in off or p.name in ALWAYS]
