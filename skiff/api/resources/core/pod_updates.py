"""What may change in a pod: by an ordinary update, through its subresources, and in its status.

Source: pkg/apis/core/validation/validation.go (ValidatePodUpdate, …StatusUpdate, …EphemeralContainersUpdate, …Resize).
"""

import json
from copy import deepcopy
from typing import Any

from skiff.api import names, podresources
from skiff.api.meta import is_sidecar
from skiff.api.resources.checks import MAX_INT32, ErrorList, check_ip
from skiff.api.resources.core.pod_checks import MIRROR, check_pod
from skiff.api.resources.fields import get, items
from skiff.api.types import Obj

UPDATABLE = (
    "`spec.containers[*].image`",
    "`spec.initContainers[*].image`",
    "`spec.activeDeadlineSeconds`",
    "`spec.tolerations` (only additions to existing tolerations)",
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)",
)


def check_pod_update(new: Obj, old: Obj, errors: ErrorList) -> None:
    _check_mirror_annotation(new, old, errors)
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    for field in ("containers", "initContainers"):
        if len(spec.get(field) or ()) != len(before.get(field) or ()):
            errors.forbidden(f"spec.{field}", "pod updates may not add or remove containers")
            return
    if not _check_deadline(spec, before, errors):
        return
    _check_tolerations(spec, before, errors)
    _check_gates(spec, before, errors)
    if spec == before:
        return
    compared = _munged(spec, before)
    if before.get("schedulingGates"):
        _allow_gated_changes(compared, before, errors)
    if compared != before:
        listed = ",".join(UPDATABLE)
        errors.forbidden("spec", f"pod updates may not change fields other than {listed}\n{_changes(before, compared)}")


def _munged(spec: Obj, before: Obj) -> Obj:
    """The new spec with what may change set back to the old."""
    out = deepcopy(spec)
    for field in ("containers", "initContainers"):
        for container, old in zip(items(out, field), items(before, field), strict=True):
            container["image"] = old.get("image", "")
    for field in ("activeDeadlineSeconds", "schedulingGates", "tolerations"):
        _copy_field(out, before, field)
    grace = before.get("terminationGracePeriodSeconds")
    if grace is not None and grace < 0 and out.get("terminationGracePeriodSeconds") == 1:
        out["terminationGracePeriodSeconds"] = grace
    return out


def _copy_field(target: Obj, source: Obj, field: str) -> None:
    if field in source:
        target[field] = source[field]
    else:
        target.pop(field, None)


def _changes(before: Obj, after: Obj) -> str:
    """The lines of JSON that differ, as upstream shows them of its structs."""
    import difflib

    old, new = (json.dumps(spec, indent=1, sort_keys=True, ensure_ascii=False).splitlines() for spec in (before, after))
    return "\n".join([*difflib.unified_diff(old, new, lineterm="")][2:])


def _check_deadline(spec: Obj, before: Obj, errors: ErrorList) -> bool:
    """False when checking stops here, as upstream's does."""
    path, new, old = (
        "spec.activeDeadlineSeconds",
        spec.get("activeDeadlineSeconds"),
        before.get("activeDeadlineSeconds"),
    )
    if new is None:
        if old is not None:
            errors.invalid(path, None, "must not update from a positive integer to nil value")
        return True
    wrong = names.between(new, 0, MAX_INT32)
    errors.rule(path, new, wrong)
    if not wrong and old is not None and old < new:
        errors.invalid(path, new, "must be less than or equal to previous value")
        return False
    return not wrong


def _check_tolerations(spec: Obj, before: Obj, errors: ErrorList) -> None:
    """Tolerations may be added; of an existing one only the seconds may change."""

    def core(toleration: Obj) -> Obj:
        return {k: v for k, v in toleration.items() if k != "tolerationSeconds"}

    kept = [core(t) for t in items(spec, "tolerations")]
    if any(core(t) not in kept for t in items(before, "tolerations")):
        why = "existing toleration can not be modified except its tolerationSeconds"
        errors.forbidden("spec.tolerations", why)


