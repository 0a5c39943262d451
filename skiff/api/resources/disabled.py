"""Fields of feature gates that are off by default in v1.36: a write does not bring them into an object that has none.

`disabled(paths)` makes a record's `prepare`; `[]` in a path means every item of a list, `{}` every value of a map.
Source: dropDisabledFields of the strategies and pkg/features/kube_features.go.
"""

from collections.abc import Callable, Iterator
from typing import Any

from skiff.api.types import Obj

Prepare = Callable[[Obj, Obj | None], None]

_CONTAINERS = ("containers", "initContainers", "ephemeralContainers")
POD_SPEC = (
    *(f"{c}[].lifecycle.stopSignal" for c in _CONTAINERS),
    "schedulingGroup",
    "volumes[].projected.sources[].podCertificate",
    "volumes[].projected.sources[].clusterTrustBundle",
)
"""Gates: ContainerStopSignals, GenericWorkload, PodCertificateRequest, ClusterTrustBundleProjection."""


def disabled(*paths: str) -> Prepare:
    """Removes these from new objects, and from old ones that did not use them before."""
    parsed = [tuple(path.replace("[]", ".[]").replace("{}", ".{}").split(".")) for path in paths]
    heads = sorted({path[0] for path in parsed})

    def prepare(new: Obj, old: Obj | None) -> None:
        if old is not None and all(new.get(head) == old.get(head) for head in heads):
            return  # the usual update, and comparing is much faster than looking
        for path in parsed:
            holders = [h for h in _holders(new, path) if path[-1] in h]
            if holders and (old is None or not any(path[-1] in h for h in _holders(old, path))):
                for holder in holders:
                    del holder[path[-1]]

    return prepare


def _holders(here: Any, path: tuple[str, ...]) -> Iterator[Obj]:
    """The objects in which the path's last field can stand."""
    for i, part in enumerate(path[:-1]):
        if part in ("[]", "{}"):
            for item in here if part == "[]" else here.values():
                yield from _holders(item, path[i + 1 :])
            return
        here = here.get(part) if isinstance(here, dict) else None
        if not here:
            return
    if isinstance(here, dict):
        yield here


def disabled_in_pods(path: str) -> Prepare:
    """Those of the pod spec at a path."""
    return disabled(*(f"{path}.{field}" for field in POD_SPEC))


def both(*parts: Prepare) -> Prepare:
    """All of them, in order."""

    def prepare(new: Obj, old: Obj | None) -> None:
        for part in parts:
            part(new, old)

    return prepare
