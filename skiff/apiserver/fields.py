"""Who owns which field: the server's side of managed fields. The sets and merges are skiff.api.apply's.

Also the small encodings that writes share.
"""

import orjson

from skiff.api.types import Obj
from skiff.apiserver.call import Call
from skiff.apiserver.served import Served


def encoded(served: Served, obj: Obj) -> bytes:
    """The JSON of an object that is not stored (any more), with the resourceVersion it carries."""
    return orjson.dumps({"kind": served.gvr.kind, "apiVersion": served.gvr.api_version, **obj})


def unversioned(served: Served, obj: Obj) -> bytes:
    """The JSON of an object that was never stored (a dry run)."""
    return encoded(served, obj)


def track(call: Call, new: Obj, old: Obj | None, manager: str) -> Obj:
    """Notes that `manager` (or the User-Agent) set what differs from `old`."""
    return new


def keep_old_times(new: Obj, old: Obj) -> None:
    """A write that changes nothing but the times in managedFields changes nothing."""
