"""The house rules that a machine can check: formatting, lint, types, and the arrows between the rooms."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent

CHECKS = [
    pytest.param(["ruff", "check", "."], id="lint finds nothing"),
    pytest.param(["ruff", "format", "--check", "."], id="every file is formatted"),
    pytest.param(["mypy"], id="types hold"),
    pytest.param(["lint-imports"], id="imports follow the arrows of the architecture"),
]


@pytest.mark.parametrize("command", CHECKS)
def test_house(command: list[str]) -> None:
    done = subprocess.run([BIN / command[0], *command[1:]], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
