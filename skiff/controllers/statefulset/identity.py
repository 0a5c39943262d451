"""Who the pods of a StatefulSet are: names by ordinal, labels, hostnames, and the claims that follow them.

Pure. Source: upstream pkg/controller/statefulset/stateful_set_utils.go.
"""

import re
from copy import deepcopy

from skiff.api.gvr import STATEFULSETS
from skiff.api.meta import labels, name, namespace, new_controller_ref, new_owner_ref, owner_references
from skiff.api.types import Obj
from skiff.controllers.common.history import REVISION_LABEL
from skiff.controllers.common.meta import spec
from skiff.controllers.common.podcontrol import pod_from_template

POD_NAME = "statefulset.kubernetes.io/pod-name"
POD_INDEX = "apps.kubernetes.io/pod-index"
_NAME = re.compile(r"(.*)-([0-9]+)")


def start(sts: Obj) -> int:
    return int((spec(sts).get("ordinals") or {}).get("start") or 0)


def pod_name(sts: Obj, ordinal: int) -> str:
    return f"{name(sts)}-{ordinal}"


def ordinal(sts: Obj, pod: Obj) -> int:
    """-1 for a pod that is none of the set's by its name."""
    found = _NAME.fullmatch(name(pod))
    return int(found[2]) if found and found[1] == name(sts) and f"{found[1]}-{int(found[2])}" == name(pod) else -1


def claim_name(template: Obj, pod: str) -> str:
    return f"{name(template)}-{pod}"


def claims(sts: Obj, pod: str) -> list[Obj]:
    """The claims of one pod, as they are to be made."""
    made = []
    for template in spec(sts).get("volumeClaimTemplates") or ():
        metadata = deepcopy(template.get("metadata") or {})
        metadata |= {"name": claim_name(template, pod), "namespace": namespace(sts)}
        metadata["labels"] = {**(metadata.get("labels") or {}), **(spec(sts)["selector"].get("matchLabels") or {})}
        if _policy(sts, "whenDeleted") == "Delete":
            metadata["ownerReferences"] = [new_owner_ref(sts, STATEFULSETS)]
        wanted = deepcopy(template["spec"])
        made.append({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": wanted})
    return made


def _policy(sts: Obj, when: str) -> str:
    return str((spec(sts).get("persistentVolumeClaimRetentionPolicy") or {}).get(when) or "Retain")


def claim_owners(sts: Obj, claim: Obj, condemned: Obj | None) -> list[Obj] | None:
    """The claim's owner references as the retention policy wants them; None if they are. condemned: its pod, when
    scaling down is about to delete that."""
    before = owner_references(claim)
    ours = {sts["metadata"]["uid"], *([condemned["metadata"]["uid"]] if condemned else [])}
    after = [r for r in before if r["uid"] not in ours]
    if _policy(sts, "whenDeleted") == "Delete":
        after.append(new_owner_ref(sts, STATEFULSETS))
    if condemned is not None and _policy(sts, "whenScaled") == "Delete":
        after = [new_owner_ref(condemned)]
    same = {r["uid"] for r in after} == {r["uid"] for r in before}
    return None if same else after


def new_pod(sts: Obj, template: Obj, index: int, revision: str) -> Obj:
    made = pod_from_template(template, sts, STATEFULSETS)
    own = pod_name(sts, index)
    metadata = made["metadata"]
    del metadata["generateName"]
    metadata |= {"name": own, "namespace": namespace(sts), "ownerReferences": [new_controller_ref(sts, STATEFULSETS)]}
    metadata["labels"] = {**(metadata.get("labels") or {}), **identity_labels(sts, index), REVISION_LABEL: revision}
    wanted = made["spec"]
    wanted["hostname"] = own
    if spec(sts).get("serviceName"):
        wanted["subdomain"] = spec(sts)["serviceName"]
    templates = spec(sts).get("volumeClaimTemplates") or []
    claimed = [{"name": name(t), "persistentVolumeClaim": {"claimName": claim_name(t, own)}} for t in templates]
    others = [v for v in wanted.get("volumes") or () if v["name"] not in {name(t) for t in templates}]
    if claimed or others:
        wanted["volumes"] = [*claimed, *others]
    return made


def identity_labels(sts: Obj, index: int) -> dict[str, str]:
    return {POD_NAME: pod_name(sts, index), POD_INDEX: str(index)}


def lacks_identity(sts: Obj, pod: Obj) -> bool:
    wanted = identity_labels(sts, ordinal(sts, pod))
    return any(labels(pod).get(k) != v for k, v in wanted.items())
