"""Patterns mean what they mean to RE2, and take time in proportion to the text."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skiff.api.cel import regex
from skiff.api.cel.errors import CelError

MATCHES = [
    pytest.param("^a.c$", "abc", True, id="anchors and any character"),
    pytest.param("b", "abc", True, id="anywhere in the text"),
    pytest.param("^b", "abc", False, id="only at the start"),
    pytest.param("c$", "abc\n", False, id="the end is not before a last line break"),
    pytest.param("[[:alpha:]]+\\d", "ab1", True, id="named classes"),
    pytest.param("^\\pL+$", "abc", True, id="unicode classes"),
    pytest.param("^[]a]$", "]", True, id="a bracket first in a class"),
    pytest.param("^[^]a]$", "]", False, id="a bracket first in a negated class"),
    pytest.param("(?i)ABC", "abc", True, id="case can be ignored"),
    pytest.param("^\\Qa.b\\E$", "axb", False, id="quoted characters stand for themselves"),
    pytest.param("^\\x{e9}$", "é", True, id="code points"),
    pytest.param("^(?P<x>a)(?<y>b)$", "ab", True, id="named groups"),
    pytest.param("\\bfoo\\b", "a foo b", True, id="word boundaries"),
]


@pytest.mark.parametrize("pattern, text, expected", MATCHES)
def test_matches(pattern, text, expected):
    assert regex.matches(text, pattern) is expected
    assert (regex.compile_re2(pattern)[1].search(text) is not None) is expected


REFUSED = [
    pytest.param("(?=a)", "invalid or unsupported Perl syntax: `(?=`", id="look-ahead"),
    pytest.param("(?<!a)b", "invalid or unsupported Perl syntax: `(?<`", id="look-behind"),
    pytest.param("(a)\\1", "invalid escape sequence: `\\1`", id="back reference"),
    pytest.param("a++", "invalid nested repetition operator: `++`", id="possessive"),
    pytest.param("a**", "invalid nested repetition operator: `a**`", id="repeated repetition"),
    pytest.param(")", "unexpected ): `)`", id="a closing parenthesis"),
    pytest.param("(", "missing closing ): `(`", id="an opening parenthesis"),
    pytest.param("[a", "missing closing ]: `[a`", id="an open class"),
    pytest.param("*", "missing argument to repetition operator: `*`", id="nothing to repeat"),
]


@pytest.mark.parametrize("pattern, message", REFUSED)
def test_refused(pattern, message):
    with pytest.raises(CelError) as caught:
        regex.matches("a", pattern)
    assert str(caught.value) == f"error parsing regexp: {message}"


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)+$", "(.*)*x", "((a*)*b)*c", "(a?){50}a{50}$", "(x+x+)+y"])
def test_no_pattern_runs_away(pattern):
    started = time.process_time()
    regex.matches("a" * 200 + "!", pattern)
    regex.matches("x" * 200, pattern)
    assert time.process_time() - started < 5


PATTERNS = st.sampled_from(
    ["(a+)+", "(a|ab)(c|bcd)*", "(a*)(b|c)*", "((ab)*c?)+", "(a+b?)*c", "(?i:A+)+b", "(ab|a)+?b"]
)


@given(PATTERNS, st.text("abcd", max_size=20))
def test_both_engines_find_the_same(pattern, text):
    compiled, machine, _ = regex.compile_re2(pattern)
    match = compiled.search(text)
    assert machine.search(text) == (match.span() if match else None)


def test_find_all_goes_on_after_each_match():
    assert regex.find_all("aab ab b", "a*b") == ["aab", "ab", "b"]
    assert regex.find_all("abc", "x*") == ["", "", "", ""]
    assert regex.find_all("aXbX", "X", 1) == ["X"]
    assert regex.find_all("aXbX", "X", 0) == []
