"""The verbs of kubectl, from the oldest supported to the newest, against a real cluster: each case is a transcript.

The expected output is what upstream's kubectl and API server print, written down from their source (staging
k8s.io/kubectl, pkg/printers/internalversion) and reviewed by hand; it is never recorded from our own server.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import kubectls
import pytest
import transcript
from kube import Kube

CASES = Path(__file__).parent / "kubectl_cases"


@pytest.fixture(scope="module", params=(kubectls.VERSIONS[0], kubectls.VERSIONS[-1]))
def program(request: pytest.FixtureRequest) -> str:
    """The path of a kubectl. Those between say no other words; tests/clients plays transcripts with all of them."""
    return kubectls.of(request.param)


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
    environment = kubectls.environment(program, kube.kubeconfig, tmp_path, IMAGE=kube.image, NS=namespace)
    kubectls.run(environment, "config", "set-context", "--current", f"--namespace={namespace}")
    work = tmp_path / "work"
    shutil.copytree(CASES / "files", work)
    for file in work.iterdir():
        file.write_text(file.read_text().replace("IMAGE", kube.image))
    transcript.play(case, version=kubectls.version(program), environment=environment, directory=work)
