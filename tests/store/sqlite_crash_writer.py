"""Run by test_sqlite.py: writes 10,000 keys at once to the store given, one line on stdout for each acknowledged one."""

import asyncio
import os
import sys

from skiff.store import Put
from skiff.store.sqlite import SqliteStore


async def main(path: str) -> None:
    store = await SqliteStore.open(path)

    async def write(i: int) -> None:
        revision = await store.txn([Put(f"/k/{i:05}", b"%d" % i * 100, expected=0)])
        os.write(1, f"{i} {revision}\n".encode())

    await asyncio.gather(*map(write, range(10_000)))


asyncio.run(main(sys.argv[1]))
