"""Writes skiff/api/protobuf/fields.txt: the protobuf field numbers of Kubernetes' types, read off the struct tags of a checkout.

    python tools/protobuf_table.py ~/kubernetes > skiff/api/protobuf/fields.txt

The notation is explained in skiff/api/protobuf/table.py.
"""

import re
import sys
from pathlib import Path

API = "staging/src/k8s.io/api"
GROUPS = ["admissionregistration", "apps", "authentication", "authorization", "autoscaling", "batch", "certificates"]
GROUPS += ["coordination", "core", "discovery", "events", "flowcontrol", "networking", "node", "policy", "rbac"]
GROUPS += ["resource", "scheduling", "storage"]
VERSIONS = [*[f"{group}/v1" for group in GROUPS], "autoscaling/v2", "apidiscovery/v2"]
FOLDERS = {v: f"{API}/{v}" for v in VERSIONS} | {
    "meta/v1beta1": "staging/src/k8s.io/apimachinery/pkg/apis/meta/v1beta1",
    "meta/v1": "staging/src/k8s.io/apimachinery/pkg/apis/meta/v1",
    "apiextensions/v1": "staging/src/k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1",
    "apiregistration/v1": "staging/src/k8s.io/kube-aggregator/pkg/apis/apiregistration/v1",
}
SCALARS = {
    "string": "s",
    "bool": "b",
    "int": "i",
    "int32": "i",
    "int64": "i",
    "uint8": "i",
    "float64": "d",
    "byte": "i",
    "types.UID": "s",
    "types.NodeName": "s",
}
KNOWN = {
    "resource.Quantity": "Quantity",
    "intstr.IntOrString": "IntOrString",
    "runtime.RawExtension": "Raw",
    "metav1.Time": "Time",
    "metav1.MicroTime": "MicroTime",
    "metav1.Duration": "Duration",
    "meta/v1.Time": "Time",
    "meta/v1.MicroTime": "MicroTime",
    "meta/v1.Duration": "Duration",
    "meta/v1.FieldsV1": "Raw",
    "apiextensions/v1.JSON": "Raw",
    "apiextensions/v1.JSONSchemaPropsOrArray": "SchemaOrArray",
    "apiextensions/v1.JSONSchemaPropsOrBool": "SchemaOrBool",
    "apiextensions/v1.JSONSchemaPropsOrStringArray": "SchemaOrStrings",
}
STRUCT = re.compile(r"^type (\w+) struct \{\n(.*?)^\}", re.M | re.S)
ALIAS = re.compile(r"^type (\w+) (=? ?[\w.\[\]*]+)$", re.M)
EMPTY = re.compile(r"^type (\w+) struct ?\{\}", re.M)
FIELD = re.compile(r'^\s*(?:(\w+)\s+)?([\w.*\[\]]+)\s+`json:"([^"]*)"[^`]*protobuf:"(\w+),(\d+),[^"]*"', re.M)
IMPORT = re.compile(r'^(?:import|\s)\s*(?:(\w+) )?"k8s\.io/(?:api/(\w+/\w+)|apimachinery/pkg/apis/(meta/v1))"', re.M)


class Package:
    def __init__(self, name: str, folder: Path):
        self.name = name
        self.structs: dict[str, tuple[str, dict[str, str]]] = {}
        self.aliases: dict[str, tuple[str, dict[str, str]]] = {}
        for path in sorted(folder.glob("*.go")):
            if path.name.startswith("zz_") or path.name.endswith(("_test.go", ".pb.go")):
                continue
            text = path.read_text()
            imports = {m[1] or (m[2] or m[3]).rpartition("/")[2]: m[2] or m[3] for m in IMPORT.finditer(text)}
            for m in STRUCT.finditer(text):
                self.structs[m[1]] = (m[2], imports)
            for m in EMPTY.finditer(text):
                self.structs[m[1]] = ("", imports)
            for m in ALIAS.finditer(text):
                self.aliases[m[1]] = (m[2].lstrip("= "), imports)


def code(packages: dict[str, Package], package: str, imports: dict[str, str], go: str) -> str:
    """The table's type of a Go type."""
    if go.startswith("*"):
        return code(packages, package, imports, go[1:])
    if go in ("[]byte", "[]uint8"):
        return "y"
    if go.startswith("[]"):
        return "[]" + code(packages, package, imports, go[2:])
    if go.startswith("map["):
        return "{}" + code(packages, package, imports, go[go.index("]") + 1 :])
    if go in SCALARS:
        return SCALARS[go]
    if go in KNOWN:
        return KNOWN[go]
    head, dot, tail = go.rpartition(".")
    home = imports.get(head, "") if dot else package
    full = f"{home}.{tail}"
    if full in KNOWN:
        return KNOWN[full]
    if home not in packages:
        raise SystemExit(f"unknown type {go} in {package}")
    if tail in packages[home].structs:
        return tail if home == package else full
    target, its_imports = packages[home].aliases[tail]
    if target.startswith("[]") and tail in ("ExtraValue", "Verbs"):
        return "Items"
    return code(packages, home, its_imports, target)


def main(root: Path) -> None:
    packages = {name: Package(name, root / folder) for name, folder in FOLDERS.items()}
    for name, package in packages.items():
        for struct, (body, imports) in sorted(package.structs.items()):
            fields = []
            for m in FIELD.finditer(body):
                json_name, *options = m[3].split(",")
                if not json_name and "inline" not in options:
                    raise SystemExit(f"{name}.{struct}: a field without a name")
                omit = bool({"omitempty", "omitzero"} & {*options})
                mark = ("*" if omit else "!") if m[2].startswith("*") else "?" if omit else ""
                if "inline" in options:
                    json_name, mark = "", ""
                type_code = code(packages, name, imports, m[2])
                fields.append((int(m[5]), f"{json_name}={m[5]}{mark}{type_code}"))
            if fields:
                print(f"{name}.{struct}:", *[text for _, text in sorted(fields)])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
