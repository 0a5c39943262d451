"""Taints and tolerations. Source: component-helpers scheduling/corev1/helpers.go, API type Toleration."""

from collections.abc import Sequence

from skiff.api.types import Obj

HARD_EFFECTS = ("NoSchedule", "NoExecute")


def tolerates(toleration: Obj, taint: Obj) -> bool:
    if toleration.get("effect") and toleration["effect"] != taint.get("effect"):
        return False
    if toleration.get("key") and toleration["key"] != taint.get("key"):
        return False
    operator = toleration.get("operator") or "Equal"
    if operator == "Exists":
        return True
    if not toleration.get("key"):
        return False
    wanted, found = toleration.get("value") or "", taint.get("value") or ""
    if operator == "Equal":
        return bool(wanted == found)
    return _compares(operator, wanted, found)


def _compares(operator: str, wanted: str, found: str) -> bool:
    """Gt and Lt: the taint's number is greater, or less, than the toleration's."""
    try:
        return int(found) > int(wanted) if operator == "Gt" else operator == "Lt" and int(found) < int(wanted)
    except ValueError:
        return False


def untolerated(taints: Sequence[Obj], tolerations: Sequence[Obj]) -> Obj | None:
    """The first taint that keeps a pod off and that no toleration bears."""
    for taint in taints:
        if taint.get("effect") in HARD_EFFECTS and not any(tolerates(t, taint) for t in tolerations):
            return taint
    return None
