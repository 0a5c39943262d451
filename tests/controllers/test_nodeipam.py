"""Blocks of pod addresses. Source: upstream pkg/controller/nodeipam/ipam/cidrset."""

import pytest

from skiff.controllers.nodeipam import Blocks, pod_cidrs
from tests.controllers.builders import node


def test_blocks_are_given_in_turn_and_rest_after_use():
    blocks = Blocks("10.244.0.0/22", 24)
    assert [blocks.allocate() for _ in range(3)] == ["10.244.0.0/24", "10.244.1.0/24", "10.244.2.0/24"]
    blocks.release("10.244.0.0/24")
    assert [blocks.allocate() for _ in range(3)] == ["10.244.3.0/24", "10.244.0.0/24", None]


OCCUPIED = [
    pytest.param("10.0.1.0/24", "10.0.0.0/24 10.0.2.0/24 10.0.3.0/24", id="a block"),
    pytest.param("10.0.1.128/25", "10.0.0.0/24 10.0.2.0/24 10.0.3.0/24", id="a part of one"),
    pytest.param("10.0.2.0/23", "10.0.0.0/24 10.0.1.0/24", id="two blocks"),
    pytest.param("10.0.0.0/8", "", id="a range around all of it"),
    pytest.param("192.168.0.0/16", "10.0.0.0/24 10.0.1.0/24 10.0.2.0/24 10.0.3.0/24", id="another range"),
    pytest.param("fd00::/64", "10.0.0.0/24 10.0.1.0/24 10.0.2.0/24 10.0.3.0/24", id="another family"),
]


@pytest.mark.parametrize("taken, expected", OCCUPIED)
def test_occupied_blocks_are_not_given(taken, expected):
    blocks = Blocks("10.0.0.0/22", 24, [taken])
    assert " ".join(iter(blocks.allocate, None)) == expected


def test_ipv6_blocks():
    assert Blocks("fd00:10:244::/56", 64).allocate() == "fd00:10:244::/64"


def test_a_block_larger_than_the_range_is_refused():
    with pytest.raises(ValueError, match="does not fit"):
        Blocks("10.0.0.0/26", 24)


def test_pod_cidrs_of_a_node():
    given = node()
    assert pod_cidrs(given) == []
    given["spec"] = {"podCIDR": "10.0.0.0/24"}
    assert pod_cidrs(given) == ["10.0.0.0/24"]
