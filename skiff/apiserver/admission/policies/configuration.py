"""The policies of one kind with their bindings: compiled once, kept current by the watch cache."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from skiff.api.gvr import VALIDATINGADMISSIONPOLICIES
from skiff.api.selectors import Selector, SelectorError, from_label_selector
from skiff.api.types import GVR, Obj
from skiff.apiserver.admission.matching import GROUP, Criteria
from skiff.apiserver.lookup import Lookup

if TYPE_CHECKING:
    from skiff.apiserver.admission.policies.program import PolicyProgram

VALIDATING = VALIDATINGADMISSIONPOLICIES
VALIDATING_BINDINGS = GVR(GROUP, "v1", "validatingadmissionpolicybindings", "ValidatingAdmissionPolicyBinding", False)
MUTATING = GVR(GROUP, "v1", "mutatingadmissionpolicies", "MutatingAdmissionPolicy", False)
MUTATING_BINDINGS = GVR(GROUP, "v1", "mutatingadmissionpolicybindings", "MutatingAdmissionPolicyBinding", False)


@dataclass(slots=True)
class Binding:
    """criteria: None: it counts wherever its policy does. params: its paramRef. selector: that of its paramRef. error: why
    it cannot be used."""

    name: str
    spec: Mapping[str, Any]
    criteria: Criteria | None = None
    params: Mapping[str, Any] | None = None
    selector: Selector | None = None
    error: str = ""

    @classmethod
    def of(cls, obj: Obj) -> "Binding":
        spec = obj.get("spec") or {}
        made = cls(obj["metadata"]["name"], spec, params=spec.get("paramRef"))
        try:
            if spec.get("matchResources") is not None:
                made.criteria = Criteria.of_resources(spec["matchResources"])
            if made.params is not None and made.params.get("selector") is not None:
                made.selector = from_label_selector(made.params["selector"])
        except SelectorError as e:
            made.error = str(e)
        return made


@dataclass(slots=True)
class Policy:
    """bindings: sorted by name. error: why it cannot be used."""

    name: str
    spec: Mapping[str, Any]
    criteria: Criteria | None = None
    error: str = ""
    bindings: list[Binding] = field(default_factory=list)
    _program: "PolicyProgram | None" = None

    @classmethod
    def of(cls, obj: Obj) -> "Policy":
        made = cls(obj["metadata"]["name"], obj.get("spec") or {})
        try:
            made.criteria = Criteria.of_resources(made.spec.get("matchConstraints") or {})
        except SelectorError as e:
            made.error = str(e)
        return made

    @property
    def fails(self) -> bool:
        """What goes wrong refuses the request."""
        return self.spec.get("failurePolicy") != "Ignore"

    @property
    def param_kind(self) -> Mapping[str, Any] | None:
        return self.spec.get("paramKind")

    @property
    def program(self) -> "PolicyProgram":
        """Its expressions, compiled when the first request matches."""
        if self._program is None:
            from skiff.apiserver.admission.policies.program import PolicyProgram

            self._program = PolicyProgram(self.spec)
        return self._program


class Configuration:
    """policies: those with bindings, sorted by name; empty as long as there are none."""

    def __init__(self, lookup: Lookup, policies: GVR, bindings: GVR):
        self.policies: Sequence[Policy] = ()
        self._policies: dict[str, Policy] = {}
        self._bindings: dict[str, Binding] = {}
        lookup.subscribe(policies, self._change(self._policies, Policy.of))
        lookup.subscribe(bindings, self._change(self._bindings, Binding.of))

    def _change(self, table: dict[str, Any], make: Callable[[Obj], Any]) -> Callable[[Obj | None, Obj | None], None]:
        def change(old: Obj | None, new: Obj | None) -> None:
            if new is not None:
                known = table.get(new["metadata"]["name"])
                if known is not None and known.spec == new.get("spec"):
                    return
                table[new["metadata"]["name"]] = make(new)
            elif old is not None:
                table.pop(old["metadata"]["name"], None)
            self._join()

        return change

    def _join(self) -> None:
        for policy in self._policies.values():
            policy.bindings = []
        for _, binding in sorted(self._bindings.items()):
            policy_of = self._policies.get(binding.spec.get("policyName", ""))
            if policy_of is not None:
                policy_of.bindings.append(binding)
        self.policies = [policy for _, policy in sorted(self._policies.items()) if policy.bindings]
