"""The answers of the cluster's own zone. Pure: a question and a view of the cluster in, an answer out.

Source: Kubernetes DNS-Based Service Discovery, version 1.1.0; where that is silent, what CoreDNS's kubernetes plugin
answers with upstream's configuration (`pods insecure`, ttl 30).
"""

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Protocol

from skiff.dns.records import Endpoint, Port, Service, Slice, undashed
from skiff.dns.wire import (
    AAAA,
    ANY,
    CNAME,
    NOERROR,
    NS,
    NXDOMAIN,
    PTR,
    SOA,
    SRV,
    TXT,
    A,
    Answer,
    Record,
)

TTL = 30
VERSION = "1.1.0"
REVERSE = (".in-addr.arpa", ".ip6.arpa")


class View(Protocol):
    """The cluster as the answers see it. serial: rises with changes."""

    @property
    def serial(self) -> int: ...

    def has_namespace(self, name: str) -> bool: ...

    def service(self, namespace: str, name: str) -> Service | None: ...

    def slices(self, namespace: str, service: str) -> Sequence[Slice]: ...

    def services_at(self, address: str) -> Sequence[Service]:
        """Those with the cluster IP."""
        ...

    def endpoints_at(self, address: str) -> Sequence[tuple[Slice, Endpoint]]: ...


def answer(name: str, type: int, view: View, domain: str, *, steps: int = 8) -> Answer | None:
    """None: neither the cluster's zone nor an address that it knows; somebody else has to say. `domain` in lower case.
    steps: external names inside the cluster that are followed (they may lead in a ring)."""
    lower = name.lower()
    if lower == domain or lower.endswith("." + domain):
        return _Zone(name, type, view, domain, steps).answer(lower)
    if lower.endswith(REVERSE):
        return _reverse(name, type, view, domain)
    return None


