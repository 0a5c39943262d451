"""Validation of ServiceCIDR and IPAddress. Source: pkg/apis/networking/validation/validation.go."""

from typing import Any

import pytest

from skiff.api.resources.builtin import by_kind
from skiff.api.types import Obj

CIDR, ADDRESS = (by_kind["networking.k8s.io/v1", kind] for kind in ("ServiceCIDR", "IPAddress"))
PARENT: Obj = {"resource": "services", "namespace": "default", "name": "web"}


@pytest.mark.parametrize(
    "cidrs, expected",
    [
        pytest.param(["10.0.0.0/16"], [], id="one range"),
        pytest.param(["10.0.0.0/16", "fd00::/112"], [], id="one of each family"),
        pytest.param([], ["spec.cidrs: Required value: at least one CIDR required"], id="none"),
        pytest.param(
            ["10.0.0.1/16"],
            ['spec.cidrs[0]: Invalid value: "10.0.0.1/16": must not have bits set beyond the prefix length'],
            id="host bits",
        ),
        pytest.param(
            ["10.0.0.0"],
            [
                'spec.cidrs[0]: Invalid value: "10.0.0.0": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)'
            ],
            id="no prefix",
        ),
        pytest.param(
            ["2001:DB8::/64"],
            ['spec.cidrs[0]: Invalid value: "2001:DB8::/64": must be in canonical form ("2001:db8::/64")'],
            id="not canonical",
        ),
        pytest.param(
            ["::ffff:10.0.0.0/112"],
            ['spec.cidrs[0]: Invalid value: "::ffff:10.0.0.0/112": must not have an IPv4-mapped IPv6 address'],
            id="IPv4 in IPv6",
        ),
    ],
)
def test_ranges(cidrs: list[str], expected: list[str]) -> None:
    assert [str(e) for e in CIDR.validate_create({"metadata": {"name": "x"}, "spec": {"cidrs": cidrs}})] == expected


@pytest.mark.parametrize(
    "cidrs, message",
    [
        pytest.param(["10.0.0.0/16"] * 3, "may only hold up to 2 values", id="three"),
        pytest.param(
            ["10.0.0.0/16", "10.1.0.0/16"],
            "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64",
            id="two of a family",
        ),
    ],
)
def test_too_many_ranges(cidrs: list[str], message: str) -> None:
    found = CIDR.validate_create({"metadata": {"name": "x"}, "spec": {"cidrs": cidrs}})
    assert [(e.path, e.detail) for e in found] == [("spec.cidrs", message)]


@pytest.mark.parametrize(
    "before, after, paths",
    [
        pytest.param(["10.0.0.0/16"], ["10.0.0.0/16"], [], id="the same"),
        pytest.param(["10.0.0.0/16"], ["10.1.0.0/16"], ["spec.cidrs[0]"], id="another range"),
        pytest.param(["10.0.0.0/16"], ["10.0.0.0/16", "fd00::/112"], [], id="a second family joins"),
        pytest.param(
            ["10.0.0.0/16"], ["fd00::/112", "10.0.0.0/16"], ["spec.cidrs[0]"], id="a second family goes first"
        ),
        pytest.param(["10.0.0.0/16", "fd00::/112"], ["10.0.0.0/16"], ["spec.cidrs"], id="a family leaves"),
    ],
)
def test_ranges_stay(before: list[str], after: list[str], paths: list[str]) -> None:
    found = CIDR.validate_update({"spec": {"cidrs": after}}, {"spec": {"cidrs": before}})
    assert [(e.path, e.detail) for e in found] == [(p, "field is immutable") for p in paths]


@pytest.mark.parametrize(
    "parent, expected",
    [
        pytest.param(PARENT, [], id="a service"),
        pytest.param(None, ["spec.parentRef: Required value"], id="none"),
        pytest.param(
            {"group": "g"},
            ["spec.parentRef.resource: Required value", "spec.parentRef.name: Required value"],
            id="neither resource nor name",
        ),
        pytest.param(
            {**PARENT, "namespace": "a/b"},
            ["spec.parentRef.namespace: Invalid value: \"a/b\": may not contain '/'"],
            id="a slash in the namespace",
        ),
    ],
)
def test_parents(parent: Any, expected: list[str]) -> None:
    spec = {"parentRef": parent} if parent is not None else {}
    assert [str(e) for e in ADDRESS.validate({"metadata": {"name": "10.0.0.1"}, "spec": spec})] == expected


def test_a_parent_stays() -> None:
    found = ADDRESS.validate_update(
        {"spec": {"parentRef": PARENT}}, {"spec": {"parentRef": {**PARENT, "name": "other"}}}
    )
    assert [(e.path, e.detail) for e in found] == [("spec.parentRef", "field is immutable")]


@pytest.mark.parametrize(
    "name, expected",
    [
        pytest.param("10.0.0.1", [], id="IPv4"),
        pytest.param("fe80::42:1dff:fe84:f9e2", [], id="IPv6"),
        pytest.param("2001:DB8::1", ['must be in canonical form ("2001:db8::1")'], id="upper case"),
        pytest.param("::ffff:10.0.0.1", ["must not be an IPv4-mapped IPv6 address"], id="IPv4 in IPv6"),
        pytest.param("web", ["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"], id="no address"),
    ],
)
def test_names_are_addresses(name: str, expected: list[str]) -> None:
    assert ADDRESS.name_rule is not None
    assert ADDRESS.name_rule(name) == expected
