"""Images: built and loaded without a registry, and pulled from one (Debian's docker-registry), with and without a password."""

import base64
import json
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from kube import Kube, until
from space import Obj, Space, ctr, pod, space

from skiff.kubelet.images import busybox_archive

OPEN, CLOSED = "127.0.0.1:15101", "127.0.0.1:15102"
ALI_SESAME = "ali:$2b$04$fq23OHd988Do9v5urdj2gObWQiQnmnREpiV6cyOyvory0jFVN8waC\n"
CONFIG = """
version: 0.1
log: {level: error}
storage:
  filesystem: {rootdirectory: DIRECTORY/data}
http: {addr: "ADDRESS"}
"""
AUTH = """
auth:
  htpasswd: {realm: skiff, path: DIRECTORY/htpasswd}
"""
SCRATCH = """
FROM scratch
COPY busybox /bin/busybox
RUN ["/bin/busybox", "--install", "-s", "/bin"]
ENV PATH=/bin
"""
SECOND = """
ARG BASE
FROM $BASE
ARG WORD=unset
RUN mkdir /made && echo "$WORD" > /made/word
ENV COLOR=green
WORKDIR /made
CMD ["sh", "-c", "cat word; echo $COLOR; pwd"]
"""
ONCE: Obj = {"restartPolicy": "Never"}


def run_registry(directory: Path, address: str, auth: bool) -> subprocess.Popen[bytes]:
    directory.mkdir()
    text = (CONFIG + (AUTH if auth else "")).replace("DIRECTORY", str(directory)).replace("ADDRESS", address)
    (directory / "config.yml").write_text(text)
    (directory / "htpasswd").write_text(ALI_SESAME)
    with (directory / "log").open("wb") as log:
        return subprocess.Popen(["docker-registry", "serve", directory / "config.yml"], stdout=log, stderr=log)


def answers(address: str) -> bool:
    try:
        urllib.request.urlopen(f"http://{address}/v2/", timeout=2).close()
    except urllib.error.HTTPError as err:
        err.close()
        return err.code == 401
    except OSError:
        return False
    return True


