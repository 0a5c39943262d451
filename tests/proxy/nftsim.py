"""A small nftables: takes our scripts as transactions, refuses what the kernel refuses, and says where a packet ends.

It knows the language that skiff.proxy.ruleset writes and nothing else; an unknown word is an error.
"""

import copy
import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from skiff.proxy import nft

VERDICT = re.compile(r"(goto|jump) (\S+)$")
REFERENCE = re.compile(r"(?:goto|jump) ([^\s,}]+)")
SETS = re.compile(r"@(\S+)")


class Refused(Exception):
    """What the kernel would say."""


@dataclass
class Chain:
    hook: str = ""
    priority: int = 0
    type: str = ""
    rules: list[str] = field(default_factory=list)


@dataclass
class State:
    chains: dict[str, Chain] = field(default_factory=dict)
    maps: dict[str, dict[str, str]] = field(default_factory=dict)
    sets: dict[str, set[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Packet:
    """A new connection. local: addresses of this node. from_here: sent by a process of the node."""

    src: str
    dst: str
    port: int
    proto: str = "tcp"
    from_here: bool = False
    local: tuple[str, ...] = ("10.89.0.1", "127.0.0.1", "10.244.0.1")
    mark: bool = False
    dnat: bool = False


class Nft:
    """One table. draw(n): the number that numgen gives; n itself is in no map, as if the kernel had emptied it."""

    def __init__(self, draw: Callable[[int], int] = lambda n: 0):
        self.state: State | None = None
        self.draw = draw
        self.transactions: list[str] = []

    def apply(self, script: str) -> None:
        """All of it or nothing. Raises Refused."""
        state = copy.deepcopy(self.state)
        for line in script.splitlines():
            state = self._command(state, line)
        self._check(state)
        self.state = state
        self.transactions.append(script)

    def _command(self, state: State | None, line: str) -> State | None:
        verb, kind, _, _, *rest = line.split(" ", 5)
        name, *more = rest or [""]
        body = more[0] if more else ""
        if kind == "table":
            return (state or State()) if verb == "add" else None
        if state is None:
            raise Refused(f"no table: {line}")
        getattr(self, f"_{verb}_{kind}")(state, name, body)
        return state

    def _add_map(self, state, name, body):
        state.maps.setdefault(name, {})

    def _add_set(self, state, name, body):
        state.sets.setdefault(name, set())

    def _delete_set(self, state, name, body):
        if any(f"@{name} " in f"{rule} " for chain in state.chains.values() for rule in chain.rules):
            raise Refused(f"set {name} is in use")
        del state.sets[name]

    def _add_chain(self, state, name, body):
        chain = state.chains.setdefault(name, Chain())
        if body:
            words = body.strip("{ ;}").split(" ")
            chain.type, chain.hook, chain.priority = words[1], words[3], int(words[5])

    def _flush_chain(self, state, name, body):
        if name not in state.chains:
            raise Refused(f"no chain {name}")
        state.chains[name].rules = []

    def _delete_chain(self, state, name, body):
        texts = [r for n, c in state.chains.items() if n != name for r in c.rules]
        texts += [v for m in state.maps.values() for v in m.values()]
        if any(name in REFERENCE.findall(text) for text in texts):
            raise Refused(f"chain {name} is in use")
        del state.chains[name]

    def _add_rule(self, state, name, body):
        state.chains[name].rules.append(body)

    def _add_element(self, state, name, body):
        for item in body.strip("{ }").split(", "):
            key, _, verdict = item.partition(" : ")
            if name in state.sets:
                state.sets[name].add(key)
            elif state.maps[name].setdefault(key, verdict) != verdict:
                raise Refused(f"{name}: {key} is there already")

    def _delete_element(self, state, name, body):
        for item in body.strip("{ }").split(", "):
            key, _, verdict = item.partition(" : ")
            if name in state.sets:
                state.sets[name].remove(key)
            elif state.maps[name].pop(key) != verdict:
                raise Refused(f"{name}: {key} has another verdict")

    def _check(self, state: State | None) -> None:
        """Every chain, map and set that is named exists."""
        if state is None:
            return
        texts = [rule for chain in state.chains.values() for rule in chain.rules]
        for text in [*texts, *(v for m in state.maps.values() for v in m.values())]:
            for chain in REFERENCE.findall(text):
                if chain not in state.chains:
                    raise Refused(f"no chain {chain}: {text}")
            for name in SETS.findall(text):
                if name not in state.maps and name not in state.sets:
                    raise Refused(f"no set {name}: {text}")

    @property
    def contents(self) -> nft.Contents | None:
        if (state := self.state) is None:
            return None
        elements = {(name, key): verdict for name, m in state.maps.items() for key, verdict in m.items()}
        elements |= {(name, key): "" for name, keys in state.sets.items() for key in keys}
        return nft.Contents([*state.chains], [*state.sets], elements)

    # -- packets

    def trace(self, packet: Packet) -> str:
        """`ADDRESS:PORT` where it arrives, ` masqueraded` if its source was changed; or drop, reject."""
        return _Trace(self.state or State(), packet, self.draw).run()


class _Trace:
    def __init__(self, state: State, packet: Packet, draw: Callable[[int], int]):
        self.state = state
        self.packet = packet
        self.draw = draw
        self.masqueraded = False

    def run(self) -> str:
        hooks = ["output"] if self.packet.from_here else ["prerouting"]
        for hook in hooks:
            if (end := self._hook(hook)) is not None:
                return end
        if self.packet.dst in self.packet.local:
            rest = ["postrouting", "input"] if self.packet.from_here else ["input"]
        else:
            rest = ["postrouting"] if self.packet.from_here else ["forward", "postrouting"]
        for hook in rest:
            if (end := self._hook(hook)) is not None:
                return end
        host = f"[{self.packet.dst}]" if ":" in self.packet.dst else self.packet.dst
        return f"{host}:{self.packet.port}" + (" masqueraded" if self.masqueraded else "")

    def _hook(self, hook: str) -> str | None:
        """On output, filter chains after translation see the new destination, as in the kernel."""
        chains = sorted((c.priority, n) for n, c in self.state.chains.items() if c.hook == hook)
        for _, name in chains:
            end = self._chain(name)
            if end in ("drop", "reject"):
                return end
        return None

    def _chain(self, name: str) -> str | None:
        """drop, reject, accept; None: fell off the end."""
        for rule in self.state.chains[name].rules:
            end = self._rule(rule)
            if end is not None:
                return None if end == "return" else end
        return None

    def _rule(self, rule: str) -> str | None:
        rest = rule
        while rest:
            for pattern, act in MATCHES:
                if found := pattern.match(rest):
                    rest = rest[found.end() :].lstrip()
                    result = act(self, *found.groups())
                    break
            else:
                raise AssertionError(f"unknown words: {rest}")
            if result is False:
                return None
            if isinstance(result, str):
                return self._verdict(result)
        return None

    def _verdict(self, verdict: str) -> str | None:
        if found := VERDICT.match(verdict):
            end = self._chain(found[2])
            return ("return" if end is None else end) if found[1] == "goto" else end
        return verdict

    def key(self, words: str) -> str:
        p = self.packet
        values = {
            "ip daddr": p.dst,
            "ip saddr": p.src,
            "ip6 daddr": p.dst,
            "ip6 saddr": p.src,
            "meta l4proto": p.proto,
            "th dport": str(p.port),
        }
        return " . ".join(values[w] for w in words.split(" . "))

    def vmap(self, words: str, name: str) -> str | bool:
        return self.state.maps[name].get(self.key(words), False)

    def member(self, words: str, name: str) -> bool:
        return self.key(words) in self.state.sets[name]

    def within(self, word: str, negated: str, networks: str) -> bool:
        address = ipaddress.ip_address(self.key(word))
        found = any(address in ipaddress.ip_network(n) for n in networks.strip("{ }").split(", "))
        return found != bool(negated)

    def local(self, which: str) -> bool:
        return (self.packet.dst if which == "daddr" else self.packet.src) in self.packet.local

    def dnat(self, target: str) -> str:
        host, _, port = target.rpartition(":")
        self.packet = replace(self.packet, dst=host.strip("[]"), port=int(port), dnat=True)
        return "accept"

    def choose(self, count: str, items: str) -> str | bool:
        choices = dict(item.split(" : ") for item in items.split(", "))
        assert len(choices) == int(count)
        return choices.get(str(self.draw(int(count))), False)

    def dnat_one_of(self, count: str, items: str) -> str | bool:
        chosen = self.choose(count, items)
        return chosen and self.dnat(":".join(chosen.split(" . ")))

    def set_mark(self, value: bool) -> bool:
        self.packet = replace(self.packet, mark=value)
        return True

    def update(self, name: str, words: str) -> bool:
        self.state.sets[name].add(self.key(words))
        return True

    def masquerade(self) -> str:
        self.masqueraded = True
        return "accept"


FIELD = r"(?:ip6? [sd]addr|meta l4proto|th dport)"
FIELDS = rf"({FIELD}(?: \. {FIELD})*)"
MATCHES = [
    (re.compile(r"ct state new"), lambda t: True),
    (re.compile(r"ct status dnat"), lambda t: t.packet.dnat),
    (re.compile(r"fib ([sd]addr) type local"), lambda t, which: t.local(which)),
    (re.compile(r"meta mark and 0x4000 != 0"), lambda t: t.packet.mark),
    (re.compile(r"meta mark set meta mark or 0x4000"), lambda t: t.set_mark(True)),
    (re.compile(r"meta mark set meta mark xor 0x4000"), lambda t: t.set_mark(not t.packet.mark)),
    (re.compile(r"masquerade fully-random"), lambda t: t.masquerade()),
    (re.compile(r"meta l4proto (tcp|udp|sctp)"), lambda t, proto: t.packet.proto == proto),
    (re.compile(rf"{FIELDS} vmap @(\S+)"), lambda t, words, name: t.vmap(words, name)),
    (re.compile(rf"{FIELDS} @(\S+)"), lambda t, words, name: t.member(words, name)),
    (re.compile(r"(ip6? saddr) (!= )?(\{[^}]*\}|[0-9a-f.:/]+)"), lambda t, w, n, nets: t.within(w, n, nets)),
    (re.compile(r"dnat to (\S+)"), lambda t, target: t.dnat(target)),
    (
        re.compile(r"dnat ip6? addr \. port to numgen random mod (\d+) map \{ ([^}]*) \}"),
        lambda t, count, items: t.dnat_one_of(count, items),
    ),
    (re.compile(r"numgen random mod (\d+) vmap \{ ([^}]*) \}"), lambda t, count, items: t.choose(count, items)),
    (re.compile(r"update @(\S+) \{ (ip6? saddr) \}"), lambda t, name, words: t.update(name, words)),
    (re.compile(r"((?:goto|jump) \S+|drop|reject|return)(?: with tcp reset)?"), lambda t, verdict: verdict),
]


class Machine:
    """Stands in for skiff.proxy.nft: both tables of one machine, and the conntrack calls made on it. broken: what nft says instead of working."""

    def __init__(self, monkeypatch):
        for name in ("apply", "contents", "has_rules", "conntrack"):
            monkeypatch.setattr(nft, name, getattr(self, name))
        self.tables = {"ip": Nft(), "ip6": Nft()}
        self.flows = []
        self.broken = ""

    async def apply(self, script):
        if self.broken:
            raise nft.NftError(self.broken)
        try:
            self.tables[script.split(" ", 3)[2]].apply(script)
        except (Refused, KeyError) as e:
            raise nft.NftError(str(e)) from e

    async def contents(self, family, table):
        return self.tables[family].contents

    async def has_rules(self, family, table, chain):
        state = self.tables[family].state
        return bool(state and state.chains[chain].rules)

    async def conntrack(self, arguments):
        self.flows.append(" ".join(arguments))

    def trace(self, packet):
        return self.tables["ip"].trace(packet)

    @property
    def transactions(self):
        return self.tables["ip"].transactions