class _Zone:
    """One question about the cluster's zone. Records carry the name as it was asked."""

    def __init__(self, name: str, type: int, view: View, domain: str, steps: int):
        self.name = name
        self.type = type
        self.view = view
        self.domain = domain
        self.steps = steps

    def answer(self, lower: str) -> Answer:
        labels = lower[: -len(self.domain)].rstrip(".").split(".") if lower != self.domain else []
        match labels:
            case []:
                return self._apex()
            case ["dns-version"]:
                return self._found([self._record(TXT, f'"{VERSION}"')])
            case ["ns", "dns"]:
                return self._found(self._server_addresses())
            case ["svc"] | ["pod"] | ["dns"]:
                return self._found([])
            case [namespace, "svc" | "pod"]:
                return self._found([]) if self.view.has_namespace(namespace) else self._missing()
            case [label, namespace, "pod"]:
                return self._pod(label, namespace)
            case [*before, service, namespace, "svc"]:
                found = self.view.service(namespace, service)
                return self._service(found, before) if found is not None else self._missing()
        return self._missing()

    def _apex(self) -> Answer:
        return self._found([_soa(self.domain, self.view), self._record(NS, f"ns.dns.{self.domain}")])

    def _server_addresses(self) -> list[Record]:
        dns = self.view.service("kube-system", "kube-dns")
        return [self._record(_type(ip), ip) for ip in dns.addresses] if dns else []

    def _pod(self, label: str, namespace: str) -> Answer:
        address = undashed(label)
        if not address or not self.view.has_namespace(namespace):
            return self._missing()
        return self._found([self._record(_type(address), address)])

    def _service(self, service: Service, before: list[str]) -> Answer:
        if service.external_name:
            return self._external(service) if not before else self._missing()
        slices = self.view.slices(service.namespace, service.name)
        if service.headless and not any(s.endpoints for s in slices):
            return self._missing()
        match before:
            case []:
                return self._found([*self._addresses(service, slices), *self._ports(service, slices)], service, slices)
            case [port, protocol] if port.startswith("_") and protocol.startswith("_"):
                records = self._ports(service, slices, port[1:], protocol[1:])
                return self._found(records, service, slices) if records else self._missing()
            case [label]:
                found = [e for s in slices for e in s.endpoints if e.label.lower() == label]
                return self._found(self._endpoint(found)) if found else self._missing()
        return self._missing()

    def _external(self, service: Service) -> Answer:
        record = self._record(CNAME, service.external_name)
        if self.type in (CNAME, ANY) or not self.steps:
            return Answer(NOERROR, [record])
        inside = answer(service.external_name, self.type, self.view, self.domain, steps=self.steps - 1)
        if inside is None:
            return Answer(NOERROR, [record], chase=service.external_name)
        return replace(inside, answers=[record, *inside.answers])

    def _addresses(self, service: Service, slices: Sequence[Slice]) -> list[Record]:
        if not service.headless:
            return [self._record(_type(ip), ip) for ip in service.addresses]
        return self._endpoint(e for s in slices for e in s.endpoints)

    def _endpoint(self, endpoints: Iterable[Endpoint]) -> list[Record]:
        return [self._record(_type(ip), ip) for ip in dict.fromkeys(e.address for e in endpoints)]

    def _ports(self, service: Service, slices: Sequence[Slice], name: str = "", protocol: str = "") -> list[Record]:
        """SRV records: of one port, or of all for the service's own name."""

        def wanted(ports: Sequence[Port]) -> list[Port]:
            return [p for p in ports if not name or (p.name, p.protocol) == (name, protocol)]

        base = f"{service.name}.{service.namespace}.svc.{self.domain}"
        targets = [(p.port, base) for p in wanted(service.ports)]
        if service.headless:
            targets = [(p.port, f"{e.label}.{base}") for s in slices for e in s.endpoints for p in wanted(s.ports)]
        targets = list(dict.fromkeys(targets))
        weight = max(1, 100 // len(targets)) if targets else 0
        return [self._record(SRV, f"0 {weight} {port} {target}") for port, target in targets]

    def _found(self, records: Sequence[Record], service: Service | None = None, slices: Sequence[Slice] = ()) -> Answer:
        """The records of the type asked for; without one, the name exists all the same."""
        chosen = [r for r in records if self.type in (r.type, ANY)]
        if not chosen:
            return Answer(NOERROR, authority=[_soa(self.domain, self.view)])
        extra = self._targets(service, slices) if service and self.type == SRV else []
        return Answer(NOERROR, chosen, additional=extra)

    def _targets(self, service: Service, slices: Sequence[Slice]) -> list[Record]:
        """Addresses of the SRV records' targets."""
        base = f"{service.name}.{service.namespace}.svc.{self.domain}"
        if not service.headless:
            return [Record(base, _type(ip), TTL, ip) for ip in service.addresses]
        found = dict.fromkeys((f"{e.label}.{base}", e.address) for s in slices for e in s.endpoints)
        return [Record(name, _type(ip), TTL, ip) for name, ip in found]

    def _missing(self) -> Answer:
        return Answer(NXDOMAIN, authority=[_soa(self.domain, self.view)])

    def _record(self, type: int, data: str) -> Record:
        return Record(self.name, type, TTL, data)


def _reverse(name: str, type: int, view: View, domain: str) -> Answer | None:
    address = address_of(name)
    if not address:
        return None
    targets = [f"{s.name}.{s.namespace}.svc.{domain}" for s in view.services_at(address)]
    if not targets:
        targets = [f"{e.label}.{s.service}.{s.namespace}.svc.{domain}" for s, e in view.endpoints_at(address)]
    if not targets:
        return None
    if type not in (PTR, ANY):
        return Answer(NOERROR, authority=[_soa(domain, view)])
    return Answer(NOERROR, [Record(name, PTR, TTL, target) for target in dict.fromkeys(targets)])


def address_of(name: str) -> str:
    """4.3.2.1.in-addr.arpa → 1.2.3.4, and the same for IPv6; "" for what is no address's name."""
    lower = name.lower()
    labels = lower.removesuffix(".in-addr.arpa").removesuffix(".ip6.arpa").split(".")[::-1]
    text = ".".join(labels)
    if lower.endswith(".ip6.arpa"):
        if len(labels) != 32:
            return ""
        joined = "".join(labels)
        text = ":".join(joined[i : i + 4] for i in range(0, 32, 4))
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return ""


def _soa(domain: str, view: View) -> Record:
    serial = view.serial & 0xFFFFFFFF
    return Record(domain, SOA, TTL, f"ns.dns.{domain} hostmaster.{domain} {serial} 7200 1800 86400 {TTL}")


def _type(address: str) -> int:
    return AAAA if ":" in address else A
