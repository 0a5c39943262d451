"""The table as a whole: its fixed part, and transactions that lead from what is applied to what is wanted. Pure.

`replace` makes everything in one transaction, keeping what survives of a table that is there (sessions stay sticky
over a restart); `change` writes only what differs for the services that changed. Neither touches an element that stays
as it is: while the kernel commits a transaction, a look-up can miss what is written anew. Kernels before 6.2 still
count a chain as used for a moment after the map element that led to it is gone, so a chain is emptied first and deleted
by a later transaction (`stale`). Connections live in conntrack: no transaction disturbs one.
"""

from collections.abc import Iterable, Mapping, Sequence

from skiff.proxy.model import ServiceKey
from skiff.proxy.nft import Contents
from skiff.proxy.rules import MARK, SET_MARK, Element, Family, Piece

SERVICE_CHAINS = ("cluster/", "local/", "external/", "firewall/", "endpoint/")
AFFINITY = "affinity/"

MAPS = {
    "service-ips": "{type} . inet_proto . inet_service : verdict",
    "service-nodeports": "inet_proto . inet_service : verdict",
    "no-endpoint-services": "{type} . inet_proto . inet_service : verdict",
    "no-endpoint-nodeports": "inet_proto . inet_service : verdict",
    "firewall-ips": "{type} . inet_proto . inet_service : verdict",
}
SETS = {
    "cluster-ips": "{type}",
    "hairpin": "{type} . {type} . inet_proto . inet_service",
}

BASE = {
    "firewall-prerouting": "type filter hook prerouting priority -110",
    "firewall-output": "type filter hook output priority -110",
    "nat-prerouting": "type nat hook prerouting priority -100",
    "nat-output": "type nat hook output priority -100",
    "filter-input": "type filter hook input priority 0",
    "filter-forward": "type filter hook forward priority 0",
    "filter-output": "type filter hook output priority 0",
    "nat-postrouting": "type nat hook postrouting priority 100",
}


def fixed_rules(family: Family, *, masquerade_all: bool = False) -> dict[str, list[str]]:
    """The chains that every packet meets. In order: base chains, then those they jump to."""
    ip = family.ip
    service = f"{ip} daddr . meta l4proto . th dport"
    return {
        "firewall-prerouting": ["ct state new jump firewall"],
        "firewall-output": ["ct state new jump firewall"],
        "nat-prerouting": ["jump services"],
        "nat-output": ["jump services"],
        "filter-input": ["ct state new jump no-endpoints", "ct state new jump no-endpoints-here"],
        "filter-forward": ["ct state new jump no-endpoints", "ct state new jump unknown-ports"],
        "filter-output": ["ct state new jump no-endpoints", "ct state new jump unknown-ports"],
        "nat-postrouting": [
            f"meta mark and {MARK} != 0 meta mark set meta mark xor {MARK} masquerade fully-random",
            f"ct status dnat {ip} saddr . {ip} daddr . meta l4proto . th dport @hairpin masquerade fully-random",
        ],
        "services": [
            *_masquerade_cluster_ips(family, masquerade_all),
            f"{service} vmap @service-ips",
            "fib daddr type local meta l4proto . th dport vmap @service-nodeports",
        ],
        "firewall": [f"{service} vmap @firewall-ips"],
        "no-endpoints": [f"{service} vmap @no-endpoint-services"],
        "no-endpoints-here": ["fib daddr type local meta l4proto . th dport vmap @no-endpoint-nodeports"],
        "unknown-ports": [f"{ip} daddr @cluster-ips goto refuse"],
        # A reset is never rate limited, as the kernel's ICMP errors are: each client is refused at once.
        "refuse": ["meta l4proto tcp reject with tcp reset", "reject"],
    }


def _masquerade_cluster_ips(family: Family, everything: bool) -> list[str]:
    """Only pods' addresses are known everywhere; an answer to any other client must come back through this node."""
    if everything:
        return [f"{family.ip} daddr @cluster-ips {SET_MARK}"]
    if family.cluster_cidr:
        return [f"{family.ip} daddr @cluster-ips {family.ip} saddr != {family.cluster_cidr} {SET_MARK}"]
    return []


