"""Builders for runtime records."""

from typing import Any

from skiff.api.types import Obj
from skiff.kubelet.pods import container_hash
from skiff.kubelet.runtime import CONTAINER_HASH, Container, PodState, Sandbox
from skiff.testing.builders import container as spec
from skiff.testing.builders import pod as build_pod


def pod(*specs: Obj, uid: str = "uid-1", init: list[Obj] | None = None, **more: Any) -> Obj:
    if init:
        more["initContainers"] = init
    made = build_pod("web", containers=list(specs) or [spec("app")], **more)
    made["metadata"]["uid"] = uid
    return made


def sandbox(*, ready: bool = True, attempt: int = 0, ip: str = "10.0.0.2", created: float = 1.0) -> Sandbox:
    return Sandbox(f"s{attempt}", "web", "default", "uid-1", attempt, ready, created, (ip,) if ip else ())


def running(name: str = "app", *, of: Obj | None = None, attempt: int = 0, **more: Any) -> Container:
    return _container(name, "running", of, attempt, started=10.0, **more)


def exited(name: str = "app", code: int = 0, *, of: Obj | None = None, attempt: int = 0, **more: Any) -> Container:
    return _container(name, "exited", of, attempt, started=10.0, finished=20.0, exit_code=code, **more)


def created(name: str = "app", **more: Any) -> Container:
    return _container(name, "created", None, 0, **more)


def _container(name: str, state: Any, of: Obj | None, attempt: int, **more: Any) -> Container:
    more.setdefault("created", 5.0 + attempt)
    annotations = {CONTAINER_HASH: container_hash(of or spec(name))}
    return Container(f"{name}-{attempt}", "s0", name, "uid-1", attempt, state, annotations=annotations, **more)


def state(*containers: Container, sandboxes: tuple[Sandbox, ...] | None = None) -> PodState:
    ordered = sorted(containers, key=lambda c: -c.created)
    return PodState("uid-1", (sandbox(),) if sandboxes is None else sandboxes, tuple(ordered))
