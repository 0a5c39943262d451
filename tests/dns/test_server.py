"""The server on real sockets of the loopback, with a stand-in for the node's own name server."""

import asyncio
import socket
import struct

import dnslib
import pytest

from skiff.dns import forward, wire
from skiff.dns.answer import View
from skiff.dns.forward import Forwarder, ResolvConf, upstreams
from skiff.dns.records import Service
from skiff.dns.resolver import Resolver
from skiff.dns.server import Server


class OneService(View):
    serial = 1

    def has_namespace(self, name):
        return True

    def service(self, namespace, name):
        records = {
            "web": Service(namespace, name, ("10.96.0.7",)),
            "out": Service(namespace, name, external_name="big.example.com"),
        }
        return records.get(name)

    def slices(self, namespace, service):
        return []

    def services_at(self, address):
        return []

    def endpoints_at(self, address):
        return []


class Upstream(asyncio.DatagramProtocol):
    """Answers big.example.com with 100 addresses over TCP, others with one; small.* never; wrong ids for liar.*."""

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        if (reply := self.reply(data, tcp=False)) is not None:
            self.transport.sendto(reply, addr)

    def reply(self, data, *, tcp):
        query = wire.parse_query(data)
        if query.name.startswith("silent."):
            return None
        count = 100 if query.name.startswith("big.") else 1
        records = [wire.Record(query.name, wire.A, 60, f"192.0.2.{i}") for i in range(count)]
        reply = wire.encode(query, wire.Answer(0, records, authoritative=False), limit=65535 if tcp else 512)
        if query.name.startswith("liar."):
            self.transport.sendto(b"\0\0" + reply[2:])
        return reply

    async def serve_tcp(self, reader, writer):
        (length,) = struct.unpack("!H", await reader.readexactly(2))
        reply = self.reply(await reader.readexactly(length), tcp=True)
        writer.write(struct.pack("!H", len(reply)) + reply)
        await writer.drain()
        writer.close()


class Asked(asyncio.DatagramProtocol):
    def __init__(self):
        self.replies = asyncio.Queue()

    def datagram_received(self, data, addr):
        self.replies.put_nowait(data)


async def udp(address, data):
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(Asked, remote_addr=address)
    try:
        transport.sendto(data)
        return await protocol.replies.get()
    finally:
        transport.close()


async def tcp(address, *queries):
    reader, writer = await asyncio.open_connection(*address)
    replies = []
    try:
        for data in queries:
            writer.write(struct.pack("!H", len(data)) + data)
            (length,) = struct.unpack("!H", await reader.readexactly(2))
            replies.append(await reader.readexactly(length))
    finally:
        writer.close()
        await writer.wait_closed()
    return replies


async def start_upstream():
    """On one free port, of both protocols."""
    upstream = Upstream()
    for _ in range(20):
        over_tcp = await asyncio.start_server(upstream.serve_tcp, "127.0.0.1", 0)
        port = over_tcp.sockets[0].getsockname()[1]
        try:
            loop = asyncio.get_running_loop()
            transport, _ = await loop.create_datagram_endpoint(lambda: upstream, local_addr=("127.0.0.1", port))
            return over_tcp, transport, port
        except OSError:
            over_tcp.close()
            await over_tcp.wait_closed()
    raise AssertionError("no free port")


def serving(test, tmp_path, monkeypatch, *, ready=True, nameserver=True, seconds=5.0):
    """Runs test(address of our server) beside the server and its upstream."""

    async def main():
        over_tcp, transport, port = await start_upstream()
        monkeypatch.setattr(forward, "SECONDS", seconds)
        conf = ResolvConf(tmp_path / "resolv.conf", ())
        monkeypatch.setattr(conf, "servers", lambda: [("127.0.0.1", port)] if nameserver else [])
        resolver = Resolver(OneService(), Forwarder(conf), "cluster.local")
        resolver.ready = ready
        server = Server([("127.0.0.1", 0)], resolver.resolve)
        running = asyncio.create_task(server.run())
        try:
            async with asyncio.timeout(10):
                await server.listening.wait()
                await test(server.addresses[0])
        finally:
            running.cancel()
            await asyncio.wait([running])
            transport.close()
            over_tcp.close()
            await over_tcp.wait_closed()

    asyncio.run(main())


def question(name, type="A"):
    return dnslib.DNSRecord.question(name, type).pack()


def parse(reply):
    found = dnslib.DNSRecord.parse(reply)
    return found.header.rcode, [str(r.rdata) for r in found.rr]


def test_the_cluster_s_names_over_udp_and_tcp(tmp_path, monkeypatch):
    async def test(address):
        web = question("web.default.svc.cluster.local")
        assert parse(await udp(address, web)) == (0, ["10.96.0.7"])
        assert [parse(r) for r in await tcp(address, web, question("no.default.svc.cluster.local"))] == [
            (0, ["10.96.0.7"]),
            (3, []),
        ]

    serving(test, tmp_path, monkeypatch)


