"""Fills in what a Service gets from the cluster: IP families, cluster IPs, node ports, the health check port.

Upstream does this below admission (pkg/registry/core/service/storage/alloc.go); here it is the last plugin that mutates,
which is the same moment. What an update gives up is free as soon as the cache has seen the update.
"""

from ipaddress import IPv4Address, IPv6Address

from skiff.api.errors import FieldError, internal, invalid, invalid_object
from skiff.api.gvr import SERVICES
from skiff.api.resources.checks import ErrorList
from skiff.api.resources.core.service_checks import check_cluster_ips
from skiff.api.resources.core.service_prepare import (
    needs_cluster_ip,
    needs_health_check_port,
    needs_node_port,
    node_ports,
    prepare_service,
)
from skiff.api.types import Obj
from skiff.apiserver.admission import Attributes, Plugin
from skiff.apiserver.allocators import Full, Outside, ServiceAllocators, Taken, parse_ip

SINGLE, PREFER, REQUIRE = "SingleStack", "PreferDualStack", "RequireDualStack"
_OTHER = {"IPv4": "IPv6", "IPv6": "IPv4"}


class ServiceAllocation(Plugin):
    name = "ServiceAllocation"
    last = True
    resources = frozenset(("services",))

    def __init__(self, allocators: ServiceAllocators):
        self._allocators = allocators

    async def mutate(self, attrs: Attributes) -> None:
        service, old = attrs.obj, attrs.old
        assert service is not None
        meta = service["metadata"]
        name = meta.get("name") or meta.get("generateName", "")
        await self._allocators.catch_up(attrs.namespace, name)
        status = service.get("status")
        prepare_service(service, old)
        if old is None and status is not None:
            service["status"] = status
        spec, before = service["spec"], (old or {}).get("spec") or {}
        work = _Work(self._allocators, spec, before, f"{attrs.namespace}/{name}", name, attrs.dry_run)
        work.families()
        work.cluster_ips()
        work.node_ports()
        work.health_check_port()


