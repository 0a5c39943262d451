"""CEL expressions that choose devices (resource.k8s.io): compiled to be checked. Loaded when the first one is met.

Source: dynamic-resource-allocation/cel/compile.go.
"""

from functools import lru_cache

from skiff.api.cel import types
from skiff.api.cel.access import Field
from skiff.api.cel.env import Env
from skiff.api.cel.errors import CompileError, ProgramError
from skiff.api.cel.estimate import Path, estimate

MAX_COST = 1_000_000
_DEVICE = "kubernetes.DRADevice"
_DOMAIN, _ID, _ENTRIES, _VALUE = 63, 32, 32, 64
"""The longest domain, identifier and attribute value, the most attributes of a device."""

_FIELDS = {
    "driver": types.STRING,
    "attributes": types.map_of(types.STRING, types.map_of(types.STRING, types.DYN)),
    "capacity": types.map_of(types.STRING, types.map_of(types.STRING, types.QUANTITY)),
    "allowMultipleAllocations": types.BOOL,
}
_SIZES = {
    ("driver",): _DOMAIN,
    ("attributes",): _ENTRIES,
    ("attributes", "@keys"): _DOMAIN,
    ("attributes", "@values"): _ENTRIES,
    ("attributes", "@values", "@keys"): _ID,
    ("attributes", "@values", "@values"): _VALUE,
    ("capacity",): _ENTRIES,
    ("capacity", "@keys"): _DOMAIN,
    ("capacity", "@values"): _ENTRIES,
    ("capacity", "@values", "@keys"): _ID,
}


def _size(path: Path) -> int | None:
    return _SIZES.get(tuple(path[1:]))


@lru_cache(1)
def _environment() -> Env:
    fields = {name: Field(name, type) for name, type in _FIELDS.items()}
    return Env({"device": types.object_type(_DEVICE)}, {_DEVICE: fields})


@lru_cache(256)
def selector_error(expression: str) -> tuple[str, str]:
    """(cause, detail) of what is wrong: ("", "") if nothing."""
    try:
        program = _environment().compile(expression)
    except CompileError as e:
        return "FieldValueInvalid", f"compilation failed: {e}"
    except ProgramError as e:
        return "FieldValueInvalid", f"program instantiation failed: {e}"
    if program.type.kind not in ("bool", "dyn"):
        return "FieldValueInvalid", "must evaluate to bool or the unknown type, not " + str(program.type)
    if estimate(program.root, _size)[1] > MAX_COST:
        return "FieldValueForbidden", "too complex, exceeds cost limit"
    return "", ""
