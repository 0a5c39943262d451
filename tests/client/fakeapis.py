"""Several resources at once: a FakeApi for each, one client to all of them."""

from skiff.api.types import GVR
from skiff.client.inprocess import InProcess
from skiff.client.rest import Client
from skiff.wire.messages import Request, Response, UserInfo
from tests.client.fakeapi import FakeApi


class FakeApis:
    """`apis[GVR]` is the FakeApi of one resource. Their revisions are independent of one another."""

    def __init__(self, *gvrs: GVR):
        self._apis = {gvr: FakeApi(gvr) for gvr in gvrs}

    def __getitem__(self, gvr: GVR) -> FakeApi:
        return self._apis[gvr]

    def client(self) -> Client:
        return Client(InProcess(self._handle, UserInfo("test")))

    async def _handle(self, request: Request) -> Response:
        for gvr, api in self._apis.items():
            rest = request.path.removeprefix(gvr.root + "/").split("/")
            if request.path.startswith(gvr.root + "/") and gvr.plural in (rest[0], *rest[2:3]):
                return await api.handle(request)
        return Response(404, {}, b"")
