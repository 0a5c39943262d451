"""The `nft` and `conntrack` programs: one call each, with a deadline."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from skiff import process

COMMAND_SECONDS = 60.0

LIST_TABLE = ("nft", "--json", "--numeric-protocol", "list", "table")
"""Then the family and the table."""

PROTOCOLS = {6: "tcp", 17: "udp", 132: "sctp"}


@dataclass(frozen=True, slots=True)
class Contents:
    """What is in a table. elements: (map or set, key) → verdict, "" in a set; written as in our scripts."""

    chains: list[str] = field(default_factory=list)
    sets: list[str] = field(default_factory=list)
    elements: dict[tuple[str, str], str] = field(default_factory=dict)


class NftError(Exception):
    """nft refused, and changed nothing; says what it said."""


async def apply(script: str) -> None:
    """One transaction: all of it or nothing. Raises NftError, TimeoutError, OSError."""
    code, _, error = await _run("nft", "-f", "-", stdin=script)
    if code:
        raise NftError(error.strip()[:2000])


async def contents(family: str, table: str) -> Contents | None:
    """None: there is no such table."""
    code, out, _ = await _run(*LIST_TABLE, family, table)
    return None if code else parse(json.loads(out))


def parse(listing: Any) -> Contents:
    """Of what LIST_TABLE prints. Source: libnftables-json(5)."""
    found = Contents()
    for item in listing["nftables"]:
        if "chain" in item:
            found.chains.append(item["chain"]["name"])
        elif "set" in item or "map" in item:
            holder = item.get("set") or item["map"]
            if "set" in item:
                found.sets.append(holder["name"])
            found.elements.update(((holder["name"], key), verdict) for key, verdict in _elements(holder))
    return found


def _elements(holder: dict[str, Any]) -> Iterator[tuple[str, str]]:
    types = holder["type"] if isinstance(holder["type"], list) else [holder["type"]]
    for element in holder.get("elem", ()):
        key, verdict = element if isinstance(element, list) else (element, None)
        key = key["elem"]["val"] if isinstance(key, dict) and "elem" in key else key  # one that times out
        parts = key["concat"] if isinstance(key, dict) else [key]
        words = (PROTOCOLS.get(p, p) if t == "inet_proto" else p for t, p in zip(types, parts, strict=True))
        yield " . ".join(map(str, words)), _verdict(verdict)


def _verdict(verdict: dict[str, Any] | None) -> str:
    return " ".join(f"{kind} {to['target']}" if to else kind for kind, to in (verdict or {}).items())


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
