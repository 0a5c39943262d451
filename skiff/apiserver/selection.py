"""What a list, watch or deletecollection selects: namespace, label selector and field selector as one predicate,
and the place in the cache's indexes that narrows it best.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from skiff.api import fieldselectors, selectors
from skiff.api.errors import bad_request
from skiff.api.fieldselectors import FieldSelector
from skiff.api.selectors import Selector
from skiff.apiserver.entries import Entry
from skiff.apiserver.fanout import ALL, Slot
from skiff.apiserver.served import Served

NAME, NAMESPACE = "metadata.name", "metadata.namespace"
SELECTOR_LIMIT = 64 * 1024

Matches = Callable[[Entry], bool]


@dataclass(frozen=True, slots=True)
class Selection:
    """matches None: everything in `slot` is selected. slot: where the objects are to be found (see fanout.Slot).
    selective: a selector was given (then remaining items cannot be counted). label: key and value, when that is all
    there is to match. key: what was asked for."""

    key: tuple[str, str, str, str]
    namespace: str
    slot: Slot
    matches: Matches | None
    selective: bool
    label: tuple[str, str] | None = None

    def of(self, entries: Iterable[Entry]) -> Iterable[Entry]:
        """Those of the slot that are selected."""
        if self.label is not None:
            key, value = self.label  # what nearly all selectors are, without a call per object
            return (entry for entry in entries if entry.labels.get(key) == value)
        return entries if self.matches is None else filter(self.matches, entries)


def select(served: Served, namespace: str, name: str, labels: str, fields: str) -> Selection:
    """name: from a path that names one object, as with a field selector on it. Raises 400."""
    if len(labels) + len(fields) > SELECTOR_LIMIT:
        raise bad_request("the selector is too long")
    key = (namespace, name, labels, fields)
    if not labels and not fields and not name:
        return Selection(key, namespace, ("space", namespace, None) if namespace else ALL, None, False)
    try:
        by_label = selectors.parse(labels)
        by_field = fieldselectors.parse(fields)
    except (selectors.SelectorError, RecursionError) as e:
        raise bad_request(str(e)) from None
    return _select(served, key, by_label, by_field)


def _select(served: Served, key: tuple[str, str, str, str], labels: Selector, fields: FieldSelector) -> Selection:
    namespace, name, _, _ = key
    names = served.resource.selectable
    known = (NAME,) if not served.resource.custom and served.gvr.kind in _WITHOUT_NAMESPACE else (NAME, NAMESPACE)
    for r in fields.requirements:
        if r.field not in known and r.field not in names:
            raise bad_request(_unknown_field(served, r.field))
    wanted = fields.exact(NAME)
    if name:
        if wanted is not None and wanted != name:
            raise bad_request("fieldSelector metadata.name doesn't match requested name")
        wanted = name
    tests: list[Matches] = []
    space = fields.exact(NAMESPACE) if served.gvr.namespaced else None
    if space is not None and namespace and space != namespace:
        tests.append(lambda entry: False)
    namespace = namespace or space or ""
    slot, covered = _slot(served, namespace, wanted, fields)
    if namespace and slot[0] == "field":
        tests.append(lambda entry: entry.namespace == namespace)
    if not labels.empty:
        matches = labels.matches
        tests.append(lambda entry: matches(entry.labels))
    if wanted is not None and slot[0] != "name":
        tests.append(lambda entry: entry.name == wanted)
    for r in fields.requirements:
        if r.field not in covered:
            tests.append(_field_test(served, r.field, r.value, r.operator == "="))
    pairs = labels.pairs()
    label = pairs[0] if len(tests) == 1 and pairs is not None and len(pairs) == 1 else None
    return Selection(key, namespace, slot, _all(tests), not labels.empty or not fields.empty, label)


_UNKNOWN = {
    "Job": 'field label "{}" not supported for Job',
    "ResourceSlice": "field label not supported for resource.k8s.io/v1, Kind=ResourceSlice: {}",
}
"""Kinds that say it in words of their own."""
_WITHOUT_NAMESPACE = frozenset(("Namespace", "Node", "CertificateSigningRequest", "ResourceSlice"))
"""Kinds that list what they can be selected by, and leave out the namespace that they have not; others let it pass."""


def _unknown_field(served: Served, field: str) -> str:
    usual = "field label not supported: {}"
    if served.resource.custom:
        return usual.format(field)
    if field == NAMESPACE or served.resource.selectable:
        return _UNKNOWN.get(served.gvr.kind, usual).format(field)
    return f'"{field}" is not a known field selector: only "metadata.name", "metadata.namespace"'


def _slot(served: Served, namespace: str, name: str | None, fields: FieldSelector) -> tuple[Slot, frozenset[str]]:
    """The narrowest place, and the fields that it already decides."""
    if name is not None and (namespace or not served.gvr.namespaced):
        return ("name", namespace, name), frozenset((NAME,))
    cache = served.cache
    for i in cache.indexed if served.native else ():
        value = fields.exact(cache.field_names[i])
        if value is not None:
            return ("field", i, value), frozenset()  # tested too: an event is filed under the old and the new value
    return (("space", namespace, None) if namespace else ALL), frozenset()


def _field_test(served: Served, field: str, value: str, equal: bool) -> Matches:
    if field == NAME:
        return lambda entry: (entry.name == value) is equal
    if field == NAMESPACE:
        return lambda entry: (entry.namespace == value) is equal
    if served.native:
        i = served.cache.field_names.index(field)
        return lambda entry: (entry.fields[i] == value) is equal
    get = served.resource.selectable[field]
    return lambda entry: (get(served.load(entry)) == value) is equal


def _all(tests: list[Matches]) -> Matches | None:
    if not tests:
        return None
    if len(tests) == 1:
        return tests[0]
    return lambda entry: all(test(entry) for test in tests)
