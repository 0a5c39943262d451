"""Which names a definition gets, and the conditions that say so: a pure decision on the definitions of one group.

Source: apiextensions-apiserver pkg/controller/{status,establish,apiapproval}.
"""

from collections.abc import Iterable
from dataclasses import replace

from skiff.api.meta import find_condition
from skiff.api.resources.apiextensions import set_condition
from skiff.api.resources.fields import get
from skiff.api.structural import definition as checks
from skiff.api.types import Obj
from skiff.apiserver.apiextensions.definition import Names

_APPROVALS = {
    "missing": ("False", "MissingAnnotation"),
    "bypassed": ("False", "UnapprovedAnnotation"),
    "approved": ("True", "ApprovedAnnotation"),
    "invalid": ("False", "InvalidAnnotation"),
}


def decide(wanted: Names, accepted: Names, others: Iterable[Names]) -> tuple[Names, str, str]:
    """The names it gets, and the last conflict's reason and message ("" for none). others: accepted by the others."""
    resources: set[str] = set()
    kinds: set[str] = set()
    for names in others:
        resources.update((names.plural, names.singular, *names.short_names))
        kinds.update((names.kind, names.list_kind))
    reason = message = ""
    result = accepted
    for field, used, conflict in (
        ("plural", resources, "PluralConflict"),
        ("singular", resources, "SingularConflict"),
        ("short_names", resources, "ShortNamesConflict"),
        ("kind", kinds, "KindConflict"),
        ("list_kind", kinds, "ListKindConflict"),
    ):
        asked, own = getattr(wanted, field), getattr(accepted, field)
        taken = _taken(asked, own, used)
        if taken:
            listed = [f'"{name}" is already in use' for name in taken]
            reason, message = conflict, listed[0] if len(listed) == 1 else f"[{', '.join(listed)}]"
        else:
            result = replace(result, **{field: asked})
    return replace(result, categories=wanted.categories), reason, message


def _taken(asked: str | tuple[str, ...], own: str | tuple[str, ...], used: set[str]) -> list[str]:
    if asked == own:
        return []
    if isinstance(asked, str):
        return [asked] if asked in used else []
    return [name for name in asked if name not in own and name in used]


def settle(obj: Obj, others: Iterable[Names], now: float) -> None:
    """Accepted names and conditions of a definition, in place."""
    status = obj.setdefault("status", {})
    wanted, accepted = Names.read(get(obj, "spec", "names")), Names.read(status.get("acceptedNames"))
    conditions = status.get("conditions") or []
    if wanted != accepted or find_condition(conditions, "NamesAccepted") is None:
        names, reason, message = decide(wanted, accepted, others)
        status["acceptedNames"] = names.as_object()
        if reason:
            set_condition(obj, "NamesAccepted", "False", reason, message, now)
        else:
            set_condition(obj, "NamesAccepted", "True", "NoConflicts", "no conflicts found", now)
        _establish(obj, not reason, now)
    if checks.is_protected(get(obj, "spec", "group") or ""):
        state, words = checks.approval(obj)
        set_condition(obj, "KubernetesAPIApprovalPolicyConformant", *_APPROVALS[state], words, now)


def _establish(obj: Obj, accepted: bool, now: float) -> None:
    """An established definition stays so."""
    if checks.is_established(obj):
        return
    if not accepted:
        set_condition(obj, "Established", "False", "NotAccepted", "not all names are accepted", now)
        return
    ca = get(obj, "spec", "conversion", "webhook", "clientConfig", "caBundle")
    if ca and not _is_certificate(ca):
        words = "The conversion webhook CABundle is invalid"
        set_condition(obj, "Established", "False", "InvalidCABundle", words, now)
        return
    words = "the initial names have been accepted"
    set_condition(obj, "Established", "True", "InitialNamesAccepted", words, now)


def _is_certificate(bundle: str) -> bool:
    import ssl
    from base64 import b64decode

    try:
        ssl.create_default_context(cadata=b64decode(bundle).decode())
    except (ValueError, ssl.SSLError):
        return False
    return True
