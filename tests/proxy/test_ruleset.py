"""Transactions: whatever the order of changes, the table ends as if it had been made at once; and changes are small."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skiff.proxy.rules import Family
from skiff.proxy.ruleset import Ruleset
from tests.proxy.builders import endpoint, service, slice_of
from tests.proxy.nftsim import Nft, Packet
from tests.proxy.test_rules import FAMILY, POD, made

KEYS = [("default", name) for name in ("a", "b", "c")]


def contents(nft, stale=()):
    state = nft.state
    chains = {name: chain.rules for name, chain in state.chains.items() if name not in stale}
    return chains, state.maps, dict(state.sets)


def build(name, ip, addresses, node_port, affinity, external, local):
    obj = service(
        name,
        ip=ip,
        ports=[{"name": "http", "port": 80, **({"nodePort": node_port} if node_port else {})}],
        externalIPs=["198.51.100.1"] if external else [],
        externalTrafficPolicy="Local" if local else "Cluster",
        **(
            {"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": affinity}}}
            if affinity
            else {}
        ),
    )
    return made(obj, [slice_of(name, *(endpoint(f"10.244.{i % 2}.{i}", f"n{i % 2 + 1}") for i in addresses))])


@st.composite
def pieces(draw, key):
    if draw(st.integers(0, 4)) == 0:
        return None
    number = KEYS.index(key) + 1
    return build(
        key[1],
        f"10.96.0.{number}",
        draw(st.lists(st.integers(1, 4), unique=True, max_size=3)),
        draw(st.sampled_from([0, 30000 + number])),
        draw(st.sampled_from([0, 0, 60, 90])),
        draw(st.booleans()),
        draw(st.booleans()),
    )


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_sequence_of_changes_ends_in_the_table_made_at_once(data):
    nft, ruleset, now = Nft(), Ruleset(FAMILY), {}
    nft.apply(ruleset.replace({}))
    for _ in range(data.draw(st.integers(1, 6), label="steps")):
        keys = data.draw(st.lists(st.sampled_from(KEYS), min_size=1, unique=True), label="changed")
        change = {key: data.draw(pieces(key), label=str(key)) for key in keys}
        if script := ruleset.change(change):
            nft.apply(script)
        now |= change
        if data.draw(st.booleans(), label="clean"):
            nft.apply(ruleset.delete_stale(list(ruleset.stale)))
            assert not ruleset.stale
    fresh = Nft()
    fresh.apply(Ruleset(FAMILY).replace({k: p for k, p in now.items() if p is not None}))
    assert contents(nft, ruleset.stale) == contents(fresh)
    assert all(nft.state.chains[name].rules == [] for name in ruleset.stale)


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_a_restart_adopts_any_table(data):
    nft = Nft()
    before = {key: p for key in KEYS if (p := data.draw(pieces(key), label="before")) is not None}
    after = {key: p for key in KEYS if (p := data.draw(pieces(key), label="after")) is not None}
    nft.apply(Ruleset(FAMILY).replace(before))
    again = Ruleset(FAMILY)
    nft.apply(again.replace(after, nft.contents))
    fresh = Nft()
    fresh.apply(Ruleset(FAMILY).replace(after))
    assert contents(nft, again.stale) == contents(fresh)
    nft.apply(again.delete_stale(list(again.stale)))
    assert contents(nft) == contents(fresh)


def web(addresses, **more):
    return build(
        "a",
        "10.96.0.1",
        addresses,
        more.get("node_port", 0),
        more.get("affinity", 0),
        more.get("external", False),
        False,
    )


def test_nothing_changed_writes_nothing():
    ruleset = Ruleset(FAMILY)
    ruleset.replace({KEYS[0]: web([1, 2])})
    assert ruleset.change({KEYS[0]: web([1, 2]), KEYS[1]: None}) == ""


def test_one_more_endpoint_writes_one_chain():
    ruleset = Ruleset(FAMILY)
    ruleset.replace({KEYS[0]: web([2, 4])})
    commands = [line.split(" ")[:2] for line in ruleset.change({KEYS[0]: web([2, 4, 1])}).splitlines()]
    assert sorted(commands) == sorted([["add", "chain"], ["flush", "chain"], ["add", "rule"], ["add", "rule"]])


@pytest.mark.parametrize("affinity", [0, 60])
def test_a_packet_that_misses_the_map_of_a_replaced_rule_finds_an_endpoint(affinity):
    nft = Nft(lambda n: n)
    nft.apply(Ruleset(FAMILY).replace({KEYS[0]: web([2, 4], affinity=affinity)}))
    assert nft.trace(Packet(POD, "10.96.0.1", 80)).startswith("10.244.0.2:")


def test_sessions_stay_sticky_over_a_restart():
    nft = Nft(lambda n: 1)
    first = Ruleset(FAMILY)
    nft.apply(first.replace({KEYS[0]: web([2, 4], affinity=60)}))
    chosen = nft.trace(Packet(POD, "10.96.0.1", 80))
    nft.draw = lambda n: 0
    nft.apply(Ruleset(FAMILY).replace({KEYS[0]: web([2, 4], affinity=60)}, nft.contents))
    assert nft.trace(Packet(POD, "10.96.0.1", 80)) == chosen


def test_of_two_services_with_one_external_address_the_first_has_it_until_it_goes():
    nft, ruleset = Nft(), Ruleset(FAMILY)
    a = build("a", "10.96.0.1", [1], 0, 0, True, False)
    b = build("b", "10.96.0.2", [2], 0, 0, True, False)
    nft.apply(ruleset.replace({("default", "b"): b}))
    external = Packet(POD, "198.51.100.1", 80)
    assert nft.trace(external).startswith("10.244.0.2")
    nft.apply(ruleset.change({("default", "a"): a}))
    assert nft.trace(external).startswith("10.244.1.1")
    nft.apply(ruleset.change({("default", "a"): None}))
    assert nft.trace(external).startswith("10.244.0.2")


@pytest.mark.parametrize("version", [4, 6])
def test_an_empty_table_is_complete(version):
    nft = Nft()
    nft.apply(Ruleset(Family(version)).replace({}))
    assert {c.hook for c in nft.state.chains.values()} == {
        "prerouting",
        "output",
        "input",
        "forward",
        "postrouting",
        "",
    }
