"""Parsing, canonical text and rounding: apimachinery pkg/api/resource."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skiff.api.quantity import (
    BINARY_SI,
    DECIMAL_EXPONENT,
    DECIMAL_SI,
    Quantity,
    QuantityError,
    canonical,
    from_milli,
    from_value,
    milli,
    parse,
    value,
)

CANONICAL = [
    ("0", "0"), ("-0", "0"), ("0Gi", "0"), ("00", "0"), ("1", "1"), ("100", "100"), ("1000", "1k"), ("1000000k", "1G"),
    ("100m", "100m"), ("1000m", "1"), ("0.1", "100m"), ("0.5", "500m"), ("1.5", "1500m"), ("0.3e-3", "300e-6"),
    ("1.5Gi", "1536Mi"), ("1Gi", "1Gi"), ("1024Mi", "1Gi"), ("1500Mi", "1500Mi"), ("0.5Ki", "512"), ("1024", "1024"),
    ("1048576Ki", "1Gi"), ("2e3", "2e3"), ("2000e0", "2e3"), ("12E", "12E"), ("1E3", "1E3"), ("20e2", "2e3"),
    ("0.1m", "100u"), ("0.1n", "1n"), ("1.1n", "2n"), ("-1.1n", "-2n"), ("0.000000000001Ki", "2n"), ("-50m", "-50m"),
    ("10Ei", "9223372036854775807"), ("16Ei", "9223372036854775807"), ("+5Mi", "+5Mi"), ("1.0", "1"), (".5", "500m"),
    ("100Ki", "100Ki"), ("8Ki", "8Ki"), ("1Ti", "1Ti"), ("128974848", "128974848"), ("129e6", "129e6"), ("123Mi", "123Mi"),
]  # fmt: skip


@pytest.mark.parametrize("text, expected", CANONICAL)
def test_canonical_text(text, expected):
    assert canonical(text) == expected


@pytest.mark.parametrize("text", ["", "1.1.M", "1+1.0M", "0.1am", "aoeu", "1 Gi", "1_0", "١"])
def test_text_of_another_shape(text):
    with pytest.raises(
        QuantityError, match=r"^quantities must match the regular expression '\^\(\[\+-\]\?\[0-9\.\]\+\)"
    ):
        parse(text)


@pytest.mark.parametrize("text", ["0.1mi", ".5i", "1i", "-3.01i", "1K", "1mM", "1e", "--1", "1e99999999999", "1e+-1"])
def test_wrong_suffix(text):
    with pytest.raises(QuantityError):
        parse(text)


def test_suffix_sentence():
    with pytest.raises(QuantityError, match=r"^unable to parse quantity's suffix$"):
        parse("1K")


@pytest.mark.parametrize(
    "text, whole, thousandths",
    [
        pytest.param("1", 1, 1000, id="whole"),
        pytest.param("1m", 1, 1, id="a fraction rounds up to one"),
        pytest.param("1500m", 2, 1500, id="rounds up"),
        pytest.param("-1500m", -2, -1500, id="away from zero"),
        pytest.param("1u", 1, 1, id="thousandths round up"),
        pytest.param("1Gi", 2**30, 2**30 * 1000, id="binary"),
        pytest.param(2, 2, 2000, id="a JSON integer"),
        pytest.param(0.5, 1, 500, id="a JSON number"),
    ],
)
def test_integers(text, whole, thousandths):
    assert value(text) == whole
    assert milli(text) == thousandths


def test_arithmetic_and_formats():
    assert str(parse("1Gi") + parse("1G")) == "2073741824"
    assert str(parse("1Gi") + parse("512Mi")) == "1536Mi"
    assert str(parse("0") + parse("1Gi")) == "1Gi"
    assert str(parse("1") - parse("100m")) == "900m"
    assert str(parse("250m") * 4) == "1"
    assert str(-parse("1Ki")) == "-1Ki"
    assert parse("1000m") == parse("1") == from_value(1) == from_milli(1000)
    assert parse("1Ki") > parse("1k")
    assert {parse("1"), parse("1000m")} == {parse("1")}
    assert not parse("0Mi") and parse("1n")


def test_binary_format_of_small_numbers_is_decimal():
    assert str(Quantity(500_000_000, BINARY_SI)) == "500m"
    assert str(from_value(1023, BINARY_SI)) == "1023"
    assert str(from_milli(2_048_001, BINARY_SI)) == "2048001m"


@given(st.integers(-(2**62), 2**62), st.sampled_from([DECIMAL_SI, BINARY_SI, DECIMAL_EXPONENT]))
def test_canonical_text_reads_back_as_the_same_amount(nanos, format):
    text = str(Quantity(nanos, format))
    assert parse(text).nanos == nanos
    if format != BINARY_SI:  # too small for a binary suffix, an amount reads back as a decimal one
        assert canonical(text) == text


@given(st.text(alphabet="0123456789+-.eEinumkKMGTP ", max_size=12))
def test_any_text_parses_or_is_refused(text):
    try:
        q = parse(text)
    except QuantityError:
        return
    assert parse(str(q)) == q
