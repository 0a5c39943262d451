"""The built-in admission plugins, in upstream's order (pkg/kubeapiserver/options/plugins.go).

Places kept free: PodSecurity after TaintNodesByCondition; CertificateApproval, -Signing and -SubjectRestriction after
RuntimeClass.
"""

from collections.abc import Iterable

from skiff.api.types import GVR
from skiff.apiserver.admission import Plugin
from skiff.apiserver.admission.certificaterequester import CertificateRequester
from skiff.apiserver.admission.defaultingressclass import DefaultIngressClass
from skiff.apiserver.admission.defaultstorageclass import DefaultStorageClass
from skiff.apiserver.admission.defaulttolerationseconds import DefaultTolerationSeconds
from skiff.apiserver.admission.forms import Forms
from skiff.apiserver.admission.limitranger import LimitRanger
from skiff.apiserver.admission.matching import Matcher
from skiff.apiserver.admission.metrics import AdmissionMetrics
from skiff.apiserver.admission.namespacelifecycle import NamespaceLifecycle
from skiff.apiserver.admission.noderestriction import NodeRestriction
from skiff.apiserver.admission.persistentvolumeclaimresize import PersistentVolumeClaimResize
from skiff.apiserver.admission.policies import configuration as policy
from skiff.apiserver.admission.policies.access import PolicyParamAccess
from skiff.apiserver.admission.policies.invocations import Invocations
from skiff.apiserver.admission.policies.mutating import MutatingAdmissionPolicy
from skiff.apiserver.admission.policies.validating import ValidatingAdmissionPolicy
from skiff.apiserver.admission.priority import Priority
from skiff.apiserver.admission.rbacescalation import RBACEscalation
from skiff.apiserver.admission.resourcequota import ResourceQuota
from skiff.apiserver.admission.runtimeclass import RuntimeClass
from skiff.apiserver.admission.serviceaccount import ServiceAccount
from skiff.apiserver.admission.serviceallocation import ServiceAllocation
from skiff.apiserver.admission.storageobjectinuseprotection import StorageObjectInUseProtection
from skiff.apiserver.admission.taintnodesbycondition import TaintNodesByCondition
from skiff.apiserver.admission.webhooks.calling import Caller
from skiff.apiserver.admission.webhooks.configuration import MUTATING, VALIDATING, Configurations
from skiff.apiserver.admission.webhooks.mutating import MutatingAdmissionWebhook
from skiff.apiserver.admission.webhooks.validating import ValidatingAdmissionWebhook
from skiff.apiserver.allocators import ServiceAllocators
from skiff.apiserver.authz import Authorization
from skiff.apiserver.authz.escalation import Escalation
from skiff.apiserver.lookup import Lookup
from skiff.apiserver.registry import Registry
from skiff.client.rest import Client

ALWAYS = frozenset(("CertificateRequester", "ServiceAllocation", "RBACEscalation", "PolicyParamAccess"))
"""Not plugins upstream: they cannot be switched off."""

Policies = tuple[policy.Configuration, Invocations, Forms, Authorization | None, AdmissionMetrics]


def plugins(
    lookup: Lookup,
    *,
    client: Client,
    allocators: ServiceAllocators,
    registry: Registry,
    authorization: Authorization | None = None,
    metrics: AdmissionMetrics | None = None,
    escalation: Escalation | None = None,
    enable: Iterable[str] = (),
    disable: Iterable[str] = (),
) -> list[Plugin]:
    """client: for what plugins write, with every right. registry, authorization, metrics: what webhooks are shown, what
    their conditions ask, and where they are counted. escalation: with RBAC on. Raises ValueError for an unknown name in
    `enable` or `disable` (the names of kube-apiserver's flags; all of ours are on by default)."""
    forms, counted = Forms(registry), metrics or AdmissionMetrics()
    matcher = Matcher(lookup, forms.equivalents)

    def caller(step: str, excluding_step: str) -> Caller:
        return Caller((step, excluding_step), forms, matcher, authorization, counted)

    def policies(kind: GVR, bindings: GVR) -> Policies:
        configuration = policy.Configuration(lookup, kind, bindings)
        return configuration, Invocations(registry, matcher, configuration), forms, authorization, counted

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
        MutatingAdmissionPolicy(*policies(policy.MUTATING, policy.MUTATING_BINDINGS)),
        MutatingAdmissionWebhook(Configurations(MUTATING, lookup), caller("admit", "admit")),
        ServiceAllocation(allocators),
        PolicyParamAccess(registry, authorization),
        ValidatingAdmissionPolicy(*policies(policy.VALIDATING, policy.VALIDATING_BINDINGS)),
        ValidatingAdmissionWebhook(Configurations(VALIDATING, lookup), caller("validating", "validate")),
        ResourceQuota(lookup, client),
    ]
    if escalation is not None:
        chain.append(RBACEscalation(escalation))
    off = set(disable) - set(enable)
    unknown = (set(enable) | set(disable)) - {p.name for p in chain}
    if unknown:
        raise ValueError(f"unknown admission plugins: {', '.join(sorted(unknown))}")
    return [p for p in chain if p.name not in off or p.name in ALWAYS]
