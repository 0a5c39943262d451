"""The kubectl binaries that the end-to-end tests use: Debian's (1.20), unpacked beside, and the newest on the machine."""

import json
import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

CLOUD_SDK = Path("/usr/lib/google-cloud-sdk/bin")
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "skiff-tests"


@cache
def debian() -> str:
    """Debian 12's kubernetes-client, downloaded once and never installed: a machine may own another kubectl package."""
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
def newest() -> str:
    """The newest kubectl on this machine; Debian's where there is no other."""
    found = [*sorted(CLOUD_SDK.glob("kubectl.1.*")), *filter(None, [shutil.which("kubectl")])]
    return max((str(p) for p in found), key=version, default=debian())


@cache
def version(program: str) -> tuple[int, int]:
    """(major, minor) of a kubectl."""
    done = subprocess.run([program, "version", "--client", "-o", "json"], capture_output=True, text=True, check=True)
    client = json.loads(done.stdout)["clientVersion"]
    return int(client["major"]), int(client["minor"].rstrip("+"))
