"""What a person sees while a command works: one line a step, a spinner on a terminal, plain lines elsewhere."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

console = Console(highlight=False)


@contextmanager
def step(doing: str, done: str = "") -> Iterator[None]:
    """Shows `doing` while the body runs, then a tick, `done` (or `doing`) and the seconds it took."""
    begun = time.perf_counter()
    with console.status(f"{doing} …"):
        try:
            yield
        except BaseException:
            console.print(f"[red]✗[/] {doing}")
            raise
    console.print(f"[green]✓[/] {done or doing} [dim]{time.perf_counter() - begun:.1f} s[/]")
