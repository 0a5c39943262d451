"""Certificates that change while a server listens: the next handshake shows the new one."""

import asyncio
import os
import shutil
import ssl

from skiff.kubeadm import pki
from skiff.wire.messages import Request, Response
from skiff.wire.reload import Reloading
from skiff.wire.server import serve
from skiff.wire.tls import server_context


async def answer(request: Request) -> Response:
    return Response(200, {}, b"ok")


async def shown(port: int) -> bytes:
    """The certificate that the server shows, DER."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    try:
        return writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    finally:
        writer.close()
        await writer.wait_closed()


def test_new_files_are_shown_and_broken_ones_are_not(tmp_path):
    for name in ("one", "two"):
        pki.ensure_pki(tmp_path / name, node_name="n1", node_ips=["127.0.0.1"], service_ip="10.96.0.1")
    files = [str(tmp_path / "now.crt"), str(tmp_path / "now.key")]

    def install(name: str) -> None:
        for kind in ("crt", "key"):
            shutil.copy(tmp_path / name / f"apiserver.{kind}", tmp_path / "next")
            os.replace(tmp_path / "next", tmp_path / f"now.{kind}")

    async def scenario():
        install("one")
        tls = Reloading(files, lambda: server_context(*files))
        server = await serve(answer, ssl=tls.context)
        try:
            first = await shown(server.port)
            install("two")
            tls.refresh()
            second = await shown(server.port)
            (tmp_path / "now.crt").write_text("half")
            tls.refresh()
            third = await shown(server.port)
            install("one")
            tls.refresh()
            return first, second, third, await shown(server.port)
        finally:
            await server.close(1)

    first, second, third, fourth = asyncio.run(scenario())
    assert first != second
    assert third == second
    assert fourth == first
