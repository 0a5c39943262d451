"""Every built-in resource that v1.36 serves by default, in discovery order, and look-ups over them."""

from collections.abc import Mapping, Sequence

from skiff.api.resources import (
    Resource,
    admissionregistration,
    apiextensions,
    apiregistration,
    apps,
    autoscaling,
    batch,
    certificates,
    coordination,
    core,
    discovery,
    events,
    flowcontrol,
    networking,
    node,
    policy,
    rbac,
    resource,
    reviews,
    scheduling,
    storage,
)
from skiff.api.types import GVR

RESOURCES: Sequence[Resource] = (
    *core.RESOURCES,
    *apiregistration.RESOURCES,
    *apps.RESOURCES,
    *events.RESOURCES,
    *reviews.AUTHENTICATION_RESOURCES,
    *reviews.AUTHORIZATION_RESOURCES,
    *autoscaling.RESOURCES,
    *batch.RESOURCES,
    *certificates.RESOURCES,
    *networking.RESOURCES,
    *policy.RESOURCES,
    *rbac.RESOURCES,
    *storage.RESOURCES,
    *admissionregistration.RESOURCES,
    *apiextensions.RESOURCES,
    *scheduling.RESOURCES,
    *coordination.RESOURCES,
    *node.RESOURCES,
    *discovery.RESOURCES,
    *resource.RESOURCES,
    *flowcontrol.RESOURCES,
)

by_gvr: Mapping[GVR, Resource] = {r.gvr: r for r in RESOURCES}

by_kind: Mapping[tuple[str, str], Resource] = {(r.gvr.api_version, r.gvr.kind): r for r in RESOURCES}
"""(apiVersion, kind) as they stand in an object → record."""

by_plural: Mapping[tuple[str, str, str], Resource] = {(r.gvr.group, r.gvr.version, r.gvr.plural): r for r in RESOURCES}
"""(group, version, plural) as they stand in a URL → record."""
