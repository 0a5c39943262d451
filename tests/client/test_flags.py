import argparse

import pytest

from skiff.client import flags
from skiff.scheduler import main


@pytest.mark.parametrize(
    "text, expected",
    [
        pytest.param("15s", 15, id="seconds"),
        pytest.param("1h2m3.5s", 3723.5, id="several units"),
        pytest.param("300ms", 0.3, id="milliseconds"),
        pytest.param("0", 0, id="zero needs no unit"),
    ],
)
def test_duration(text, expected):
    assert flags.duration(text) == pytest.approx(expected)


@pytest.mark.parametrize("text", ["15", "s", "1x", "", "1s junk"])
def test_wrong_duration(text):
    with pytest.raises(argparse.ArgumentTypeError):
        flags.duration(text)


@pytest.mark.parametrize(
    "given, elect",
    [
        pytest.param([], True, id="on by default"),
        pytest.param(["--leader-elect=false"], False, id="off"),
        pytest.param(["--leader-elect"], True, id="on without a value"),
    ],
)
def test_the_schedulers_flags(given, elect):
    parser = argparse.ArgumentParser()
    main.add_flags(parser)
    args = parser.parse_args(["--kubeconfig=/k", *given, "--leader-elect-retry-period=1s"])
    assert (args.leader_elect, args.leader_elect_retry_period) == (elect, 1)
    assert args.leader_elect_resource_name == "kube-scheduler"