class _Work:
    """One service's allocations, step by step. before: the old spec, {} for a creation."""

    def __init__(self, allocators: ServiceAllocators, spec: Obj, before: Obj, owner: str, name: str, dry_run: bool):
        self._allocators = allocators
        self._spec = spec
        self._before = before
        self._owner = owner
        self._name = name
        self._dry_run = dry_run

    def _fail(self, *errors: FieldError) -> None:
        if errors:
            raise invalid_object(SERVICES, self._name, errors)

    # families

    def families(self) -> None:
        spec, before = self._spec, self._before
        if not needs_cluster_ip(spec) or _keeps_preference(spec, before):
            return
        if spec.get("ipFamilyPolicy") is None:
            lone = spec.get("clusterIP") == "None" and not spec.get("selector")
            spec["ipFamilyPolicy"] = before.get("ipFamilyPolicy") or (REQUIRE if lone else SINGLE)
        wrong = ErrorList()
        check_cluster_ips(spec, wrong)
        self._fail(*wrong)
        self._fail(*self._shrink())
        self._fail(*self._infer())
        if spec.get("clusterIP") == "None" and not spec.get("selector"):
            self._headless_without_selector()
            return
        self._fail(*self._unsupported())
        families = list(spec.get("ipFamilies") or self._allocators.families[:1])
        if spec["ipFamilyPolicy"] != SINGLE and len(families) == 1 and len(self._allocators.families) == 2:
            families.append(_OTHER[families[0]])
        spec["ipFamilies"] = families

    def _shrink(self) -> list[FieldError]:
        """An update to a single stack gives up the second address; only that update may."""
        spec, before = self._spec, self._before
        errors = []
        for field, what in (("clusterIPs", "cluster IP"), ("ipFamilies", "IP family")):
            now, then = spec.get(field) or [], before.get(field) or []
            if spec["ipFamilyPolicy"] == SINGLE:
                if before and now == then and len(now) > 1:
                    spec[field] = now[:1]
            elif len(then) == 2 and len(now) == 1 and before.get("ipFamilyPolicy") != SINGLE:
                why = f"must be 'SingleStack' to release the secondary {what}"
                errors.append(invalid("spec.ipFamilyPolicy", spec["ipFamilyPolicy"], why))
        return errors

    def _infer(self) -> list[FieldError]:
        """Families that the addresses imply, and contradictions between policy, families and addresses."""
        spec = self._spec
        errors = []
        if spec["ipFamilyPolicy"] == SINGLE:
            for field, what in (("clusterIPs", "cluster IPs"), ("ipFamilies", "IP families")):
                if len(spec.get(field) or ()) == 2:
                    why = f"must be 'RequireDualStack' or 'PreferDualStack' when multiple {what} are specified"
                    errors.append(invalid("spec.ipFamilyPolicy", SINGLE, why))
        families = list(spec.get("ipFamilies") or ())
        for index, text in enumerate(spec.get("clusterIPs") or ()):
            ip = parse_ip(text)
            if ip is None:
                break
            family = f"IPv{ip.version}"
            if index < len(families):
                continue
            if family in self._allocators.addresses:
                families.append(family)
            else:
                why = f"{family} is not configured on this cluster"
                errors.append(invalid(f"spec.clusterIPs[{index}]", spec["clusterIPs"], why))
        if families:
            spec["ipFamilies"] = families
        return errors

    def _headless_without_selector(self) -> None:
        """Any families are fine: someone else writes the endpoints."""
        families = list(self._spec.get("ipFamilies") or self._allocators.families[:1])
        if len(families) == 1 and self._spec["ipFamilyPolicy"] != SINGLE and families[0] in _OTHER:
            families.append(_OTHER[families[0]])
        self._spec["ipFamilies"] = families

    def _unsupported(self) -> list[FieldError]:
        spec, here = self._spec, self._allocators.families
        errors = []
        if spec["ipFamilyPolicy"] == REQUIRE and len(here) < 2:
            why = "this cluster is not configured for dual-stack services"
            errors.append(invalid("spec.ipFamilyPolicy", REQUIRE, why))
        for index, family in enumerate(spec.get("ipFamilies") or ()):
            if family not in here:
                errors.append(invalid(f"spec.ipFamilies[{index}]", family, "not configured on this cluster"))
        return errors

    # addresses

    def cluster_ips(self) -> None:
        spec, before = self._spec, self._before
        if (
            not needs_cluster_ip(spec)
            or spec.get("clusterIP") == "None"
            or (spec.get("clusterIPs") or [""])[0] == "None"
        ):
            return
        held = set(before.get("clusterIPs") or ()) if needs_cluster_ip(before) else set()
        addresses = list(spec.get("clusterIPs") or ())
        for index, family in enumerate(spec.get("ipFamilies") or ()):
            wanted = addresses[index] if index < len(addresses) else ""
            found = wanted if wanted and wanted in held else self._address(family, wanted)
            addresses[index : index + 1] = [found]
        if addresses:
            spec["clusterIPs"], spec["clusterIP"] = addresses, addresses[0]

    def _address(self, family: str, wanted: str) -> str:
        pool = self._allocators.addresses[family]
        if not wanted:
            try:
                number = pool.take_any(self._owner, dry_run=self._dry_run)
            except Full:
                raise internal(f'failed to allocate a serviceIP for Service "{self._name}": range is full') from None
            return str(IPv4Address(number) if family == "IPv4" else IPv6Address(number))
        ip = parse_ip(wanted)
        network = self._allocators.network_of(ip) if ip is not None else None
        why = ""
        try:
            if ip is None or network is None:
                raise Outside
            pool.take(int(ip), self._owner, dry_run=self._dry_run)
        except Outside:
            why = "the provided network does not match the current range"
            if network is not None:
                why = f"the provided IP ({wanted}) is not in the valid range. The range of valid IPs is {network}"
        except Taken:
            why = "provided IP is already allocated"
        if why:
            text = f"failed to allocate IP {wanted}: {why}"
            self._fail(invalid("spec.clusterIPs", self._spec["clusterIPs"], text))
        return wanted

    # ports

    def node_ports(self) -> None:
        spec = self._spec
        if spec.get("type") not in ("NodePort", "LoadBalancer"):
            return
        held = node_ports(self._before)
        given: dict[int, int] = {}  # service port → node port: one for all protocols of a port
        for port in spec.get("ports") or ():
            if port.get("nodePort"):
                given.setdefault(port.get("port", 0), port["nodePort"])
        for index, port in enumerate(spec.get("ports") or ()):
            if port.get("nodePort"):
                if port["nodePort"] not in held:
                    self._port(port["nodePort"], f"spec.ports[{index}].nodePort")
                    held.add(port["nodePort"])
            elif needs_node_port(spec):
                shared = given.get(port.get("port", 0))
                if shared is None or self._is_taken(spec, port, shared):
                    shared = self._any_port("nodePort")
                port["nodePort"] = shared
                given.setdefault(port.get("port", 0), shared)
                held.add(shared)

    def _is_taken(self, spec: Obj, port: Obj, number: int) -> bool:
        """Whether another port of this service has the node port with the same protocol already."""
        protocol = port.get("protocol", "TCP")
        others = (p for p in spec["ports"] if p is not port)
        return any(p.get("nodePort") == number and p.get("protocol", "TCP") == protocol for p in others)

    def health_check_port(self) -> None:
        spec, before = self._spec, self._before
        if not needs_health_check_port(spec):
            return
        wanted = spec.get("healthCheckNodePort")
        if needs_health_check_port(before) and wanted == before.get("healthCheckNodePort"):
            return
        if wanted:
            self._port(wanted, "spec.healthCheckNodePort")
        else:
            spec["healthCheckNodePort"] = self._any_port("HealthCheck NodePort")

    def _port(self, number: int, path: str) -> None:
        try:
            self._allocators.ports.take(number, self._owner, dry_run=self._dry_run)
        except Taken:
            self._fail(invalid(path, number, "provided port is already allocated"))
        except Outside:
            first, last = self._allocators.node_port_range
            why = f"provided port is not in the valid range. The range of valid ports is {first}-{last}"
            self._fail(invalid(path, number, why))

    def _any_port(self, what: str) -> int:
        try:
            return self._allocators.ports.take_any(self._owner, dry_run=self._dry_run)
        except Full:
            raise internal(f"failed to allocate a {what}: range is full") from None


def _keeps_preference(spec: Obj, before: Obj) -> bool:
    """A PreferDualStack service is not changed just because the cluster has become dual-stack or single-stack."""
    same = ("type", "clusterIPs", "ipFamilies", "ipFamilyPolicy")
    return bool(before) and spec.get("ipFamilyPolicy") == PREFER and all(spec.get(k) == before.get(k) for k in same)
