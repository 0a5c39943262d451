"""The `nft` and `conntrack` programs: one call each, with a deadline."""

import asyncio
import json

COMMAND_SECONDS = 60.0


class NftError(Exception):
    """nft refused, and changed nothing; says what it said."""


async def apply(script: str) -> None:
    """One transaction: all of it or nothing. Raises NftError, TimeoutError, OSError."""
    code, _, error = await _run("nft", "-f", "-", stdin=script)
    if code:
        raise NftError(error.strip()[:2000])


async def names(family: str, table: str) -> tuple[list[str], list[str]] | None:
    """Chains and sets of a table; None: there is no such table."""
    code, out, _ = await _run("nft", "--json", "--terse", "list", "table", family, table)
    if code:
        return None
    items = json.loads(out)["nftables"]
    return ([i["chain"]["name"] for i in items if "chain" in i], [i["set"]["name"] for i in items if "set" in i])


async def has_rules(family: str, table: str, chain: str) -> bool:
    code, out, _ = await _run("nft", "--json", "list", "chain", family, table, chain)
    return code == 0 and any("rule" in item for item in json.loads(out)["nftables"])


async def conntrack(arguments: list[str]) -> None:
    """Deleting nothing is fine, and so is a machine without the program: UDP clients then wait for the time-out."""
    try:
        await _run("conntrack", *arguments)
    except FileNotFoundError:
        return


async def _run(*argv: str, stdin: str = "") -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *argv, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(COMMAND_SECONDS):
            out, error = await process.communicate(stdin.encode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode or 0, out.decode(), error.decode(errors="replace")
