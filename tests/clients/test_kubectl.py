"""kubectl, from the oldest supported to the newest, against an API server without nodes: each case is a transcript.

The expected output is what upstream's own kube-apiserver gave to the same commands by the same kubectl; it is never
recorded from our server. Commands that need running pods or controllers are in tests/e2e.
"""

import shutil
from pathlib import Path

import kubectls
import pytest
import transcript
from api_process import Server

CASES = Path(__file__).parent / "kubectl_cases"
DEFINITION = "crontabs.stable.example.com"


@pytest.mark.parametrize("wanted", kubectls.VERSIONS)
@pytest.mark.parametrize("case", sorted(CASES.glob("*.txt")), ids=lambda path: path.stem)
def test_transcript(server: Server, case: Path, wanted: str, tmp_path: Path) -> None:
    program = kubectls.of(wanted)
    assert kubectls.version(program) == tuple(map(int, wanted.split(".")))
    namespace = f"case-{case.stem}-{wanted.replace('.', '-')}"
    environment = kubectls.environment(program, server.kubeconfig, tmp_path, NS=namespace)
    kubectls.run(environment, "create", "namespace", namespace)
    kubectls.run(environment, "create", "serviceaccount", "default", f"--namespace={namespace}")
    kubectls.run(environment, "config", "set-context", "--current", f"--namespace={namespace}")
    work = tmp_path / "work"
    shutil.copytree(CASES / "files", work)
    try:
        transcript.play(case, version=kubectls.version(program), environment=environment, directory=work)
    finally:  # namespaces keep all else apart
        kubectls.run(environment, "delete", "crd", DEFINITION, "--ignore-not-found")
