"""The administrator's kubeconfig: where it is, how it joins the user's own, and a kubectl that uses it."""

import os
import shutil
from pathlib import Path
from typing import Any, NoReturn

import yaml

from skiff.cluster.layout import Layout, write_atomically
from skiff.cluster.problem import EXIT_MISSING, Problem, no_cluster

NAME = "skiff"
SECTIONS = ("clusters", "users", "contexts")
CLOUD_SDK = "/usr/lib/google-cloud-sdk/bin/kubectl"


def admin(layout: Layout) -> Path:
    """The kubeconfig's path. Raises Problem when no cluster was made."""
    if not layout.admin_conf.exists():
        if layout.load_settings() is None:
            raise no_cluster(layout.root)
        raise Problem(
            "the administrator's kubeconfig is lost", f"{layout.admin_conf} is not there", "skiff up makes it anew"
        )
    return layout.admin_conf


def merge(source: Path) -> Path:
    """Puts cluster, user and context `skiff` into the user's kubeconfig and makes the context current; its path.

    Everything else in the file stays, and a link to it stays a link.
    """
    named = own()
    target = named.resolve()
    if target == source.resolve():
        todo = "unset KUBECONFIG to merge it into ~/.kube/config"
        raise Problem("there is nothing to merge", f"KUBECONFIG names the cluster's own kubeconfig, {named}", todo)
    merged = with_skiff(read(target), read(source))
    write_atomically(target, yaml.safe_dump(merged, sort_keys=False))
    return named


def own() -> Path:
    """The user's kubeconfig that kubectl would write to: of the files in $KUBECONFIG the first that exists, else the last."""
    files = [Path(f) for f in os.environ.get("KUBECONFIG", "").split(":") if f]
    return next((f for f in files if f.exists()), files[-1] if files else Path.home() / ".kube" / "config")


def read(path: Path) -> dict[str, Any]:
    """A kubeconfig; {} when there is none. Raises Problem for what is none: it is not to be overwritten."""
    try:
        found = yaml.safe_load(path.read_text()) if path.exists() else {}
    except (yaml.YAMLError, UnicodeDecodeError) as err:
        raise Problem(f"{path} is not valid YAML", " ".join(str(err).split()), "mend or move the file") from err
    if not isinstance(found, dict | None):
        raise Problem(f"{path} is not a kubeconfig", "its top level is not a mapping", "mend or move the file")
    for section in SECTIONS:
        entries = (found or {}).get(section) or []
        if not isinstance(entries, list) or not all(isinstance(e, dict) for e in entries):
            raise Problem(
                f"{path} is not a kubeconfig", f"{section} is not a list of mappings", "mend or move the file"
            )
    return found or {}


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
    path = admin(layout)
    path.read_bytes()  # whether we may
    env = {**os.environ, "KUBECONFIG": str(path)}
    program = find_kubectl()
    os.execve(program, [program, *words], env)
