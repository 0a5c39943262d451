"""Bad input, request by request, on a server in this process. One slice in every test run, all with `make fuzz`."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from skiff.wire.messages import Request
from tests.fuzz.attacks import ATTACKS
from tests.fuzz.shapes import Shapes
from tests.fuzz.world import SLICES, World

PER_SLICE = 300


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    world = World()
    yield world
    world.close()


@pytest.fixture(scope="module")
def shapes(world: World) -> Shapes:
    return Shapes(world.ask(Request("GET", "/openapi/v2")).json)


@pytest.mark.parametrize("number", range(SLICES))
@pytest.mark.parametrize("attack", list(ATTACKS))
def test_bad_requests_get_a_status_that_says_what_is_wrong(attack: str, number: int, world: World, shapes: Shapes):
    before = world.asked

    @seed(number)
    @settings(
        max_examples=PER_SLICE,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )
    @given(request=ATTACKS[attack](shapes))
    def one(request: Request) -> None:
        world.ask(request)

    one()
    assert world.asked - before >= PER_SLICE * 0.9
