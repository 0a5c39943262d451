"""`warn` of the core kinds and of everything with a pod template: which parts of an object are looked at, and when.

Source: the strategies' WarningsOnCreate and WarningsOnUpdate in pkg/registry.
"""

import binascii

from skiff.api.resources.core.pod_warnings import (
    NODE_LABELS,
    REMOVED_VOLUMES,
    claim_spec_warnings,
    node_term_warnings,
    pod_warnings,
)
from skiff.api.resources.fields import at, get, items
from skiff.api.resources.warnings import (
    Warn,
    annotation_warnings,
    changed,
    cidr_warnings,
    ip_warnings,
    pod_name_warnings,
)
from skiff.api.types import Obj

STORAGE_CLASS = "volume.beta.kubernetes.io/storage-class"
MOUNTABLE = "kubernetes.io/enforce-mountable-secrets"
MANY_COMPLETIONS, MANY_PARALLEL = 100_000, 10_000


def pod(obj: Obj, old: Obj | None) -> list[str]:
    """Only on create: updates of pods are frequent and nobody reads along."""
    if old is not None:
        return []
    name = (w.replace("Pod names and hostnames", "the Pod's hostname") for w in pod_name_warnings(obj))
    return [*name, *pod_warnings(obj.get("spec") or {}, obj["metadata"], "", template=False)]


def pod_status(obj: Obj, old: Obj | None) -> list[str]:
    return [
        w
        for field in ("podIPs", "hostIPs")
        for i, each in enumerate(items(obj, "status", field))
        for w in ip_warnings(each.get("ip", ""), f"status.{field}[{i}].ip")
    ]


def template(path: str) -> Warn:
    """Of a kind with a pod template at a path."""

    def warn(obj: Obj, old: Obj | None) -> list[str]:
        if not changed(obj, old):
            return []
        found = at(obj, path) or {}
        return pod_warnings(found.get("spec") or {}, found.get("metadata") or {}, path, template=True)

    return warn


def workload(path: str) -> Warn:
    """The same for kinds after whose name pods are named."""
    of_template = template(path)

    def warn(obj: Obj, old: Obj | None) -> list[str]:
        return [*(pod_name_warnings(obj) if old is None else ()), *of_template(obj, old)]

    return warn


def job(path: str) -> Warn:
    """path: of the job's spec."""
    of_workload = workload(f"{path}.template")

    def warn(obj: Obj, old: Obj | None) -> list[str]:
        spec = at(obj, path) or {}
        large = (spec.get("completions") or 0) > MANY_COMPLETIONS and (spec.get("parallelism") or 0) > MANY_PARALLEL
        found = of_workload(obj, old)
        if large and spec.get("completionMode") == "Indexed" and changed(obj, old):
            why = (
                "In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, "
                "Kubernetes might not be able to track completedIndexes when a big number of indexes fail"
            )
            found.insert(0, f"{path}: {why}")
        return found

    return warn


def cron_job(obj: Obj, old: Obj | None) -> list[str]:
    found = job("spec.jobTemplate.spec")(obj, old)
    if old is not None and "TZ" in (get(obj, "spec", "schedule") or ""):
        see = "https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/"
        why = f"cannot use TZ or CRON_TZ in spec.spec.schedule, use timeZone instead, see {see} for more details"
        found.append(why)
    return found


def stateful_set(obj: Obj, old: Obj | None) -> list[str]:
    found = template("spec.template")(obj, old)
    for i, one in enumerate(items(obj, "spec", "volumeClaimTemplates")):
        here = f"spec.volumeClaimTemplates[{i}]" + (".Spec" if old is not None else "")
        found += claim_spec_warnings(one.get("spec") or {}, here)
    if (get(obj, "spec", "revisionHistoryLimit") or 0) < 0:
        why = "a negative value retains all historical revisions; a value >= 0 is recommended"
        found.append(f"spec.revisionHistoryLimit: {why}")
    return found


def endpoints(obj: Obj, old: Obj | None) -> list[str]:
    if (get(obj, "metadata", "labels") or {}).get("endpoints.kubernetes.io/managed-by") == "endpoint-controller":
        return []
    return [
        w
        for i, subset in enumerate(items(obj, "subsets"))
        for field in ("addresses", "notReadyAddresses")
        for j, address in enumerate(items(subset, field))
        for w in ip_warnings(address.get("ip", ""), f"subsets[{i}].{field}[{j}].ip")
    ]


def node(obj: Obj, old: Obj | None) -> list[str]:
    spec, found = obj.get("spec") or {}, []
    if spec.get("configSource") is not None:
        found.append("spec.configSource: the feature is removed")
    if spec.get("externalID"):
        found.append("spec.externalID: this field is deprecated, and is unused by Kubernetes")
    for i, cidr in enumerate(spec.get("podCIDRs") or ()):
        found += cidr_warnings(cidr, f"spec.podCIDRs[{i}]")
    return found


def claim(obj: Obj, old: Obj | None) -> list[str]:
    deprecated = {STORAGE_CLASS: 'deprecated since v1.8; use "storageClassName" attribute instead'}
    return [*annotation_warnings(obj, deprecated), *claim_spec_warnings(obj.get("spec") or {}, "spec")]


