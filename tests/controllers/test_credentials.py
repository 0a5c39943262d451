"""Controllers' tokens: asked for once, renewed in time, asked for anew when refused; missing accounts are made."""

import asyncio

import pytest

from skiff import env
from skiff.api.errors import StatusError, not_found
from skiff.api.gvr import SERVICEACCOUNTS
from skiff.api.times import format_time
from skiff.client.rest import Client
from skiff.controllers.credentials import LIFE_S, AsAccount, TokenSource
from skiff.testing import run
from skiff.wire.messages import Request, Response


class Server:
    """Gives tokens t1, t2, ... to accounts that exist."""

    def __init__(self, *, exists: bool = True):
        self.exists = exists
        self.given = 0
        self.made: list[str] = []
        self.seen: list[str] = []
        self.revoked: set[str] = set()

    async def create(self, gvr, obj, namespace="", *, name="", subresource=""):
        await asyncio.sleep(0.01)
        if subresource == "token":
            assert (gvr, namespace, name) == (SERVICEACCOUNTS, "kube-system", "job-controller")
            if not self.exists:
                raise not_found(SERVICEACCOUNTS, name)
            self.given += 1
            ends = format_time(env.epoch() + obj["spec"]["expirationSeconds"])
            return {"status": {"token": f"t{self.given}", "expirationTimestamp": ends}}
        self.exists = True
        self.made.append(obj["metadata"]["name"])
        return obj

    async def send(self, request: Request) -> Response:
        self.seen.append(request.headers["authorization"])
        return Response(401 if request.headers["authorization"] in self.revoked else 200)

    async def close(self) -> None:
        raise AssertionError("the connections are shared")


def source(server: Server) -> TokenSource:
    return TokenSource(server, "job-controller")  # type: ignore[arg-type]


def test_a_token_is_asked_for_once_and_renewed_before_it_ends():
    async def main():
        server = Server()
        tokens = source(server)
        first = await asyncio.gather(*[tokens.token() for _ in range(5)])
        await asyncio.sleep(LIFE_S * 0.75)
        kept = await tokens.token()
        await asyncio.sleep(LIFE_S * 0.1)
        return first, kept, await tokens.token(), server.given

    assert run(main()) == (["t1"] * 5, "t1", "t2", 2)


def test_a_missing_account_is_made():
    async def main():
        server = Server(exists=False)
        return await source(server).token(), server.made

    assert run(main()) == ("t1", ["job-controller"])


@pytest.mark.parametrize(
    "revoked, status, seen",
    [
        pytest.param(set(), 200, ["Bearer t1"], id="a good token"),
        pytest.param({"Bearer t1"}, 200, ["Bearer t1", "Bearer t2"], id="a refused one is renewed"),
        pytest.param({"Bearer t1", "Bearer t2"}, 401, ["Bearer t1", "Bearer t2"], id="once"),
    ],
)
def test_requests_carry_the_token(revoked, status, seen):
    async def main():
        server = Server()
        transport = AsAccount(server, source(server))
        server.revoked = revoked
        response = await transport.send(Request("GET", "/x", headers={"accept": "a"}))
        await transport.close()
        return response.status, server.seen

    assert run(main()) == (status, seen)


def test_who_may_not_have_a_token_is_told_so():
    class Forbidding(Server):
        async def create(self, gvr, obj, namespace="", *, name="", subresource=""):
            raise StatusError({"code": 403, "reason": "Forbidden", "message": "no"})

    async def main():
        client = Client(AsAccount(Server(), source(Forbidding())))
        with pytest.raises(StatusError, match="no"):
            await client.get(SERVICEACCOUNTS, "x", "y")

    run(main())
