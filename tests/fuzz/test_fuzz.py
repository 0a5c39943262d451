"""Bad input, request by request, on a server in this process. One slice in every test run, all with `make fuzz`."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from skiff.wire.messages import Request
from tests.fuzz.attacks import ATTACKS
from tests.fuzz.shapes import Shapes
from tests.fuzz.world import SLICES, World

PER_SLICE = 250
ALL_SLICES = 24
"""As many as the Makefile says."""

LEAST_OPERATIONS = 1100


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    world = World()
    yield world
    world.close()


@pytest.fixture(scope="module")
def shapes(world: World) -> Shapes:
    return Shapes(world.ask(Request("GET", "/openapi/v2")).json)


def attack(world: World, requests: st.SearchStrategy[Request], number: int, count: int) -> None:
    """Deterministic: one number, one set of requests."""

    @seed(number)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )
    @given(request=requests)
    def one(request: Request) -> None:
        world.ask(request)

    one()


@pytest.mark.parametrize("number", range(SLICES))
@pytest.mark.parametrize("kind", list(ATTACKS))
def test_bad_requests_get_a_status_that_says_what_is_wrong(kind: str, number: int, world: World, shapes: Shapes):
    before = world.asked
    attack(world, ATTACKS[kind](shapes), number, PER_SLICE)
    assert world.asked - before >= PER_SLICE * 0.9


def test_memory_does_not_grow(world: World, shapes: Shapes):
    """The same attack again and again: after the first rounds nothing more is kept."""

    def round_() -> None:
        for kind in ATTACKS:
            attack(world, ATTACKS[kind](shapes), 12345, 30)

    for _ in range(2):
        round_()
    objects, resident = world.settle(), resident_bytes()
    for _ in range(2):
        round_()
    assert world.settle() - objects < 200, "something stays of every few requests"
    assert resident_bytes() - resident < 16 << 20


def test_all_slices_are_fifty_thousand_requests():
    """What `make fuzz` promises."""
    from tests.fuzz import test_openapi, test_wire

    wire = 4 * test_wire.PER_SLICE
    openapi = test_openapi.PER_OPERATION * LEAST_OPERATIONS // test_openapi.SHARES
    assert ALL_SLICES * (PER_SLICE * len(ATTACKS) + wire + openapi) * 0.95 >= 50_000


def resident_bytes() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