@pytest.fixture(scope="module")
def registries(own_network: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    top = tmp_path_factory.mktemp("registries")
    processes = [run_registry(top / "open", OPEN, False), run_registry(top / "closed", CLOSED, True)]
    try:
        for address in (OPEN, CLOSED):
            until(lambda a=address: answers(a), f"the registry at {address} answers", 20)
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def build(kube: Kube, directory: Path, text: str, tag: str, *words: str) -> str:
    directory.mkdir(exist_ok=True)
    (directory / "Dockerfile").write_text(text)
    return kube.skiff("image", "build", str(directory), "-t", tag, *words).stdout


def push(kube: Kube, image: str, target: str, *words: str) -> None:
    """From what `skiff image build` keeps to a registry, with buildah."""
    policy = kube.state_dir / "policy.json"
    policy.write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
    store = [
        "--root",
        kube.state_dir / "buildah",
        "--runroot",
        kube.state_dir / "run/buildah",
        "--storage-driver=overlay",
    ]
    command = ["buildah", *store, "push", "--tls-verify=false", "--signature-policy", policy, *words]
    done = subprocess.run([*command, image, f"docker://{target}"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    policy.unlink()


@pytest.fixture(scope="module")
def built(kube: Kube, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two images: base and, from it, second."""
    top = tmp_path_factory.mktemp("build")
    (top / "base").mkdir()
    shutil.copy("/bin/busybox", top / "base/busybox")
    build(kube, top / "base", SCRATCH, "e2e/base:1")
    build(kube, top / "second", SECOND, "second", "--build-arg", "BASE=e2e/base:1", "--build-arg", "WORD=first")
    return top


@pytest.fixture(scope="module")
def images(kube: Kube, registries: None, built: Path) -> Iterator[Space]:
    name = "docker.io/library/second:latest"
    push(kube, name, f"{OPEN}/app:1")
    push(kube, name, f"{CLOSED}/app:1", "--creds=ali:sesame")
    with space(kube, "images") as here:
        here.create(secret("right", "sesame"), secret("wrong", "guess"))
        yield here


def secret(name: str, password: str) -> Obj:
    auth = base64.b64encode(f"ali:{password}".encode()).decode()
    config = base64.b64encode(json.dumps({"auths": {CLOSED: {"auth": auth}}}).encode()).decode()
    kind = "kubernetes.io/dockerconfigjson"
    return {"kind": "Secret", "metadata": {"name": name}, "type": kind, "data": {".dockerconfigjson": config}}


def image_pod(name: str, image: str, policy: str, **spec: object) -> Obj:
    """A pod that runs what the image says."""
    found = pod(name, "", image=image, imagePullPolicy=policy, pod_spec={**ONCE, **spec})
    del found["spec"]["containers"][0]["command"]
    return found


def secrets(name: str) -> Obj:
    return {"imagePullSecrets": [{"name": name}]}


def forget(kube: Kube, *names: str) -> None:
    ctr(kube, "images", "rm", "--sync", *names)
    until(lambda: not set(names) & set(ctr(kube, "images", "list", "-q").split()), f"{names} are gone")


# Without a registry


def test_a_built_image_runs(images: Space) -> None:
    images.create(image_pod("built", "second", "Never"))
    images.phase("built", "Succeeded")
    assert images.logs("built").split() == ["first", "green", "/made"]


def test_list(images: Space) -> None:
    listed = images.kube.skiff("image", "list").stdout
    assert "e2e/base:1" in listed and "second:latest" in listed and "skiff-demo:1" in listed


def test_load(images: Space, tmp_path: Path) -> None:
    archive = tmp_path / "loaded.tar"
    busybox_archive(archive, "example.com/loaded:1")
    assert "example.com/loaded:1" in images.kube.skiff("image", "load", str(archive)).stdout
    images.create(pod("loaded", "echo loaded", image="example.com/loaded:1", pod_spec=ONCE))
    images.phase("loaded", "Succeeded")
    assert images.logs("loaded") == "loaded\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param(["load", "/no/such/file"], "no image archive at /no/such/file", id="no archive"),
        pytest.param(["load", "/etc/passwd"], "/etc/passwd is no image archive", id="no archive in the file"),
        pytest.param(["build", "/etc", "-t", "x"], "no Dockerfile in /etc", id="no Dockerfile"),
    ],
)
def test_a_mistake_is_told(kube: Kube, words: list[str], said: str) -> None:
    done = kube.skiff("image", *words, check=False)
    assert done.returncode != 0
    assert said in " ".join((done.stdout + done.stderr).split())


# From a registry


def test_pull_policies(images: Space, built: Path) -> None:
    name = f"{OPEN}/app:1"
    images.create(image_pod("never", name, "Never"))
    images.waits_for("never", "ErrImageNeverPull")
    images.create(image_pod("if-not", name, "IfNotPresent"))
    images.phase("if-not", "Succeeded")
    assert images.logs("if-not").startswith("first")
    images.event("if-not", "Pulling", f'Pulling image "{name}"')
    images.event("if-not", "Pulled", f'Successfully pulled image "{name}" in ')
    assert images.status("if-not")["imageID"].startswith(f"{OPEN}/app@sha256:")
    images.phase("never", "Succeeded")  # what was missing is there now

    build(
        images.kube, built / "second", SECOND, "second", "--build-arg", "BASE=e2e/base:1", "--build-arg", "WORD=other"
    )
    push(images.kube, "docker.io/library/second:latest", name)
    images.create(image_pod("if-not-again", name, "IfNotPresent"))
    images.phase("if-not-again", "Succeeded")
    images.event("if-not-again", "Pulled", f'Container image "{name}" already present on machine')
    assert images.logs("if-not-again").startswith("first")
    images.create(image_pod("always", name, "Always"))
    images.phase("always", "Succeeded")
    assert images.logs("always").startswith("other")


def test_a_tag_that_does_not_exist(images: Space) -> None:
    images.create(image_pod("no-tag", f"{OPEN}/app:none", "IfNotPresent"))
    assert "not found" in images.waits_for("no-tag", "ErrImagePull")["message"]
    images.waits_for("no-tag", "ImagePullBackOff")


@pytest.mark.parametrize(
    ("name", "spec"),
    [
        pytest.param("no-secret", {}, id="no secret"),
        pytest.param("wrong-secret", secrets("wrong"), id="a wrong password"),
        pytest.param("lost-secret", secrets("lost"), id="a secret that does not exist"),
    ],
)
def test_a_registry_that_wants_a_password(images: Space, name: str, spec: Obj) -> None:
    image = f"{CLOSED}/app:1"
    images.create(image_pod(name, image, "Always", **spec))
    waiting = images.waits_for(name, "ErrImagePull")
    assert "no basic auth credentials" in waiting["message"] or "401 Unauthorized" in waiting["message"]
    waiting = images.waits_for(name, "ImagePullBackOff")
    assert waiting["message"].startswith(f'Back-off pulling image "{image}": ErrImagePull: ')
    images.event(name, "Failed", f'Failed to pull image "{image}": ')
    if name == "lost-secret":
        images.event(name, "FailedToRetrieveImagePullSecret", "Unable to retrieve some image pull secrets (lost)")


def test_the_right_secret(images: Space) -> None:
    images.create(image_pod("right-secret", f"{CLOSED}/app:1", "Always", **secrets("right")))
    images.phase("right-secret", "Succeeded")
    assert images.logs("right-secret").startswith("first")
    forget(images.kube, f"{CLOSED}/app:1")


def test_a_secret_of_the_service_account(images: Space) -> None:
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "puller"}, **secrets("right")}
    images.api("POST", "api/v1/namespaces/images/serviceaccounts", account)
    images.create(image_pod("by-account", f"{CLOSED}/app:1", "Always", serviceAccountName="puller"))
    images.phase("by-account", "Succeeded")


def test_a_failed_pull_is_tried_again(images: Space) -> None:
    images.create(image_pod("later", f"{OPEN}/later:1", "IfNotPresent"))
    images.waits_for("later", "ErrImagePull")
    push(images.kube, "docker.io/library/second:latest", f"{OPEN}/later:1")
    images.phase("later", "Succeeded")
