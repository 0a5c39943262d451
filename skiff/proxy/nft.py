"""The `nft` and `conntrack` programs: one call each, with a deadline."""

import json

from skiff import process

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
    done = await process.run(*argv, stdin=stdin, seconds=COMMAND_SECONDS)
    return done.code, done.out, done.err
