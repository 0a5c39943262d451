"""The verbs of kubectl, from the oldest supported to the newest, against a real cluster: each case is a transcript.

The expected output is what upstream's kubectl and API server print, written down from their source (staging
k8s.io/kubectl, pkg/printers/internalversion) and reviewed by hand; it is never recorded from our own server.
"""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import kubectls
import pytest
import transcript
from kube import Kube

CASES = Path(__file__).parent / "kubectl_cases"
PROGRAMS = {"debian": kubectls.debian, "newest": kubectls.newest}


@pytest.fixture(scope="module", params=PROGRAMS)
def program(request: pytest.FixtureRequest) -> str:
    """The path of a kubectl."""
    found: Callable[[], str] = PROGRAMS[request.param]
    return found()


@pytest.fixture
def namespace(kube: Kube, program: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """An empty namespace with its service account; deleted afterwards, without waiting."""
    major, minor = kubectls.version(program)
    name = f"case-{request.node.callspec.params['case'].stem.replace('_', '-')}-{major}-{minor}"
    kube.kubectl("create", "namespace", name)
    transcript.until_ok(lambda: kube.kubectl("get", "serviceaccount", "default", "-n", name, check=False))
    yield name
    kube.kubectl("delete", "namespace", name, "--wait=false")


@pytest.mark.parametrize("case", sorted(CASES.glob("*.txt")), ids=lambda path: path.stem)
def test_transcript(kube: Kube, program: str, namespace: str, case: Path, tmp_path: Path) -> None:
    environment = _environment(kube, program, namespace, tmp_path)
    work = tmp_path / "work"
    shutil.copytree(CASES / "files", work)
    for file in work.iterdir():
        file.write_text(file.read_text().replace("IMAGE", kube.image))
    transcript.play(case, version=kubectls.version(program), environment=environment, directory=work)


def _environment(kube: Kube, program: str, namespace: str, tmp_path: Path) -> dict[str, str]:
    """PATH begins with a directory in which `kubectl` is the program; the kubeconfig is a copy with the namespace."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "kubectl").symlink_to(program)
    config = tmp_path / "config"
    shutil.copyfile(kube.kubeconfig, config)
    environment = {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "KUBECONFIG": str(config),
        "IMAGE": kube.image,
        "NS": namespace,
        "LANG": "C.UTF-8",
        "TZ": "UTC",
    }
    command = ["kubectl", "config", "set-context", "--current", f"--namespace={namespace}"]
    subprocess.run(command, env=environment, check=True, capture_output=True)
    return environment
