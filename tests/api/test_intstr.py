"""IntOrString: apimachinery pkg/util/intstr."""

import pytest

from skiff.api.intstr import int_value, parse, scaled


@pytest.mark.parametrize(
    "value, total, up, down",
    [
        pytest.param(3, 10, 3, 3, id="a number is not scaled"),
        pytest.param("25%", 10, 3, 2, id="a quarter of ten"),
        pytest.param("0%", 10, 0, 0, id="none"),
        pytest.param("100%", 7, 7, 7, id="all"),
        pytest.param("150%", 3, 5, 4, id="more than all"),
    ],
)
def test_scaling(value, total, up, down):
    assert scaled(value, total, round_up=True) == up
    assert scaled(value, total, round_up=False) == down


@pytest.mark.parametrize(
    "value, message",
    [
        pytest.param(None, "nil value for IntOrString", id="missing"),
        pytest.param("5", "invalid value for IntOrString: invalid type: string is not a percentage", id="plain text"),
        pytest.param(
            "a%",
            'invalid value for IntOrString: invalid value "a%": strconv.Atoi: parsing "a": invalid syntax',
            id="no number",
        ),
    ],
)
def test_sentences(value, message):
    with pytest.raises(ValueError) as raised:
        scaled(value, 1, round_up=True)
    assert str(raised.value) == message


def test_reading_text():
    assert parse("80") == 80
    assert parse("http") == "http"
    assert parse("99999999999") == "99999999999"
    assert int_value("12") == int_value(12) == 12
    assert int_value("http") == 0
