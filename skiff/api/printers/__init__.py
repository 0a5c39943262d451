"""Server-side printing: how objects of each kind become rows. Columns and cells are upstream's v1.36.

`printer(gvr)` finds a kind's printer, `DEFAULT` is for those without one, `table` makes the Table object. Pure: the
time comes in as seconds since the epoch. Source: pkg/printers/internalversion.
"""

from collections.abc import Mapping
from typing import Any

from skiff.api.printers.access import ADMISSION, AGGREGATION, CERTIFICATES, FLOW_CONTROL, RBAC
from skiff.api.printers.columns import custom_printer
from skiff.api.printers.core import EVENT
from skiff.api.printers.core import PRINTERS as CORE
from skiff.api.printers.networking import DISCOVERY, NETWORKING
from skiff.api.printers.scheduling import COORDINATION, NODE, RESOURCE, SCHEDULING
from skiff.api.printers.storage import INTERNAL, MIGRATION, STORAGE
from skiff.api.printers.table import partial_metadata, row, table
from skiff.api.printers.text import NAME, name
from skiff.api.printers.workloads import APPS, AUTOSCALING, BATCH, POLICY, SCALE
from skiff.api.resources import Column, Printer
from skiff.api.types import GVR, Obj

__all__ = ["DEFAULT", "PRINTERS", "SCALE", "custom_printer", "partial_metadata", "printer", "row", "table"]


def _name_and_creation(obj: Obj, now: float) -> list[Any]:
    return [name(obj), obj["metadata"].get("creationTimestamp", "0001-01-01T00:00:00Z")]


DEFAULT = Printer((NAME, Column("Created At", "date")), _name_and_creation)

PRINTERS: Mapping[str, Mapping[str, Printer]] = {
    "": CORE,
    "admissionregistration.k8s.io": ADMISSION,
    "apiregistration.k8s.io": AGGREGATION,
    "apps": APPS,
    "autoscaling": AUTOSCALING,
    "batch": BATCH,
    "certificates.k8s.io": CERTIFICATES,
    "coordination.k8s.io": COORDINATION,
    "discovery.k8s.io": DISCOVERY,
    "events.k8s.io": {"events": EVENT},
    "flowcontrol.apiserver.k8s.io": FLOW_CONTROL,
    "internal.apiserver.k8s.io": INTERNAL,
    "networking.k8s.io": NETWORKING,
    "node.k8s.io": NODE,
    "policy": POLICY,
    "rbac.authorization.k8s.io": RBAC,
    "resource.k8s.io": RESOURCE,
    "scheduling.k8s.io": SCHEDULING,
    "storage.k8s.io": STORAGE,
    "storagemigration.k8s.io": MIGRATION,
}
"""By group and plural name: the versions of a kind print alike."""


def printer(gvr: GVR) -> Printer:
    """The kind's printer, or DEFAULT."""
    return PRINTERS.get(gvr.group, {}).get(gvr.plural, DEFAULT)