class Ruleset:
    """What is applied, and the text of transactions towards what is wanted. A transaction that failed leaves an unknown
    table: `replace` again."""

    def __init__(self, family: Family, *, masquerade_all: bool = False):
        self.family = family
        self._fixed = fixed_rules(family, masquerade_all=masquerade_all)
        self._pieces: dict[ServiceKey, Piece] = {}
        self._claims: dict[Element, dict[ServiceKey, str]] = {}
        self.stale: set[str] = set()

    def replace(self, pieces: Mapping[ServiceKey, Piece], there: Contents | None = None) -> str:
        """Everything. there: what the table has, None if there is no table."""
        there = there or Contents()
        self._pieces = dict(pieces)
        self._claims = {}
        for key, piece in pieces.items():
            for element, verdict in piece.elements.items():
                self._claims.setdefault(element, {})[key] = verdict
        lines = self._fixed_part()
        wanted = {name: rules for piece in pieces.values() for name, rules in piece.chains.items()}
        affinity = {name: seconds for piece in pieces.values() for name, seconds in piece.affinity.items()}
        self.stale = {c for c in there.chains if c.startswith(SERVICE_CHAINS) and c not in wanted}
        gone_sets = [s for s in there.sets if s.startswith(AFFINITY) and s not in affinity]
        lines += self._chain_declarations(wanted, affinity)
        lines += self._rules(wanted)
        lines += [self._line("flush chain", name) for name in sorted(self.stale)]
        lines += [self._line("delete set", name) for name in sorted(gone_sets)]
        old = {e: verdict for e, verdict in there.elements.items() if e[0] in MAPS or e[0] in SETS}
        new = {e: _winner(claims) for e, claims in self._claims.items()}
        lines += self._elements("delete", old.items() - new.items())
        lines += self._elements("add", new.items() - old.items())
        return "\n".join(lines) + "\n"

    def change(self, pieces: Mapping[ServiceKey, Piece | None]) -> str:
        """From what is applied to these pieces (None: the service is gone). "": nothing differs."""
        touched: dict[Element, str | None] = {}
        chains: dict[str, Sequence[str]] = {}
        affinity: dict[str, int] = {}
        gone_chains, gone_sets = set(), set()
        for key, new in pieces.items():
            old = self._pieces.get(key, Piece())
            self._claim(key, old, new or Piece(), touched)
            now = new or Piece()
            chains |= {n: r for n, r in now.chains.items() if old.chains.get(n) != r}
            affinity |= {n: s for n, s in now.affinity.items() if old.affinity.get(n) != s}
            # The timeout of a set cannot be changed: it is made anew.
            gone_sets |= {n for n, s in old.affinity.items() if now.affinity.get(n) != s}
            gone_chains |= old.chains.keys() - now.chains.keys()
            chains |= {n: r for n, r in now.chains.items() if any(f"@{s} " in rule for s in gone_sets for rule in r)}
            if new is None:
                self._pieces.pop(key, None)
            else:
                self._pieces[key] = new
        return self._transaction(touched, chains, affinity, gone_chains, gone_sets)

    def delete_stale(self, names: Iterable[str]) -> str:
        """Deletes chains that were emptied a while ago and are not in use again."""
        gone = sorted(self.stale.intersection(names))
        self.stale.difference_update(gone)
        return "".join(self._line("delete chain", name) + "\n" for name in gone)

    def _claim(self, key: ServiceKey, old: Piece, new: Piece, touched: dict[Element, str | None]) -> None:
        """Two services may claim one external address; the first by name has it. touched: element → verdict to be
        replaced (None: there was none)."""
        for element in old.elements.keys() | new.elements.keys():
            if old.elements.get(element) == new.elements.get(element):
                continue
            claims = self._claims.setdefault(element, {})
            touched.setdefault(element, _winner(claims) if claims else None)
            if element in new.elements:
                claims[key] = new.elements[element]
            else:
                claims.pop(key, None)
            if not claims:
                del self._claims[element]

    def _transaction(
        self,
        touched: Mapping[Element, str | None],
        chains: Mapping[str, Sequence[str]],
        affinity: Mapping[str, int],
        gone_chains: set[str],
        gone_sets: set[str],
    ) -> str:
        now = {e: _winner(self._claims[e]) if e in self._claims else None for e in touched}
        differing = [e for e in touched if touched[e] != now[e]]
        lines = [self._line("flush chain", name) for name in sorted(gone_chains)]
        lines += [self._line("flush chain", name) for name in sorted(chains)] if gone_sets else []
        chained = self._chain_declarations(chains, {})
        lines = chained + lines
        lines += [self._line("delete set", name) for name in sorted(gone_sets)]
        lines += self._affinity_declarations(affinity)
        lines += self._rules(chains)
        lines += self._elements("delete", ((e, verdict) for e in differing if (verdict := touched[e]) is not None))
        lines += self._elements("add", ((e, verdict) for e in differing if (verdict := now[e]) is not None))
        self.stale |= gone_chains
        self.stale -= chains.keys()
        return "\n".join(lines) + "\n" if lines else ""

    def _fixed_part(self) -> list[str]:
        type = {"type": self.family.type}
        lines = [f"add table {self.family.table}"]
        for name, shape in MAPS.items():
            lines.append(self._line("add map", name, f"{{ type {shape.format(**type)}; }}"))
        for name, shape in SETS.items():
            lines.append(self._line("add set", name, f"{{ type {shape.format(**type)}; }}"))
        for name in self._fixed:
            lines.append(self._line("add chain", name, f"{{ {BASE[name]}; }}" if name in BASE else ""))
        return lines + self._rules(self._fixed)

    def _chain_declarations(self, chains: Iterable[str], affinity: Mapping[str, int]) -> list[str]:
        """Before any rule, as rules refer to chains and sets."""
        return self._affinity_declarations(affinity) + [self._line("add chain", name) for name in sorted(chains)]

    def _affinity_declarations(self, affinity: Mapping[str, int]) -> list[str]:
        shape = f"type {self.family.type}; flags dynamic,timeout; "
        return [self._line("add set", n, f"{{ {shape}timeout {s}s; }}") for n, s in sorted(affinity.items())]

    def _rules(self, chains: Mapping[str, Sequence[str]]) -> list[str]:
        lines = []
        for name, rules in sorted(chains.items()):
            lines.append(self._line("flush chain", name))
            lines += [self._line("add rule", name, rule) for rule in rules]
        return lines

    def _elements(self, verb: str, elements: Iterable[tuple[Element, str]]) -> list[str]:
        """One command per map or set."""
        grouped: dict[str, list[str]] = {}
        for (name, key), verdict in sorted(elements):
            grouped.setdefault(name, []).append(f"{key} : {verdict}" if verdict else key)
        return [self._line(f"{verb} element", name, f"{{ {', '.join(items)} }}") for name, items in grouped.items()]

    def _line(self, command: str, name: str, rest: str = "") -> str:
        return f"{command} {self.family.table} {name} {rest}".rstrip()


def _winner(claims: Mapping[ServiceKey, str]) -> str:
    return claims[min(claims)]
