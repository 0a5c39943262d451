"""How a command fails: one message that says what, why, and what to do, and an exit code a script can use."""

import os
from dataclasses import dataclass
from pathlib import Path

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_MISSING = 3
EXIT_NOT_READY = 4
EXIT_NO_CLUSTER = 5


@dataclass
class Problem(Exception):
    """what: what did not work; why: the cause as far as known; todo: the next step; log: where more is written."""

    what: str
    why: str = ""
    todo: str = ""
    log: str = ""
    code: int = EXIT_FAILED

    def __str__(self) -> str:
        lines = [f"skiff: {self.what}"]
        if self.why:
            lines.append(f"  why:  {self.why}")
        if self.todo:
            lines.append(f"  do:   {self.todo}")
        if self.log:
            lines.append(f"  log:  {self.log}")
        return "\n".join(lines)


def no_cluster(state_dir: Path) -> Problem:
    """There is none, or what there was is stopped."""
    made = (state_dir / "settings.json").exists()
    why = f"the one in {state_dir} is stopped" if made else f"nothing is kept under {state_dir}"
    return Problem("no cluster is running", why, "start it: skiff up", code=EXIT_NO_CLUSTER)


def need_root(command: str, why: str) -> None:
    """Raises Problem for everybody else."""
    if os.geteuid() != 0:
        raise Problem(f"skiff {command} needs root", why, f"sudo skiff {command}")
