"""events.k8s.io/v1: the newer spelling of core/v1 Event, under which nothing is stored."""

from collections.abc import Sequence

from skiff.api.gvr import EVENTS
from skiff.api.resources import Resource
from skiff.api.resources import event_checks as checks
from skiff.api.resources.checks import update_validator, validator
from skiff.api.resources.core.events import EVENT_TTL_SECONDS, EVENTS_SELECTABLE, default_event, to_core, to_events
from skiff.api.resources.define import builtin

RESOURCES: Sequence[Resource] = (
    builtin(
        "events.k8s.io",
        "v1",
        "events",
        "Event",
        validate=validator(checks.check_event),
        validate_create=validator(checks.check_new_event),
        validate_update=update_validator(checks.check_event_update),
        short_names=("ev",),
        default=default_event,
        selectable=EVENTS_SELECTABLE,
        create_on_update=True,
        ttl_seconds=EVENT_TTL_SECONDS,
        default_propagation="Unsupported",
        storage=EVENTS,
        to_storage=to_core,
        from_storage=to_events,
    ),
)
