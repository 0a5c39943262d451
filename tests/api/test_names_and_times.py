"""Rules for names, and RFC 3339."""

from datetime import UTC, datetime

import pytest

from skiff.api import names, times


@pytest.mark.parametrize(
    ("rule", "value", "count"),
    [
        pytest.param(names.is_dns1123_label, "a-1", 0, id="a label"),
        pytest.param(names.is_dns1123_label, "a" * 64, 1, id="a label of 64"),
        pytest.param(names.is_dns1123_label, "A", 1, id="upper case in a label"),
        pytest.param(names.is_dns1123_label, "a\n", 1, id="a trailing line break"),
        pytest.param(names.is_dns1123_subdomain, "a.b-c.d", 0, id="a subdomain"),
        pytest.param(names.is_dns1123_subdomain, "a..b", 1, id="an empty part"),
        pytest.param(names.is_dns1123_subdomain, "A" * 254, 2, id="too long and upper case"),
        pytest.param(names.is_dns1035_label, "1a", 1, id="a DNS-1035 label begins with a letter"),
        pytest.param(names.is_port_name, "http-80", 0, id="a port name"),
        pytest.param(names.is_port_name, "-1--2-", 3, id="a port name with three faults"),
        pytest.param(names.is_config_map_key, "a.b_C-1", 0, id="a key"),
        pytest.param(names.is_config_map_key, "..", 1, id="dots as a key"),
        pytest.param(names.is_config_map_key, "..a/b", 2, id="a key that climbs"),
        pytest.param(names.is_environment_name, "1 a.b", 0, id="relaxed variable names"),
        pytest.param(names.is_environment_name, "a=b", 1, id="an equals sign in a variable's name"),
        pytest.param(names.is_wildcard_dns1123_subdomain, "*.a.b", 0, id="a wildcard"),
        pytest.param(names.is_wildcard_dns1123_subdomain, "a.*.b", 1, id="a wildcard inside"),
        pytest.param(names.is_path_segment, "a:b", 0, id="most things are path segments"),
        pytest.param(names.is_path_segment, "a/b%", 2, id="slash and percent are not"),
        pytest.param(names.is_fully_qualified, "a.b", 1, id="two segments are too few"),
    ],
)
def test_rules(rule: names.NameRule, value: str, count: int) -> None:
    assert len(rule(value)) == count


def test_the_sentence_of_a_label() -> None:
    assert names.is_dns1123_label("a.b") == ["must not contain dots"]
    assert names.is_dns1123_label("A") == [
        "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end "
        "with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
        "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
    ]


MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)


def test_formats() -> None:
    assert times.format_time(MOMENT) == "2026-01-02T03:04:05Z"
    assert times.format_micro(MOMENT) == "2026-01-02T03:04:05.678901Z"
    assert times.format_time(0) == "1970-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("text", "epoch"),
    [
        pytest.param("1970-01-01T00:00:01Z", 1.0, id="UTC"),
        pytest.param("1970-01-01T01:00:01+01:00", 1.0, id="an offset"),
        pytest.param("1970-01-01T00:00:01.5Z", 1.5, id="a fraction"),
        pytest.param("1970-01-01T00:00:01.123456789Z", 1.123456, id="nanoseconds are cut"),
    ],
)
def test_parsing(text: str, epoch: float) -> None:
    assert times.epoch(text) == pytest.approx(epoch, abs=1e-6)


LAYOUT = '"2006-01-02T15:04:05Z07:00"'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("", f'parsing time "" as {LAYOUT}: cannot parse "" as "2006"', id="nothing"),
        pytest.param("2020-1-1", f'parsing time "2020-1-1" as {LAYOUT}: cannot parse "1-1" as "01"', id="short month"),
        pytest.param("2020-13-01T00:00:00Z", 'parsing time "2020-13-01T00:00:00Z": month out of range', id="month 13"),
        pytest.param("2021-02-30T00:00:00Z", 'parsing time "2021-02-30T00:00:00Z": day out of range', id="February 30"),
        pytest.param(
            "2020-01-01T00:00:00Zx", 'parsing time "2020-01-01T00:00:00Zx": extra text: "x"', id="something behind it"
        ),
    ],
)
def test_mistakes_in_gos_words(text: str, message: str) -> None:
    with pytest.raises(times.TimeError) as caught:
        times.parse(text)
    assert str(caught.value) == message
