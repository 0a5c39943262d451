"""Runs components in this process: one by its own flags, or those that share a process in a cluster.

`skiff scheduler --kubeconfig=...` is upstream's program. `skiff manager --state-dir=...` is what the supervisor starts:
it takes every flag from the cluster's settings.
"""

import argparse
import asyncio
import contextlib
import ctypes
import gc
import importlib
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from skiff.cluster.components import MODULES, PROCESSES, flags
from skiff.cluster.layout import DEFAULT_STATE_DIR, Layout
from skiff.cluster.problem import EXIT_FAILED, EXIT_NO_CLUSTER

TRIM_SECONDS = 20.0
TRIM_BYTES = 4 << 20
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
KEPT_BYTES = 4 << 20
MAPPED_BYTES = 1 << 20


def run_daemon(name: str, words: Sequence[str]) -> int:
    """Until SIGTERM or SIGINT; the exit code."""
    logging.basicConfig(
        level=logging.INFO,
        stream=sys.stderr,
        format="%(asctime)s %(levelname).1s %(name)s %(message)s",
        datefmt="%H:%M:%S",
    )
    parsed = _shared(name, words) if name in PROCESSES and _is_shared(name, words) else _alone(name, words)
    if parsed is None:
        return EXIT_NO_CLUSTER
    import uvloop

    gc.set_threshold(20_000, 50, 50)  # objects live in caches: young collections rarely find anything
    _keep_freed()
    try:
        uvloop.run(_run(parsed))
    except ExceptionGroup as group:
        for error in group.exceptions:
            logging.getLogger(name).error("ended by an error", exc_info=error)
        return EXIT_FAILED
    return 0


def _is_shared(name: str, words: Sequence[str]) -> bool:
    """`apiserver` is both a component and a process: with --state-dir it is the cluster's."""
    return name not in MODULES or any(w.startswith("--state-dir") for w in words)


def _alone(component: str, words: Sequence[str]) -> list[tuple[str, argparse.Namespace]]:
    parser = argparse.ArgumentParser(prog=f"skiff {component}", formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    importlib.import_module(MODULES[component]).add_flags(parser)
    return [(component, parser.parse_args(words))]


def _shared(process: str, words: Sequence[str]) -> list[tuple[str, argparse.Namespace]] | None:
    parser = argparse.ArgumentParser(prog=f"skiff {process}")
    where = os.environ.get("SKIFF_STATE_DIR", DEFAULT_STATE_DIR)
    parser.add_argument("--state-dir", default=where, type=Path, help=f"where the cluster keeps its state ({where})")
    layout = Layout(parser.parse_args(words).state_dir.absolute())
    settings = layout.load_settings()
    if settings is None:
        print(f"skiff {process}: no cluster was made in {layout.root}", file=sys.stderr)
        return None
    return [run for c in PROCESSES[process] for run in _alone(c, flags(c, layout, settings))]


async def _run(components: list[tuple[str, argparse.Namespace]]) -> None:
    """All components side by side; one that fails ends the process, and the supervisor starts it anew."""
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    for sig in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sig, stopping.set)
    with contextlib.suppress(asyncio.CancelledError):
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(importlib.import_module(MODULES[name]).run(args), name=name)
                for name, args in components
            ]
            tasks.append(group.create_task(_give_back(), name="memory"))
            await stopping.wait()
            for task in tasks:
                task.cancel()


def _keep_freed() -> None:
    """Lets the C library keep a few MB of freed memory. It returns them to the system at once otherwise and asks for them
    again with each slice of a large answer, and fresh pages cost ten times what filling the slice does."""
    with contextlib.suppress(AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
        mallopt(M_MMAP_THRESHOLD, MAPPED_BYTES)


class _Malloc(ctypes.Structure):
    """glibc's mallinfo2. free: bytes that nobody uses, given back to the system or not."""

    _fields_ = [*((f"_{i}", ctypes.c_size_t) for i in range(8)), ("free", ctypes.c_size_t), ("_top", ctypes.c_size_t)]


async def _give_back() -> None:
    """Returns freed memory to the system after bursts. The C library keeps it otherwise, as live objects lie in between.
    Where there are no such calls (musl), the memory stays."""
    library = ctypes.CDLL(None)
    try:
        trim, info = library.malloc_trim, library.mallinfo2
    except AttributeError:
        return
    info.restype = _Malloc
    known = info().free
    while True:
        await asyncio.sleep(TRIM_SECONDS)
        known = min(known, info().free)  # what was given back counts as free until it is used again
        if info().free > known + TRIM_BYTES:
            trim(0)
            known = info().free
