"""A server's TLS context that follows its files: new handshakes use the present certificate and client CAs.

Contexts with files that are half written or wrong are not taken: the last good one stays, and the log says why.
"""

import asyncio
import logging
import os
import ssl
from collections.abc import Callable, Sequence

log = logging.getLogger(__name__)

LOOK_S = 10.0
Stamp = tuple[tuple[int, int, int], ...]


class Reloading:
    """make: reads the files and gives a context. `context` is for the listener; `run` looks at the files."""

    def __init__(self, files: Sequence[str], make: Callable[[], ssl.SSLContext]):
        self._files = [f for f in files if f]
        self._make = make
        self._stamp = self._look()
        self.context = self._current = make()
        self.context.sni_callback = self._choose

    def _choose(self, connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        """OpenSSL asks for each handshake, with or without a server name."""
        if self._current is not self.context:
            connection.context = self._current

    def _look(self) -> Stamp:
        found = []
        for file in self._files:
            try:
                stat = os.stat(file)
                found.append((stat.st_mtime_ns, stat.st_ino, stat.st_size))
            except OSError:
                found.append((0, 0, 0))
        return tuple(found)

    def refresh(self) -> None:
        """Takes over what has changed."""
        stamp = self._look()
        if stamp == self._stamp:
            return
        try:
            self._current = self._make()
        except (OSError, ValueError) as e:  # an SSLError is an OSError
            log.warning("Changed certificates cannot be used (yet): %s", e, extra={"files": self._files})
            return
        self._stamp = stamp
        log.info("Certificates have been read again", extra={"files": self._files})

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            self.refresh()
