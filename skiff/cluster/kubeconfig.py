"""The administrator's kubeconfig: where it is, how it joins the user's own, and a kubectl that uses it."""

import os
import shutil
from pathlib import Path
from typing import Any, NoReturn

import yaml

from skiff.cluster.layout import Layout, write_atomically
from skiff.cluster.problem import EXIT_MISSING, Problem, no_cluster

NAME = "skiff"
CLOUD_SDK = "/usr/lib/google-cloud-sdk/bin/kubectl"


def admin(layout: Layout) -> Path:
    """The kubeconfig's path. Raises Problem when no cluster was made."""
    if not layout.admin_conf.exists():
        raise no_cluster(layout.root)
    return layout.admin_conf


def merge(source: Path) -> Path:
    """Puts cluster, user and context `skiff` into the user's kubeconfig and makes the context current; its path.

    Everything else in the file stays. The first file of $KUBECONFIG is taken, as kubectl does for writes.
    """
    first = os.environ.get("KUBECONFIG", "").split(":")[0]
    target = Path(first) if first else Path.home() / ".kube" / "config"
    try:
        mine = yaml.safe_load(target.read_text()) if target.exists() else {}
    except yaml.YAMLError as err:
        raise Problem(f"{target} is not valid YAML", str(err).splitlines()[0], "mend or move the file") from err
    if not isinstance(mine, dict | None):
        raise Problem(f"{target} is not a kubeconfig", "its top level is not a mapping", "mend or move the file")
    merged = with_skiff(mine or {}, yaml.safe_load(source.read_text()))
    write_atomically(target, yaml.safe_dump(merged, sort_keys=False))
    return target


def with_skiff(mine: dict[str, Any], ours: dict[str, Any]) -> dict[str, Any]:
    """A copy of the kubeconfig `mine` with the one cluster, user and context of `ours`, all named skiff."""
    entries = {
        "clusters": {"name": NAME, "cluster": ours["clusters"][0]["cluster"]},
        "users": {"name": NAME, "user": ours["users"][0]["user"]},
        "contexts": {"name": NAME, "context": {"cluster": NAME, "user": NAME}},
    }
    out = {"apiVersion": "v1", "kind": "Config", **mine, "current-context": NAME}
    for section, entry in entries.items():
        others = [e for e in mine.get(section) or [] if e.get("name") != NAME]
        out[section] = [*others, entry]
    return out


def find_kubectl() -> str:
    """A kubectl on this machine: on the PATH first."""
    for candidate in (shutil.which("kubectl"), CLOUD_SDK):
        if candidate and os.access(candidate, os.X_OK):
            return candidate
    raise Problem(
        "there is no kubectl on this machine",
        todo="apt-get install kubernetes-client, or put any kubectl from 1.20 on into the PATH",
        code=EXIT_MISSING,
    )


def exec_kubectl(layout: Layout, words: list[str]) -> NoReturn:
    """Becomes kubectl, with this cluster's kubeconfig."""
    env = {**os.environ, "KUBECONFIG": str(admin(layout))}
    program = find_kubectl()
    os.execve(program, [program, *words], env)
