"""Transcripts: shell commands with the output that they should give, as text that a person can read and review.

    # a comment
    $ kubectl get pods
    NAME   READY   STATUS    RESTARTS   AGE
    web    1/1     Running   0          <age>

    $~ kubectl get pod gone
    Error from server (NotFound): pods "gone" not found
    [1]

`$ ` runs a command once, `$~ ` again and again until its output fits (what changes by itself takes a while); `> ` continues
it. Standard output and error are compared together. `[n]` at the end is the exit code. A line `...` stands for any lines.
`{<1.24}` or `{>=1.24}` before a command or a line, or both: for those versions of kubectl only. Words in angle brackets stand for
what differs between runs (see PLACEHOLDERS); all others, such as `<none>`, for themselves. Runs of spaces within a line
are equal to one another, because columns are as wide as what stands in them; the indentation counts.
"""

import re
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

PLACEHOLDERS = {
    "age": r"(<invalid>|0s|(\d+[smhdy])+)",
    "any": r".*?",
    "duration": r"(\d+(\.\d+)?(ns|µs|ms|s|m|h))+",
    "hash": r"[0-9a-z]{5,10}",
    "id": r"[0-9a-f]{12,64}",
    "ip": r"(\d+\.){3}\d+",
    "n": r"\d+",
    "ns": r"case-[0-9a-z-]+",
    "time": r"[-+:.,0-9A-Za-z ]+",
    "uid": r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
}
RETRY_SECONDS = 60.0
COMMAND_SECONDS = 60.0

_CONDITION = re.compile(r"\{(<|>=)(\d+)\.(\d+)\} ?")
_EXIT = re.compile(r"\[(\d+)\]")
_WORD = re.compile("<(" + "|".join(PLACEHOLDERS) + ")>")


@dataclass(slots=True)
class Step:
    """line: where in the file, from 1. expected: lines, `...` among them."""

    line: int
    command: str
    retry: bool = False
    expected: list[str] = field(default_factory=list)
    code: int = 0


def parse(text: str, version: tuple[int, int]) -> list[Step]:
    """The steps for one version of kubectl."""
    steps: list[Step] = []
    skipping = False
    for number, raw in enumerate(text.splitlines(), 1):
        line, applies = _condition(raw, version)
        if line.startswith("#"):
            continue
        if line.startswith(("$ ", "$~ ")):
            skipping = not applies
            if applies:
                mark, _, command = line.partition(" ")
                steps.append(Step(number, command, retry=mark == "$~"))
        elif skipping or not applies or not steps:
            continue
        elif line.startswith("> ") and not steps[-1].expected:
            steps[-1].command += "\n" + line[2:]
        elif found := _EXIT.fullmatch(line):
            steps[-1].code = int(found[1])
        else:
            steps[-1].expected.append(line)
    for step in steps:
        while step.expected and not step.expected[-1]:
            step.expected.pop()
    return steps


def _condition(line: str, version: tuple[int, int]) -> tuple[str, bool]:
    """The line without its conditions, and whether all of them hold."""
    holds = True
    while found := _CONDITION.match(line):
        bound = (int(found[2]), int(found[3]))
        holds &= version < bound if found[1] == "<" else version >= bound
        line = line[found.end() :]
    return line, holds


def fits(expected: Sequence[str], output: str) -> bool:
    lines = [line.rstrip() for line in output.splitlines()]
    while lines and not lines[-1]:
        lines.pop()
    text = "".join(line + "\n" for line in lines)
    pattern = "".join(r"(?:.*\n)*?" if line == "..." else _pattern(line.rstrip()) + r"\n" for line in expected)
    return re.fullmatch(pattern, text) is not None


def _pattern(line: str) -> str:
    indent = len(line) - len(line.lstrip(" "))
    parts = []
    last = 0
    body = line[indent:]
    for found in _WORD.finditer(body):
        parts.append(_literal(body[last : found.start()]))
        parts.append(PLACEHOLDERS[found[1]])
        last = found.end()
    parts.append(_literal(body[last:]))
    return " " * indent + "".join(parts)


def _literal(text: str) -> str:
    return re.sub(r"(?:\\ ){2,}", r" {2,}", re.escape(text))


def compare(expected: Sequence[str], output: str) -> str:
    """The lines of both: `-` expected and missing, `+` not expected. (The longest common subsequence.)"""
    got = [line.rstrip() for line in output.splitlines()]
    same = [[line != "..." and bool(re.fullmatch(_pattern(line.rstrip()), g)) for g in got] for line in expected]
    longest = [[0] * (len(got) + 1) for _ in range(len(expected) + 1)]
    for i in reversed(range(len(expected))):
        for j in reversed(range(len(got))):
            skip = max(longest[i + 1][j], longest[i][j + 1])
            longest[i][j] = max(skip, longest[i + 1][j + 1] + 1) if same[i][j] else skip
    lines, i, j = [], 0, 0
    while i < len(expected) or j < len(got):
        if i < len(expected) and j < len(got) and same[i][j] and longest[i][j] == longest[i + 1][j + 1] + 1:
            lines.append(f"  {got[j]}")
            i, j = i + 1, j + 1
        elif j < len(got) and (i == len(expected) or longest[i][j + 1] >= longest[i + 1][j]):
            lines.append(f"+ {got[j]}")
            j += 1
        else:
            lines.append(f"- {expected[i]}")
            i += 1
    return "\n".join(lines)


def until_ok(command: Callable[[], "subprocess.CompletedProcess[str]"]) -> None:
    """Repeats a command until it succeeds."""
    end = time.monotonic() + RETRY_SECONDS
    while (done := command()).returncode:
        assert time.monotonic() < end, done.stderr
        time.sleep(0.05)


class Mismatch(AssertionError):
    """A command that did not do what the transcript says."""


def play(path: Path, *, version: tuple[int, int], environment: Mapping[str, str], directory: Path) -> None:
    """Runs a transcript in a directory. Raises Mismatch for the first step that does not fit."""
    for step in parse(path.read_text(), version):
        end = time.monotonic() + RETRY_SECONDS
        while True:
            code, output = _run(step.command, environment, directory)
            if code == step.code and fits(step.expected, output):
                break
            if not step.retry or time.monotonic() > end:
                exits = "" if code == step.code else f"\nexit code {code} instead of {step.code}"
                difference = compare(step.expected, output)
                raise Mismatch(f"{path.name}:{step.line}: $ {step.command}{exits}\n{difference}")
            time.sleep(0.1)


def _run(command: str, environment: Mapping[str, str], directory: Path) -> tuple[int, str]:
    try:
        done = subprocess.run(
            ["bash", "-c", command],
            env=dict(environment),
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=COMMAND_SECONDS,
        )
    except subprocess.TimeoutExpired as err:
        raise Mismatch(f"$ {command}\nno end within {COMMAND_SECONDS} s; so far:\n{err.output}") from None
    return done.returncode, done.stdout
