"""The reader of transcripts itself: a test that compares must be able to fail."""

import pytest
from transcript import Mismatch, compare, fits, parse, play

FITS = [
    pytest.param(
        ["NAME   AGE", "web    <age>"], "NAME      AGE\nweb  5m3s\n", True, id="columns may be wider, ages differ"
    ),
    pytest.param(["web   <age>"], "web   five\n", False, id="an age is an age"),
    pytest.param(["a b"], "a  b\n", False, id="one space is one space"),
    pytest.param(["  a"], "    a\n", False, id="the indentation counts"),
    pytest.param(["a", "...", "z"], "a\nb\nc\nz\n", True, id="any lines"),
    pytest.param(["a", "...", "z"], "a\nz\n", True, id="even none"),
    pytest.param(["a"], "a\nb\n", False, id="no line too many"),
    pytest.param(["a", "b"], "a\n", False, id="no line too few"),
    pytest.param(["<none>  a.c"], "<none>   abc\n", False, id="all else stands for itself"),
    pytest.param([], "\n", True, id="nothing"),
]


@pytest.mark.parametrize("expected, output, outcome", FITS)
def test_fits(expected, output, outcome):
    assert fits(expected, output) is outcome


def test_parse_chooses_by_version():
    text = "# note\n$ one\n> two\n{<1.24} old\n{>=1.24} new\n[3]\n\n{<1.24} $~ three\nout\n\n"
    old, new = parse(text, (1, 20)), parse(text, (1, 33))
    assert [(s.command, s.retry, s.expected, s.code) for s in old] == [
        ("one\ntwo", False, ["old"], 3),
        ("three", True, ["out"], 0),
    ]
    assert [(s.command, s.expected) for s in new] == [("one\ntwo", ["new"])]


def test_play_stops_at_the_first_difference(tmp_path):
    case = tmp_path / "case.txt"
    case.write_text("$ echo hello\nhello\n\n$ echo $WHO; exit 2\nyou\n[1]\n")
    with pytest.raises(Mismatch, match=r"case.txt:4: \$ echo \$WHO; exit 2\nexit code 2 instead of 1\n\+ me\n- you"):
        play(case, version=(1, 33), environment={"WHO": "me", "PATH": "/bin:/usr/bin"}, directory=tmp_path)


def test_compare_shows_what_is_missing_and_what_is_too_much():
    assert compare(["a", "b <n>", "c"], "a\nb 7\nx\n") == "  a\n  b 7\n+ x\n- c"
