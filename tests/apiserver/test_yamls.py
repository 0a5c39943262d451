"""Numbers in YAML, as Go reads them."""

import pytest

from skiff.apiserver import yamls


@pytest.mark.parametrize(
    "text, value",
    [
        pytest.param("12", 12, id="an integer"),
        pytest.param("-0x1F", -31, id="hexadecimal"),
        pytest.param("0o17", 15, id="octal"),
        pytest.param("017", 15, id="octal of old"),
        pytest.param("0b101", 5, id="binary"),
        pytest.param("1_000", 1000, id="with underscores"),
        pytest.param("08", 8, id="no octal digit"),
        pytest.param("1.0", 1, id="what is whole is an integer"),
        pytest.param("1e18", 10**18, id="with an exponent, too"),
        pytest.param("1e+38", 1e38, id="unless it is too large"),
        pytest.param("99999999999999999999", 1e20, id="more than 64 bits"),
        pytest.param(".5", 0.5, id="a fraction"),
        pytest.param("22:22", "22:22", id="no sexagesimals"),
        pytest.param("1.2.3", "1.2.3", id="a version"),
        pytest.param("2020-01-01", "2020-01-01", id="a date"),
        pytest.param("-", None, id="an empty element"),
        pytest.param("'1'", "1", id="quoted"),
        pytest.param("!!float 1", 1, id="with a tag"),
    ],
)
def test_numbers(text, value):
    found = yamls.load(f"a: {text}".encode() if text != "-" else b"a:\n- ")["a"]
    found = found[0] if text == "-" else found
    assert (found, type(found)) == (value, type(value))


def test_a_tag_that_does_not_fit():
    with pytest.raises(ValueError, match="cannot decode !!int `x`"):
        yamls.load(b"a: !!int x")


@pytest.mark.parametrize(
    "value", ["1e50", "08", "1_0", "0o7", "2020-01-01", "on", "~", "1.5", "a", 5, 0.5, 1e38, True, None]
)
def test_what_is_written_is_read_again(value):
    text = yamls.dump({"a": value})
    assert yamls.load(text) == {"a": value}