_VOLUME_ANNOTATIONS = {
    STORAGE_CLASS: 'deprecated since v1.8; use "storageClassName" attribute instead',
    "volume.beta.kubernetes.io/mount-options": 'deprecated since v1.31; use "mountOptions" attribute instead',
}
_SILENT = ("gitRepo", "flocker", "quobyte")
"""Sources that upstream does not mention for a PersistentVolume."""


def persistent_volume(obj: Obj, old: Obj | None) -> list[str]:
    spec, found = obj.get("spec") or {}, [*annotation_warnings(obj, _VOLUME_ANNOTATIONS)]
    if spec.get("persistentVolumeReclaimPolicy") == "Recycle":
        advice = "Instead, the recommended approach is to use dynamic provisioning."
        found.append(f"spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. {advice}")
    for i, term in enumerate(items(spec, "nodeAffinity", "required", "nodeSelectorTerms")):
        found += node_term_warnings(term, f"spec.nodeAffinity.required.nodeSelectorTerms[{i}]")
    for source, (name, why) in REMOVED_VOLUMES.items():
        if spec.get(source) is not None and source not in _SILENT:
            found.append(f"spec.{name}: {why}")
    return found


def secret(obj: Obj, old: Obj | None) -> list[str]:
    """A TLS secret whose certificate and key do not belong together."""
    if obj.get("type") != "kubernetes.io/tls":
        return []
    data = obj.get("data") or {}
    try:
        certificate, key = (binascii.a2b_base64(data.get(k) or "") for k in ("tls.crt", "tls.key"))
    except ValueError:
        return []
    from skiff.api.resources.core.key_pairs import pair_error

    why = pair_error(certificate, key)
    return [why] if why else []


def service_account(obj: Obj, old: Obj | None) -> list[str]:
    if old is not None and MOUNTABLE in (get(old, "metadata", "annotations") or {}):
        return []
    why = "deprecated in v1.32+; prefer separate namespaces to isolate access to mounted secrets"
    return [*annotation_warnings(obj, {MOUNTABLE: why})]


def service(obj: Obj, old: Obj | None) -> list[str]:
    spec, found = obj.get("spec") or {}, []
    kind, external = spec.get("type"), spec.get("externalIPs") or []
    if "service.kubernetes.io/topology-aware-hints" in (get(obj, "metadata", "annotations") or {}):
        instead = "please use service.kubernetes.io/topology-mode instead"
        found.append(f"annotation service.kubernetes.io/topology-aware-hints is deprecated, {instead}")
    headless = kind == "ClusterIP" and spec.get("clusterIP") == "None"
    for i, ip in enumerate(spec.get("clusterIPs") or () if spec.get("clusterIP") != "None" else ()):
        found += ip_warnings(ip, f"spec.clusterIPs[{i}]")
    if headless:
        ignored = {
            "spec.loadBalancerIP": spec.get("loadBalancerIP"),
            "spec.externalIPs": external,
            "spec.SessionAffinity": spec.get("sessionAffinity") != "None",
        }
        found += [f"{name} is ignored for headless services" for name, given in ignored.items() if given]
    for i, ip in enumerate(external):
        found += ip_warnings(ip, f"spec.externalIPs[{i}]")
    if external and not headless and kind != "ExternalName":
        found.append("spec.externalIPs is deprecated and may no longer be implemented in some clusters")
    found += ip_warnings(spec.get("loadBalancerIP") or "", "spec.loadBalancerIP")
    for i, cidr in enumerate(spec.get("loadBalancerSourceRanges") or ()):
        found += cidr_warnings(cidr, f"spec.loadBalancerSourceRanges[{i}]")
    if external and kind == "ExternalName":
        found.append('spec.externalIPs is ignored when spec.type is "ExternalName"')
    if kind != "ExternalName" and spec.get("externalName"):
        found.append('spec.externalName is ignored when spec.type is not "ExternalName"')
    if spec.get("trafficDistribution") == "PreferClose":
        found.append('spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"')
    return found


def load_balancer(obj: Obj, old: Obj | None) -> list[str]:
    """The status of services and ingresses."""
    return [
        w
        for i, each in enumerate(items(obj, "status", "loadBalancer", "ingress"))
        for w in ip_warnings(each.get("ip") or "", f"status.loadBalancer.ingress[{i}]")
    ]


def runtime_class_warnings(obj: Obj, old: Obj | None) -> list[str]:
    selector = get(obj, "scheduling", "nodeSelector") or ()
    return [f"scheduling.nodeSelector: {NODE_LABELS[k]}" for k in selector if k in NODE_LABELS]


def storage_class_warnings(obj: Obj, old: Obj | None) -> list[str]:
    return [
        f"allowedTopologies[{i}].matchLabelExpressions[{j}].key: {NODE_LABELS[requirement['key']]}"
        for i, term in enumerate(items(obj, "allowedTopologies"))
        for j, requirement in enumerate(items(term, "matchLabelExpressions"))
        if requirement.get("key") in NODE_LABELS
    ]


def capacity_warnings(obj: Obj, old: Obj | None) -> list[str]:
    """CSIStorageCapacity."""
    topology = obj.get("nodeTopology") or {}
    return [
        *node_term_warnings(topology, "nodeTopology"),
        *(
            f"nodeTopology.matchLabels.{k}: {NODE_LABELS[k]}"
            for k in topology.get("matchLabels") or ()
            if k in NODE_LABELS
        ),
    ]
