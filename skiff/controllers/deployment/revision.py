"""Which ReplicaSet is the deployment's new one, which are old, and the revision annotations that tell them apart.

Pure. Source: upstream pkg/controller/deployment/util/deployment_util.go.
"""

from collections.abc import Iterable, Sequence
from copy import deepcopy

from skiff.api.gvr import DEPLOYMENTS
from skiff.api.meta import annotations, is_being_deleted, name, namespace, new_controller_ref, uid
from skiff.api.types import Obj
from skiff.controllers.common.meta import generation, spec, status
from skiff.controllers.common.templates import HASH_LABEL, compute_hash, equal_ignoring_hash
from skiff.controllers.deployment import sizes

REVISION = "deployment.kubernetes.io/revision"
HISTORY = "deployment.kubernetes.io/revision-history"
HISTORY_LENGTH = 2000
MAX_NAME = 253
NOT_COPIED = frozenset(
    {
        "kubectl.kubernetes.io/last-applied-configuration",
        "deprecated.deployment.rollback.to",
        REVISION,
        HISTORY,
        sizes.DESIRED,
        sizes.MAXIMUM,
    }
)


def revision(obj: Obj) -> int:
    """0 if there is none that can be read."""
    return _integer(annotations(obj).get(REVISION, "")) or 0


def _integer(text: str) -> int | None:
    return int(text) if text.isascii() and text.removeprefix("-").isdigit() else None


def next_revision(old: Iterable[Obj]) -> int:
    return max((revision(s) for s in old), default=0) + 1


def find_new(deployment: Obj, sets: Iterable[Obj]) -> Obj | None:
    """The set with the deployment's template; the oldest if there are several."""
    template = spec(deployment)["template"]
    return next((s for s in sizes.by_age(sets) if equal_ignoring_hash(spec(s)["template"], template)), None)


def find_old(sets: Iterable[Obj], new: Obj | None) -> list[Obj]:
    return [s for s in sets if new is None or uid(s) != uid(new)]


def new_annotations(deployment: Obj, present: dict[str, str], number: int) -> dict[str, str]:
    """The annotations that the new set should have: the deployment's own, its revision (never lowered), and, when it
    comes back as a later revision, the former ones."""
    if (text := present.get(REVISION, "")) and _integer(text) is None:
        return present
    out = {**present, **{k: v for k, v in annotations(deployment).items() if k not in NOT_COPIED}}
    former = present.get(REVISION)
    if (_integer(former) or 0 if former else 0) >= number:
        return out
    out[REVISION] = str(number)
    if former is not None:
        out[HISTORY] = _extended(present.get(HISTORY, ""), former)
    return out


def _extended(history: str, former: str) -> str:
    """Comma separated, the oldest dropped when it gets too long."""
    numbers = history.split(",") if history else []
    while numbers and len(",".join([*numbers, former])) > HISTORY_LENGTH:
        numbers.pop(0)
    return ",".join([*numbers, former])


def set_name(deployment_name: str, template_hash: str) -> str:
    return f"{deployment_name[: MAX_NAME - 1 - len(template_hash)]}-{template_hash}"


def new_set(deployment: Obj, old: Sequence[Obj], number: int) -> Obj:
    """The ReplicaSet to create for the deployment's template, sized for the rollout."""
    wanted = spec(deployment)
    template_hash = compute_hash(wanted["template"], status(deployment).get("collisionCount"))
    template = deepcopy(wanted["template"])
    template.setdefault("metadata", {})
    template["metadata"]["labels"] = {**(template["metadata"].get("labels") or {}), HASH_LABEL: template_hash}
    selector = deepcopy(wanted["selector"])
    selector["matchLabels"] = {**(selector.get("matchLabels") or {}), HASH_LABEL: template_hash}
    noted = new_annotations(deployment, {}, number)
    made: Obj = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": set_name(name(deployment), template_hash),
            "namespace": namespace(deployment),
            "labels": dict(template["metadata"]["labels"]),
            "annotations": {**noted, **sizes.size_annotations(deployment)},
            "ownerReferences": [new_controller_ref(deployment, DEPLOYMENTS)],
        },
        "spec": {
            "replicas": sizes.new_replicas(deployment, sizes.total(old), 0),
            "selector": selector,
            "template": template,
        },
    }
    if wanted.get("minReadySeconds"):
        made["spec"]["minReadySeconds"] = wanted["minReadySeconds"]
    return made


def surplus_history(deployment: Obj, old: Iterable[Obj]) -> list[Obj]:
    """Old sets beyond the history limit that are empty and settled, oldest revision first."""
    limit = spec(deployment).get("revisionHistoryLimit")
    if limit is None or limit == sizes.NEVER:
        return []
    alive = [s for s in old if not is_being_deleted(s)]
    alive.sort(key=lambda s: (revision(s), s["metadata"].get("creationTimestamp", ""), name(s)))
    return [s for s in alive[: max(0, len(alive) - limit)] if _settled_empty(s)]


def _settled_empty(s: Obj) -> bool:
    seen = status(s).get("observedGeneration", 0)
    return not status(s).get("replicas") and sizes.replicas(s) == 0 and generation(s) <= seen
