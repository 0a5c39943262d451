"""Sees to it that a container's image is there: pull policy, pull secrets, back-off, events. Source: Kubernetes docs,
"Images"; the reasons and messages are upstream's."""

import asyncio
import base64
import binascii
import contextlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from skiff import env
from skiff.api.types import Obj
from skiff.client.controller import Recorder
from skiff.kubelet.backoff import Backoff
from skiff.kubelet.pods import field_path, go_duration
from skiff.kubelet.runtime import Credentials, Image, Images, RuntimeFailure, SandboxConfig
from skiff.kubelet.status import StartFailure

SHOW_ERROR_S = 3.0
"""How long a pull's error stands in the status before it becomes the back-off."""


class ImageProblem(Exception):
    """The image cannot be had now; `failure` is what the container waits for, `retry_at` when to try again (0.0: soon)."""

    def __init__(self, failure: StartFailure, retry_at: float = 0.0):
        super().__init__(failure.message)
        self.failure = failure
        self.retry_at = retry_at


@dataclass(frozen=True, slots=True)
class Pulled:
    """ref: under which the runtime takes the image."""

    ref: str
    image: Image | None


_NAME = re.compile(
    r"(?:(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*(?::[0-9]+)?/)?"
    r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*"
    r"(?P<tag>:[\w][\w.-]{0,127})?(?P<digest>@[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,})?\Z",
    re.ASCII,
)


def with_default_tag(image: str) -> str:
    """`busybox` → `busybox:latest`. Raises ValueError for what is no image name."""
    match = _NAME.match(image)
    if not match:
        raise ValueError(f"couldn't parse image name {json.dumps(image)}: {_why_no_name(image)}")
    return image if match["tag"] or match["digest"] else image + ":latest"


def _why_no_name(image: str) -> str:
    """In the words of distribution/reference."""
    first, slash, rest = image.partition("/")
    is_domain = bool(slash) and ("." in first or ":" in first or first == "localhost" or first != first.lower())
    path = (rest if is_domain else image if slash else f"library/{image}").partition(":")[0]
    if path != path.lower():
        return f"invalid reference format: repository name ({path}) must be lowercase"
    return "invalid reference format"


def policy_of(container: Obj) -> str:
    """imagePullPolicy, or what the API server would have filled in."""
    given = container.get("imagePullPolicy")
    if given:
        return str(given)
    image = container.get("image", "")
    tag = image.rpartition("/")[2].partition("@")[0].partition(":")[2]
    return "Always" if tag in ("", "latest") and "@" not in image else "IfNotPresent"


def registry_of(image: str) -> tuple[str, str]:
    """(registry, path) of an image; Docker Hub when the first part is no host name."""
    first, slash, rest = image.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return first, rest
    return "index.docker.io", image if slash else f"library/{image}"


def credentials_for(image: str, secrets: Sequence[Obj]) -> list[Credentials]:
    """What the pull secrets offer for the image's registry, the longest matching path first."""
    registry, path = registry_of(image)
    found: list[tuple[int, Credentials]] = []
    for secret in secrets:
        for server, entry in _auths(secret).items():
            host, _, prefix = _normal(server).partition("/")
            if prefix in ("v1", "v2"):
                prefix = ""
            matches = host == registry or (
                host in ("docker.io", "registry-1.docker.io") and registry == "index.docker.io"
            )
            wild = "*" in host and re.fullmatch(re.escape(host).replace(r"\*", "[^.]*"), registry) is not None
            if (matches or wild) and (not prefix or path == prefix or path.startswith(prefix + "/")):
                found.append((len(prefix), _credentials(entry)))
    return [c for _, c in sorted(found, key=lambda pair: -pair[0])]


def _normal(server: str) -> str:
    return server.removeprefix("https://").removeprefix("http://").rstrip("/")


def _auths(secret: Obj) -> dict[str, Obj]:
    """The registries of a dockerconfigjson or dockercfg secret; {} for anything malformed."""
    data = secret.get("data") or {}
    try:
        if data.get(".dockerconfigjson"):
            auths = json.loads(base64.b64decode(data[".dockerconfigjson"])).get("auths") or {}
        else:
            auths = json.loads(base64.b64decode(data.get(".dockercfg") or "e30="))
    except (ValueError, AttributeError, TypeError):
        return {}
    return {k: v for k, v in auths.items() if isinstance(v, dict)} if isinstance(auths, dict) else {}


def _credentials(entry: Obj) -> Credentials:
    user, password = str(entry.get("username") or ""), str(entry.get("password") or "")
    if entry.get("auth"):
        with contextlib.suppress(binascii.Error, UnicodeDecodeError, TypeError, ValueError):
            user, _, password = base64.b64decode(entry["auth"]).decode().partition(":")
    return Credentials(user, password, str(entry.get("identitytoken") or ""), str(entry.get("registrytoken") or ""))


