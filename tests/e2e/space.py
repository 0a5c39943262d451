"""A namespace for one test module: objects made at once, looked at over plain HTTPS, ended with the module."""

import http.client
import json
import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from kube import Kube, until

Obj = dict[str, Any]
PATHS = {
    "Pod": "api/v1/namespaces/{}/pods",
    "Service": "api/v1/namespaces/{}/services",
    "ConfigMap": "api/v1/namespaces/{}/configmaps",
    "Secret": "api/v1/namespaces/{}/secrets",
    "Event": "api/v1/namespaces/{}/events",
    "Endpoints": "api/v1/namespaces/{}/endpoints",
    "Deployment": "apis/apps/v1/namespaces/{}/deployments",
}


def pod(name: str, script: str, *, image: str = "skiff-demo:1", pod_spec: Obj | None = None, **container: Any) -> Obj:
    """A pod with one container `main` that runs a shell script; other words go into the container."""
    main = {"name": "main", "image": image, "command": ["sh", "-c", script], **container}
    spec = {"terminationGracePeriodSeconds": 1, "containers": [main], **(pod_spec or {})}
    return {"kind": "Pod", "metadata": {"name": name, "labels": {"app": name}}, "spec": spec}


class Space:
    """name: of the namespace."""

    def __init__(self, kube: Kube, name: str):
        self.kube = kube
        self.name = name
        pki = kube.state_dir / "pki"
        self._tls = ssl.create_default_context(cafile=str(pki / "ca.crt"))
        config = json.loads(kube.kubectl("config", "view", "--raw", "-o", "json").stdout)
        self._token = ""
        user = config["users"][0]["user"]
        import base64

        cert = kube.state_dir / f"{name}.pem"
        cert.write_bytes(b"".join(base64.b64decode(user[f"client-{k}-data"]) for k in ("certificate", "key")))
        self._tls.load_cert_chain(str(cert))
        cert.unlink()

    def api(self, method: str, path: str, body: Obj | None = None, expect: tuple[int, ...] = (200, 201, 202)) -> Obj:
        """One request; its answer as an object."""
        connection = http.client.HTTPSConnection("127.0.0.1", 6443, context=self._tls, timeout=30)
        try:
            kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
            connection.request(method, f"/{path}", json.dumps(body) if body else None, {"Content-Type": kind})
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        assert answer.status in expect, f"{method} {path}: {answer.status} {text[:500]!r}"
        return json.loads(text)

    def path(self, kind: str, name: str = "") -> str:
        return PATHS[kind].format(self.name) + (f"/{name}" if name else "")

    def create(self, *objs: Obj) -> None:
        for obj in objs:
            version = "apps/v1" if obj["kind"] == "Deployment" else "v1"
            self.api("POST", self.path(obj["kind"]), {"apiVersion": version, **obj})

    def get(self, kind: str, name: str) -> Obj:
        return self.api("GET", self.path(kind, name))

    def exists(self, kind: str, name: str) -> bool:
        return self.api("GET", self.path(kind, name), expect=(200, 404)).get("kind") == kind

    def patch(self, kind: str, name: str, change: Obj) -> Obj:
        return self.api("PATCH", self.path(kind, name), change)

    def delete(self, kind: str, name: str, **options: Any) -> None:
        self.api("DELETE", self.path(kind, name), options or None)

    def status(self, name: str) -> Obj:
        """The first container's status, with {} for a pod that has none yet."""
        return next(iter(self.get("Pod", name)["status"].get("containerStatuses") or []), {})

    def state(self, name: str) -> tuple[str, Obj]:
        """("waiting" | "running" | "terminated" | "", details) of the first container."""
        return next(iter((self.status(name).get("state") or {}).items()), ("", {}))

    def waits_for(self, name: str, reason: str, seconds: float = 60) -> Obj:
        """Until the first container waits for that reason; the details."""
        until(lambda: self.state(name)[1].get("reason") == reason, f"{name} says {reason}", seconds)
        return self.state(name)[1]

    def phase(self, name: str, *phases: str) -> Obj:
        """Until the pod has one of the phases; the pod."""
        until(lambda: self.get("Pod", name)["status"].get("phase") in phases, f"{name} is {phases}")
        return self.get("Pod", name)

    def condition(self, name: str, type: str) -> str:
        conditions = self.get("Pod", name)["status"].get("conditions") or []
        return next((c["status"] for c in conditions if c["type"] == type), "")

    def ready(self, *names: str) -> None:
        for name in names:
            until(lambda name=name: self.condition(name, "Ready") == "True", f"{name} is ready")

    def gone(self, name: str, seconds: float = 60) -> None:
        until(lambda: not self.exists("Pod", name), f"{name} is gone", seconds)

    def events(self, name: str) -> dict[str, list[str]]:
        """reason → messages, of the object of that name."""
        found: dict[str, list[str]] = {}
        for event in self.api("GET", self.path("Event"))["items"]:
            if event["involvedObject"]["name"] == name:
                found.setdefault(event["reason"], []).append(event["message"])
        return found

    def event(self, name: str, reason: str, part: str = "") -> None:
        until(lambda: any(part in m for m in self.events(name).get(reason, [])), f"event {reason} {part} of {name}", 15)

    def kubectl(self, *words: str, **options: Any) -> subprocess.CompletedProcess[str]:
        return self.kube.kubectl("-n", self.name, *words, **options)

    def exec(self, name: str, *command: str, check: bool = True, container: str = "main") -> str:
        done = self.kubectl("exec", name, "-c", container, "--", *command, check=check)
        return done.stdout if check else done.stdout + done.stderr

    def sh(self, name: str, script: str, check: bool = True) -> str:
        return self.exec(name, "sh", "-c", script, check=check).strip()

    def logs(self, name: str, *words: str) -> str:
        return self.kubectl("logs", name, *words).stdout


@contextmanager
def space(kube: Kube, name: str) -> Iterator[Space]:
    kube.kubectl("create", "namespace", name)
    found = Space(kube, name)
    until(
        lambda: found.api("GET", f"api/v1/namespaces/{name}/serviceaccounts/default", expect=(200, 404)).get(
            "metadata"
        ),
        "the default service account exists",
    )
    try:
        yield found
    finally:
        kube.kubectl("delete", "namespace", name, "--wait=false")


def ctr(kube: Kube, *words: str) -> str:
    """containerd's own client on the cluster's containerd."""
    socket = kube.state_dir / "containerd" / "containerd.sock"
    argv = ["ctr", "--address", str(socket), "--namespace", "k8s.io", *words]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def holds(read: Callable[[], object], what: str, seconds: float = 30) -> None:
    """Waits until `read` answers something true, taking any failed command for "not yet"."""

    def quiet() -> object:
        try:
            return read()
        except AssertionError:
            return False

    until(quiet, what, seconds)
