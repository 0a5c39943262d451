"""Selector syntax and sentences: apimachinery pkg/labels and pkg/fields."""

import pytest

from skiff.api import fieldselectors, selectors
from skiff.api.selectors import SelectorError, from_label_selector, parse

LABELS = {"app": "web", "tier": "front", "n": "5"}


@pytest.mark.parametrize(
    "text, expected",
    [
        pytest.param("", True, id="empty text selects everything"),
        pytest.param("app=web", True, id="equals"),
        pytest.param("app==web,tier=front", True, id="two equals"),
        pytest.param("app=web,tier=back", False, id="one of two differs"),
        pytest.param("missing=", False, id="an absent label is not the empty value"),
        pytest.param("missing!=x", True, id="an absent label differs from any value"),
        pytest.param("app!=web", False, id="not equals"),
        pytest.param(" app in ( web , db ) ", True, id="in with blanks"),
        pytest.param("app notin (db)", True, id="notin"),
        pytest.param("other notin (db)", True, id="notin of an absent label"),
        pytest.param("app notin (web,db)", False, id="notin names the value"),
        pytest.param("app", True, id="exists"),
        pytest.param("!app", False, id="must not exist"),
        pytest.param("!other,app", True, id="does not exist"),
        pytest.param("n>4,n<6", True, id="compares numbers"),
        pytest.param("app>4", False, id="a value that is no number compares to nothing"),
        pytest.param("in in (in,notin)", False, id="keywords are keys and values too"),
    ],
)
def test_matching(text, expected):
    assert parse(text).matches(LABELS) is expected


@pytest.mark.parametrize(
    "text, canonical",
    [
        pytest.param("b=2,a=1", "a=1,b=2", id="sorted by key"),
        pytest.param("x in (b,a,,a)", "x in (,a,b)", id="values sorted, once each"),
        pytest.param("x in ()", "x in ()", id="the empty value alone"),
        pytest.param("!y,x notin(a)", "x notin (a),!y", id="unary and set operators"),
        pytest.param("a==1", "a==1", id="double equals is kept"),
        pytest.param("a=", "a=", id="an empty value"),
        pytest.param("a in (,b,)", "a in (,b)", id="places left empty"),
    ],
)
def test_canonical_text(text, canonical):
    assert str(parse(text)) == canonical
    assert parse(canonical) == parse(text)


NAME = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
VALUE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)


@pytest.mark.parametrize(
    "text, message",
    [
        pytest.param("=a", "found '=', expected: !, identifier, or 'end of string'", id="no key"),
        pytest.param("a,", "found '', expected: identifier after ','", id="ends with a comma"),
        pytest.param("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt", id="no operator"),
        pytest.param("a in b", "unable to parse requirement: found 'b' expected: '('", id="in without parenthesis"),
        pytest.param("a in (b", "unable to parse requirement: found '', expected: ',' or ')'", id="open parenthesis"),
        pytest.param("!", "unable to parse requirement: found '', expected: identifier", id="only a bang"),
        pytest.param("!a=b", "found '=', expected: ',' or 'end of string'", id="negated equality"),
        pytest.param("a=(", "unable to parse requirement: found '(', expected: identifier", id="a symbol as value"),
        pytest.param("a*=b", f'unable to parse requirement: <nil>: Invalid value: "a*": {NAME}', id="a bad key"),
        pytest.param("a=b*", f'unable to parse requirement: values[0][a]: Invalid value: "b*": {VALUE}', id="a bad value"),
        pytest.param(
            "a>x",
            "unable to parse requirement: values[0]: Invalid value: \"x\": for 'Gt', 'Lt' operators, the value must be an integer",
            id="a comparison with text",
        ),
    ],
)  # fmt: skip
def test_sentences(text, message):
    with pytest.raises(SelectorError) as raised:
        parse(text)
    assert str(raised.value) == message


@pytest.mark.parametrize(
    "selector, text",
    [
        pytest.param({}, "", id="empty selects everything"),
        pytest.param({"matchLabels": {"b": "2", "a": "1"}}, "a=1,b=2", id="labels"),
        pytest.param(
            {"matchExpressions": [{"key": "k", "operator": "In", "values": ["y", "x"]}, {"key": "e", "operator": "Exists"}]},
            "e,k in (x,y)",
            id="expressions",
        ),
    ],
)  # fmt: skip
def test_label_selector_objects(selector, text):
    compiled = from_label_selector(selector)
    assert str(compiled) == text
    assert from_label_selector(selectors.to_label_selector(compiled)) == compiled


def test_a_missing_label_selector_selects_nothing():
    assert not from_label_selector(None).matches({})
    assert from_label_selector({}).matches(None)
    assert not from_label_selector(None).empty


def test_wrong_operator_in_an_object():
    with pytest.raises(SelectorError, match=r'^"Is" is not a valid label selector operator$'):
        from_label_selector({"matchExpressions": [{"key": "a", "operator": "Is"}]})


def test_no_labels_at_all():
    assert not parse("a=b,c=d").matches(None)
    assert parse("!a").matches(None)


def test_exact_value():
    assert parse("a in (x),b!=y").exact("a") == "x"
    assert parse("a in (x),b!=y").exact("b") is None


@pytest.mark.parametrize(
    "text, fields, expected",
    [
        pytest.param("", {}, True, id="empty"),
        pytest.param("spec.nodeName=n1", {"spec.nodeName": "n1"}, True, id="equals"),
        pytest.param("a==1,b!=2", {"a": "1", "b": "2"}, False, id="not equals"),
        pytest.param("a!=", {}, False, id="an absent field is empty"),
        pytest.param(r"a=x\,y\=z\\", {"a": "x,y=z\\"}, True, id="escapes"),
        pytest.param(",a=1,", {"a": "1"}, True, id="empty terms are skipped"),
    ],
)
def test_field_matching(text, fields, expected):
    assert fieldselectors.parse(text).matches(lambda f: fields.get(f, "")) is expected


@pytest.mark.parametrize(
    "text, message",
    [
        pytest.param("abc", "invalid selector: 'abc'; can't understand 'abc'", id="no operator"),
        pytest.param("a=b=c", "invalid field selector: unescaped character in value: 61", id="unescaped equals"),
        pytest.param(r"a=\x", r"invalid field selector: invalid escape sequence: \x", id="unknown escape"),
        pytest.param("a=b\\", "invalid field selector: invalid escape sequence: \\", id="ends in a backslash"),
    ],
)
def test_field_sentences(text, message):
    with pytest.raises(SelectorError) as raised:
        fieldselectors.parse(text)
    assert str(raised.value) == message


def test_field_text_round_trip():
    selector = fieldselectors.parse(r"b!=2,a==x\,y")
    assert str(selector) == r"a=x\,y,b!=2"
    assert selector.exact("a") == "x,y"
    assert selector.exact("b") is None