def _check_gates(spec: Obj, before: Obj, errors: ErrorList) -> None:
    known = {g.get("name") for g in items(before, "schedulingGates")}
    for i, gate in enumerate(items(spec, "schedulingGates")):
        if gate.get("name") not in known:
            why = f"only deletion is allowed, but found new scheduling gate '{gate.get('name')}'"
            errors.forbidden(f"spec.schedulingGates[{i}].name", why)


def _allow_gated_changes(compared: Obj, before: Obj, errors: ErrorList) -> None:
    """A gated pod may get a narrower choice of nodes."""
    new, old = compared.get("nodeSelector") or {}, before.get("nodeSelector") or {}
    if new != old:
        if any(new.get(k) != v for k, v in old.items()):
            why = "only additions are allowed (no mutations or deletions)"
            errors.invalid("spec.nodeSelector", new, why)
        _copy_field(compared, before, "nodeSelector")
    affinity, stored = get(compared, "affinity", "nodeAffinity"), get(before, "affinity", "nodeAffinity")
    if affinity != stored:
        required = "requiredDuringSchedulingIgnoredDuringExecution"
        if stored and stored.get(required) and not _narrows(affinity or {}, stored, required):
            path = f"spec.affinity.nodeAffinity.{required}.nodeSelectorTerms"
            errors.invalid(path, get(affinity, required, "nodeSelectorTerms"), "only additions are allowed")
        others = {k: v for k, v in (compared.get("affinity") or {}).items() if k != "nodeAffinity"}
        if stored is not None:
            others["nodeAffinity"] = stored
        compared["affinity"] = others
        if not others and "affinity" not in before:
            del compared["affinity"]


def _narrows(new: Obj, old: Obj, required: str) -> bool:
    terms, stored = (get(a, required, "nodeSelectorTerms") or [] for a in (new, old))
    if len(terms) != len(stored):
        return False
    pairs = zip(terms, stored, strict=True)
    fields = ("matchExpressions", "matchFields")
    return all((t.get(f) or [])[: len(s.get(f) or [])] == (s.get(f) or []) for t, s in pairs for f in fields)


def _check_mirror_annotation(new: Obj, old: Obj, errors: ErrorList) -> None:
    now, then = (get(o, "metadata", "annotations") or {} for o in (new, old))
    path = f"metadata.annotations[{MIRROR}]"
    if MIRROR in then and now.get(MIRROR) != then[MIRROR]:
        errors.forbidden(path, "may not remove or update mirror pod annotation")
    elif MIRROR in now and MIRROR not in then:
        errors.forbidden(path, "may not add mirror pod annotation")


def check_status_update(new: Obj, old: Obj, errors: ErrorList) -> None:
    _check_mirror_annotation(new, old, errors)
    status, before = new.get("status") or {}, old.get("status") or {}
    nominated = status.get("nominatedNodeName", "")
    if nominated and nominated != before.get("nominatedNodeName", ""):
        errors.rule("status.nominatedNodeName", nominated, names.is_dns1123_subdomain(nominated))
        if get(old, "spec", "nodeName"):
            errors.forbidden("status.nominatedNodeName", "may not be set on pods that are already bound to a node")
    if "qosClass" in before:
        errors.immutable("status.qosClass", status.get("qosClass", before["qosClass"]), before["qosClass"])
    policy = get(old, "spec", "restartPolicy")
    if policy != "Always":
        _check_transitions(status, before, policy, old, errors)
    ips = [ip.get("ip", "") for ip in items(status, "podIPs")]
    for i, ip in enumerate(ips):
        check_ip(ip, f"status.podIPs[{i}]", errors)
    if len(ips) > 2 or (len(ips) == 2 and len({":" in ip for ip in ips}) == 1):
        why = "may specify no more than one IP for each IP family"
        errors.invalid("status.podIPs", status.get("podIPs"), why)


