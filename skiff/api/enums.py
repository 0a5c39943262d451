"""Which fields of built-in kinds are enumerations, and of what: enums.txt, one line per definition.

    core.v1.ServiceSpec: ipFamilies[]=,IPv4,IPv6 type=ClusterIP,ExternalName,LoadBalancer,NodePort

`[]`: of the list's items; `{}`: of the map's values; nothing before the first comma: the empty text; `+`: a space. The definitions that upstream publishes as files
do not have them, its server's have; `kubectl explain` shows them. Source: upstream's types marked `+enum`.
"""

from functools import cache
from pathlib import Path
from typing import Any

FILE = Path(__file__).parent / "enums.txt"
_BELOW = {"[]": "items", "{}": "additionalProperties"}


@cache
def table() -> dict[str, str]:
    """Definition without `io.k8s.` (and `api.`) → its fields, as text."""
    return dict(line.split(": ", 1) for line in FILE.read_text(encoding="ascii").splitlines())


def add(definition: str, schema: dict[str, Any]) -> None:
    """Into a definition, in place: the values, and the list of them at the end of the field's description."""
    fields = table().get(definition.removeprefix("io.k8s.").removeprefix("api."), "")
    for field in fields.split():
        name, _, text = field.partition("=")
        values = text.replace("+", " ").split(",")
        place = schema["properties"][name.rstrip("[]{}")]
        below = _BELOW.get(name[-2:])
        (place[below] if below else place)["enum"] = values
        listed = "".join(f'\n - `"{value}"`' for value in values)
        place["description"] = f"{place.get('description', '')}\n\nPossible enum values:{listed}"