def test_other_names_are_forwarded_with_the_clients_id(tmp_path, monkeypatch):
    async def test(address):
        query = question("www.example.com")
        reply = await udp(address, query)
        assert (reply[:2], parse(reply)) == (query[:2], (0, ["192.0.2.0"]))

    serving(test, tmp_path, monkeypatch)


def test_a_big_answer_is_truncated_over_udp_and_whole_over_tcp(tmp_path, monkeypatch):
    async def test(address):
        query = question("big.example.com")
        assert dnslib.DNSRecord.parse(await udp(address, query)).header.tc == 1
        assert len(parse((await tcp(address, query))[0])[1]) == 100

    serving(test, tmp_path, monkeypatch)


def test_an_external_name_comes_with_its_addresses(tmp_path, monkeypatch):
    async def test(address):
        rcode, data = parse((await tcp(address, question("out.default.svc.cluster.local")))[0])
        assert (rcode, data[0], len(data)) == (0, "big.example.com.", 101)

    serving(test, tmp_path, monkeypatch)


def test_an_answer_with_another_id_is_not_taken(tmp_path, monkeypatch):
    async def test(address):
        assert parse(await udp(address, question("liar.example.com"))) == (0, ["192.0.2.0"])

    serving(test, tmp_path, monkeypatch)


@pytest.mark.parametrize("nameserver", [True, False])
def test_nobody_answers_servfail(tmp_path, monkeypatch, nameserver):
    async def test(address):
        assert parse(await udp(address, question("silent.example.com"))) == (wire.SERVFAIL, [])

    serving(test, tmp_path, monkeypatch, nameserver=nameserver, seconds=0.02)


def test_before_the_view_is_complete_the_clusters_names_are_servfail(tmp_path, monkeypatch):
    async def test(address):
        assert parse(await udp(address, question("web.default.svc.cluster.local"))) == (wire.SERVFAIL, [])
        assert parse(await udp(address, question("www.example.com"))) == (0, ["192.0.2.0"])

    serving(test, tmp_path, monkeypatch, ready=False)


def test_a_malformed_query_is_formerr_and_noise_gets_nothing(tmp_path, monkeypatch):
    async def test(address):
        assert parse(await udp(address, b"\0\7\1\0\0\2\0\0\0\0\0\0")) == (wire.FORMERR, [])
        with pytest.raises(asyncio.IncompleteReadError):
            await tcp(address, b"noise")

    serving(test, tmp_path, monkeypatch)


def test_a_resolv_conf_without_ourselves():
    text = (
        "# by hand\nsearch x\nnameserver 10.89.0.1\nnameserver 192.0.2.53 \nnameserver bad\nnameserver fe80::1%eth0\n"
    )
    assert upstreams(text, {"10.89.0.1", "10.96.0.10"}) == [("192.0.2.53", 53), ("fe80::1%eth0", 53)]


def test_a_resolv_conf_that_changes_is_read_again(tmp_path):
    path = tmp_path / "resolv.conf"
    conf = ResolvConf(path, ())
    assert conf.servers() == []
    path.write_text("nameserver 192.0.2.1\n")
    assert conf.servers() == [("192.0.2.1", 53)]
    path.unlink()
    assert conf.servers() == [("192.0.2.1", 53)]


def test_an_address_that_cannot_be_used_is_tried_again(caplog, monkeypatch):
    monkeypatch.setattr("skiff.dns.server.RETRY_SECONDS", 0.01)

    async def test():
        taken = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
        port = taken.sockets[0].getsockname()[1]
        server = Server([("127.0.0.1", port)], lambda data, tcp: b"reply")
        running = asyncio.create_task(server.run())
        async with asyncio.timeout(10):
            while not caplog.records:  # noqa: ASYNC110 - it logs, and no more
                await asyncio.sleep(0.001)
            assert not server.listening.is_set()
            taken.close()
            await taken.wait_closed()
            await server.listening.wait()
            assert await udp(("127.0.0.1", port), b"?") == b"reply"
        running.cancel()
        await asyncio.wait([running])

    asyncio.run(test())


def test_the_port_is_shared_with_an_mdns_responder():
    mdns = 5353  # below the ports that clients are given: no connection of this machine's can hold it

    async def test():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            other.bind(("0.0.0.0", mdns))
            server = Server([("127.0.53.53", mdns)], lambda data, tcp: b"reply")
            running = asyncio.create_task(server.run())
            async with asyncio.timeout(10):
                await server.listening.wait()
                assert await udp(("127.0.53.53", mdns), b"?") == b"reply"
            running.cancel()
            await asyncio.wait([running])

    asyncio.run(test())
