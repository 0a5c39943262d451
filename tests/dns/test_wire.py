"""Messages, checked against an independent implementation (dnslib) in both directions."""

import dnslib
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skiff.dns import wire
from skiff.dns.wire import Answer, Record


def ask(name="web.default.svc.cluster.local", qtype="A", **more):
    return dnslib.DNSRecord.question(name, qtype, **more)


RECORDS = [
    pytest.param(Record("a.b", wire.A, 5, "10.0.0.1"), id="A"),
    pytest.param(Record("a.b", wire.AAAA, 5, "fd00::1"), id="AAAA"),
    pytest.param(Record("a.b", wire.CNAME, 5, "c.a.b"), id="CNAME"),
    pytest.param(Record("a.b", wire.PTR, 5, "x.y"), id="PTR"),
    pytest.param(Record("a.b", wire.NS, 5, "ns.b"), id="NS"),
    pytest.param(Record("a.b", wire.SRV, 5, "0 100 80 x.a.b"), id="SRV"),
    pytest.param(Record("a.b", wire.TXT, 5, '"1.1.0"'), id="TXT"),
    pytest.param(Record("b", wire.SOA, 5, "ns.b hostmaster.b 1 2 3 4 5"), id="SOA"),
]


@pytest.mark.parametrize("record", RECORDS)
def test_a_record_is_understood(record):
    query = wire.parse_query(ask("a.b").pack())
    found = dnslib.DNSRecord.parse(wire.encode(query, Answer(0, [record, record]), limit=512))
    assert len(found.rr) == 2
    assert {(str(r.rname).rstrip("."), r.rtype, r.ttl) for r in found.rr} == {(record.name, record.type, 5)}
    text = found.rr[0].rdata.toZone().replace("(", "").replace(")", "").split()
    assert [word.rstrip(".") for word in text] == record.data.split()


def test_a_query_is_understood():
    packed = ask("Web.Default", "SRV")
    packed.add_ar(dnslib.EDNS0(udp_len=4096))
    query = wire.parse_query(packed.pack())
    assert (query.id, query.name, query.type, query.qclass) == (packed.header.id, "Web.Default", wire.SRV, 1)
    assert (query.udp_bytes, query.edns) == (1232, True)


def test_the_reply_repeats_id_question_and_flags():
    packed = ask("Web.Default")
    reply = dnslib.DNSRecord.parse(wire.encode(wire.parse_query(packed.pack()), Answer(wire.NXDOMAIN), limit=512))
    assert (reply.header.id, str(reply.q.qname)) == (packed.header.id, "Web.Default.")
    assert (reply.header.qr, reply.header.aa, reply.header.ra, reply.header.rd, reply.header.tc) == (1, 1, 1, 1, 0)
    assert reply.header.rcode == wire.NXDOMAIN


@pytest.mark.parametrize("limit, edns", [(512, False), (1232, True), (65535, False)])
def test_what_does_not_fit_is_cut_and_said_to_be(limit, edns):
    packed = ask()
    if edns:
        packed.add_ar(dnslib.EDNS0(udp_len=1232))
    records = [Record("web.default.svc.cluster.local", wire.A, 30, f"10.0.{i}.1") for i in range(200)]
    data = wire.encode(wire.parse_query(packed.pack()), Answer(0, records, additional=records[:1]), limit=limit)
    reply = dnslib.DNSRecord.parse(data)
    assert len(data) <= limit
    assert reply.header.tc == (len(reply.rr) < 200)
    assert len(reply.rr) == min(200, (limit - 12 - 35 - 11 * edns) // 16)
    assert any(r.rtype == wire.OPT for r in reply.ar) == edns


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\0" * 11, id="less than a header"),
        pytest.param(b"\0\1\x81\x80\0\1\0\0\0\0\0\0\0\0\1\0\1", id="a reply"),
        pytest.param(b"\0\1\1\0\0\2\0\0\0\0\0\0\0\0\1\0\1", id="two questions"),
        pytest.param(b"\0\1\1\0\0\1\0\0\0\0\0\0\3ab", id="a label that is cut short"),
        pytest.param(b"\0\1\1\0\0\1\0\0\0\0\0\0\xc0\x0c\0\1\0\1", id="a pointer to itself"),
        pytest.param(b"\0\1\1\0\0\1\0\0\0\0\0\0\xc0\xff\0\1\0\1", id="a pointer forwards"),
        pytest.param(
            b"\0\1\1\0\0\1\0\0\0\0\0\0" + b"\x3f" + b"a" * 63 + (b"\x3f" + b"a" * 63) * 4 + b"\0\0\1\0\1",
            id="a name of 320 bytes",
        ),
        pytest.param(b"\0\1\1\0\0\1\0\0\0\0\0\0\1a\0\0", id="no type"),
    ],
)
def test_what_is_no_query_is_a_value_error(data):
    with pytest.raises(ValueError):
        wire.parse_query(data)


@given(st.binary(max_size=80))
def test_noise_is_a_query_or_a_value_error(data):
    try:
        query = wire.parse_query(data)
    except ValueError:
        return
    assert wire.encode(query, Answer(), limit=512)[:2] == data[:2]


@given(st.binary(max_size=80))
def test_noise_has_answers_or_is_a_value_error(data):
    try:
        wire.read_answers(b"\0\0\x80\0\0\0\0\2\0\0\0\0" + data)
    except ValueError:
        return


def test_answers_of_another_server_are_read():
    reply = ask("www.example.com").reply()
    reply.add_answer(
        *dnslib.RR.fromZone("www.example.com 60 CNAME web.example.com\nweb.example.com 60 A 1.2.3.4\nx 1 TXT y")
    )
    assert wire.read_answers(bytes(reply.pack())) == [
        Record("www.example.com", wire.CNAME, 60, "web.example.com"),
        Record("web.example.com", wire.A, 60, "1.2.3.4"),
    ]


def test_our_own_question_is_understood():
    found = dnslib.DNSRecord.parse(wire.question("www.example.com", wire.AAAA))
    assert (str(found.q.qname), found.q.qtype, found.header.rd) == ("www.example.com.", wire.AAAA, 1)
