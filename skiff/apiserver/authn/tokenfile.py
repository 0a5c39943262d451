"""Static tokens from a CSV file: token,user,uid,"group1,group2" (upstream's --token-auth-file)."""

import csv
import hashlib
from collections.abc import Sequence
from pathlib import Path

from skiff.apiserver.authn import always, authenticated
from skiff.apiserver.authn.bearer import Identity
from skiff.wire.messages import UserInfo


class TokenFile:
    """A TokenAuthenticator. The file is read once."""

    def __init__(self, users: dict[bytes, UserInfo]):
        self._users = users

    async def authenticate_token(self, token: str, audiences: Sequence[str]) -> Identity | None:
        user = self._users.get(_key(token))
        return Identity(user, holds=always) if user is not None else None


def load(path: str | Path) -> TokenFile:
    """Raises OSError, and ValueError naming the line that is wrong."""
    users = {}
    with open(path, newline="", encoding="utf-8") as file:
        for number, row in enumerate(csv.reader(file), 1):
            if not row or row[0].startswith("#"):
                continue
            if len(row) < 3 or not row[0]:
                raise ValueError(f"{path}, line {number}: token, user name and user uid are needed")
            groups = tuple(g.strip() for g in row[3].split(",") if g.strip()) if len(row) > 3 else ()
            users[_key(row[0])] = authenticated(row[1], groups, uid=row[2])
    return TokenFile(users)


def _key(token: str) -> bytes:
    """Tokens are looked up by hash: the time of a comparison tells nothing about them."""
    return hashlib.sha256(token.encode()).digest()
