"""Runs a program to its end: `nft`, `ip`, `mount`. One place, so that each call has a deadline and leaves no process."""

import asyncio
import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Done:
    """How a program ended. code: its exit code; out, err: what it wrote, undecodable bytes replaced."""

    code: int
    out: str
    err: str


async def run(*argv: str, stdin: str = "", seconds: float = 60.0) -> Done:
    """Raises TimeoutError (the program is killed), OSError when it cannot be started."""
    # A file in memory, not a pipe: a program that ends without reading its input is no error of ours.
    source = os.memfd_create("stdin", os.MFD_CLOEXEC)
    try:
        os.write(source, stdin.encode())
        os.lseek(source, 0, os.SEEK_SET)
        process = await asyncio.create_subprocess_exec(
            *argv, stdin=source, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
    finally:
        os.close(source)
    try:
        async with asyncio.timeout(seconds):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return Done(process.returncode or 0, out.decode(errors="replace"), err.decode(errors="replace"))