class ImagePuller:
    """One per kubelet: pulls of different images run side by side, up to `parallel`."""

    def __init__(self, *, images: Images, recorder: Recorder, parallel: int = 5):
        self._images = images
        self._recorder = recorder
        self._slots = asyncio.Semaphore(parallel)
        self.backoff = Backoff()
        self._failures: dict[str, tuple[float, str]] = {}

    async def ensure(self, pod: Obj, container: Obj, secrets: Sequence[Obj], sandbox: SandboxConfig) -> Pulled:
        """Raises ImageProblem."""
        asked = container.get("image", "")
        try:
            image = with_default_tag(asked)
        except ValueError as e:
            message = f'Failed to apply default image tag "{asked}": {e}'
            self._event(pod, container, "Warning", "InspectFailed", message)
            raise ImageProblem(StartFailure("InvalidImageName", message)) from e
        policy = policy_of(container)
        present = None if policy == "Always" else await self._status(pod, container, image)
        if present is not None:
            text = f'Container image "{asked}" already present on machine and can be accessed by the pod'
            self._event(pod, container, "Normal", "Pulled", text)
            return Pulled(present.id, present)
        if policy == "Never":
            message = f'Container image "{asked}" is not present with pull policy of Never'
            self._event(pod, container, "Warning", "ErrImageNeverPull", message)
            raise ImageProblem(StartFailure("ErrImageNeverPull", message))
        return await self._pull(pod, container, image, secrets, sandbox)

    async def _status(self, pod: Obj, container: Obj, image: str) -> Image | None:
        try:
            return await self._images.image_status(image)
        except RuntimeFailure as e:
            message = f'Failed to inspect image "{image}": {e}'
            self._event(pod, container, "Warning", "InspectFailed", message)
            raise ImageProblem(StartFailure("ImageInspectError", message)) from e

    async def _pull(
        self, pod: Obj, container: Obj, image: str, secrets: Sequence[Obj], sandbox: SandboxConfig
    ) -> Pulled:
        asked, key = container["image"], f"{pod['metadata']['uid']}_{container['image']}"
        failed_at, error = self._failures.get(key, (0.0, ""))
        until = self.backoff.until(key, failed_at)
        if env.epoch() < until:
            message = f'Back-off pulling image "{asked}"'
            self._event(pod, container, "Normal", "BackOff", message)
            raise ImageProblem(StartFailure("ImagePullBackOff", f"{message}: ErrImagePull: {error}"), until)
        self._event(pod, container, "Normal", "Pulling", f'Pulling image "{asked}"')
        started = env.epoch()
        async with self._slots:
            pulling = env.epoch()
            try:
                ref = await self._try_credentials(image, secrets, sandbox)
            except RuntimeFailure as e:
                raise self._failed(pod, container, key, str(e)) from e
        self.forget(key)
        found = await self._status(pod, container, image)
        took, whole = (go_duration(round(env.epoch() - t, 3)) for t in (pulling, started))
        size = found.size if found else 0
        text = f'Successfully pulled image "{asked}" in {took} ({whole} including waiting). Image size: {size} bytes.'
        self._event(pod, container, "Normal", "Pulled", text)
        return Pulled(ref, found)

    async def _try_credentials(self, image: str, secrets: Sequence[Obj], sandbox: SandboxConfig) -> str:
        """Each set that fits, the last one's error counts; without any, anonymously."""
        candidates: list[Credentials | None] = [*credentials_for(image, secrets)]
        for credentials in candidates[:-1]:
            try:
                return await self._images.pull_image(image, credentials, sandbox)
            except RuntimeFailure:  # the next set may be the right one
                continue
        return await self._images.pull_image(image, candidates[-1] if candidates else None, sandbox)

    def _failed(self, pod: Obj, container: Obj, key: str, error: str) -> ImageProblem:
        asked = container["image"]
        self._event(pod, container, "Warning", "Failed", f'Failed to pull image "{asked}": {error}')
        now = env.epoch()
        self.backoff.failed(key, now)
        self._failures[key] = (now, error)
        return ImageProblem(StartFailure("ErrImagePull", error), now + SHOW_ERROR_S)

    def forget(self, prefix: str) -> None:
        """A pod's uid, or one key."""
        self.backoff.forget(prefix)
        for key in [k for k in self._failures if k.startswith(prefix)]:
            del self._failures[key]

    def _event(self, pod: Obj, container: Obj, type: str, reason: str, message: str) -> None:
        self._recorder.event(pod, type, reason, message, field_path=field_path(pod, container["name"]))