def _check_transitions(status: Obj, before: Obj, policy: Any, old: Obj, errors: ErrorList) -> None:
    """Containers that ended and will not be restarted stay ended."""
    specs = {c.get("name"): c for c in items(old, "spec", "containers")}
    fresh = {s.get("name"): s for s in items(status, "containerStatuses")}
    for i, stored in enumerate(items(before, "containerStatuses")):
        ended, name = get(stored, "state", "terminated"), stored.get("name")
        if ended is None or name not in fresh or get(fresh[name], "state", "terminated") is not None:
            continue
        own = specs.get(name, {})
        restart = own.get("restartPolicy") or policy
        failed = ended.get("exitCode", 0) != 0
        if restart == "Always" or (restart == "OnFailure" and failed) or own.get("restartPolicyRules"):
            continue
        errors.forbidden(f"status.containerStatuses[{i}].state", "may not be transitioned to non-terminated state")


def check_ephemeral_update(new: Obj, old: Obj, errors: ErrorList) -> None:
    """The ephemeralcontainers subresource: containers are added, never changed or removed."""
    if MIRROR in (get(old, "metadata", "annotations") or {}):
        errors.forbidden("", "static pods do not support ephemeral containers")
        return
    check_pod(new, errors)
    fresh = {c.get("name"): c for c in items(new, "spec", "ephemeralContainers")}
    for container in items(old, "spec", "ephemeralContainers"):
        name = container.get("name")
        if name not in fresh:
            errors.forbidden("spec.ephemeralContainers", f'existing ephemeral containers "{name}" may not be removed\n')
        elif fresh[name] != container:
            errors.forbidden("spec.ephemeralContainers", f'existing ephemeral containers "{name}" may not be changed\n')


def check_resize(new: Obj, old: Obj, errors: ErrorList) -> None:
    """The resize subresource: only cpu and memory of containers and sidecars change, within the QoS class."""
    if MIRROR in (get(old, "metadata", "annotations") or {}):
        errors.forbidden("", "static pods cannot be resized")
        return
    check_pod(new, errors)
    if podresources.qos_class(old) != podresources.qos_class(new):
        qos = get(new, "status", "qosClass")
        errors.invalid("spec", qos, "Pod QOS Class may not change as a result of resizing")
    compared = deepcopy(new.get("spec") or {})
    for field in ("containers", "initContainers"):
        ours, theirs = list(items(compared, field)), list(items(old, "spec", field))
        if [c.get("name") for c in ours] != [c.get("name") for c in theirs]:
            errors.forbidden("spec", "containers must not be reordered or renamed during pod resize")
            return
        for i, (container, stored) in enumerate(zip(ours, theirs, strict=True)):
            if field == "containers" or is_sidecar(container):
                _check_removed(container, stored, f"spec.{field}[{i}].resources", errors)
                _put_back(container, stored)
    if compared != old.get("spec"):
        errors.forbidden("spec", "only cpu and memory resources are mutable")


def _check_removed(container: Obj, stored: Obj, path: str, errors: ErrorList) -> None:
    for kind in ("requests", "limits"):
        now, then = (get(c, "resources", kind) or {} for c in (container, stored))
        for name in ("cpu", "memory"):
            if name in then and name not in now:
                errors.forbidden(f"{path}.{kind}", f"resource {kind} cannot be removed")
                break


def _put_back(container: Obj, stored: Obj) -> None:
    resources = container.setdefault("resources", {})
    for kind in ("requests", "limits"):
        now, then = resources.get(kind) or {}, get(stored, "resources", kind) or {}
        merged = {k: v for k, v in now.items() if k not in ("cpu", "memory")}
        merged |= {k: v for k, v in then.items() if k in ("cpu", "memory")}
        if merged:
            resources[kind] = merged
        else:
            resources.pop(kind, None)
