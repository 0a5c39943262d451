"""The function libraries of Kubernetes, by what they give."""

import pytest

from skiff.api.cel import types
from skiff.api.cel.env import Env
from skiff.api.cel.errors import CelError
from skiff.api.cel.library.authorizer import AUTHORIZER, AuthorizerValue, Decision

ENV = Env({"authorizer": AUTHORIZER, "l": types.list_of(types.STRING)})

TRUE = [
    "'tacocat'.charAt(3) == 'o' && 'tacocat'.indexOf('c', 3) == 4 && 'tacocat'.lastIndexOf('t') == 6",
    "'TacoCÆt'.lowerAscii() == 'tacocÆt' && 'tacocæt'.upperAscii() == 'TACOCæT'",
    "'hello hello'.replace('he', 'we') == 'wello wello' && 'hello hello'.replace('he', 'we', 1) == 'wello hello'",
    "'a,b,c'.split(',') == ['a', 'b', 'c'] && 'a,b,c'.split(',', 2) == ['a', 'b,c'] && 'ab'.split('') == ['a', 'b']",
    "'tacocat'.substring(4) == 'cat' && 'tacocat'.substring(0, 4) == 'taco' && '  a\\n'.trim() == 'a'",
    "['a', 'b'].join() == 'ab' && ['a', 'b'].join('-') == 'a-b' && strings.quote('a\"b') == '\"a\\\\\"b\"'",
    "'%s is %d, %.1f, %x, %b, %o, %%'.format(['x', 5, 2.0, 255, 5, 8]) == 'x is 5, 2.0, ff, 101, 10, %'",
    "'%s'.format([[1, 2]]) == '[1, 2]' && '%s'.format([{'b': true}]) == '{\"b\":true}' && '%e'.format([3.14]) == '3.140000×10⁰⁰'",
    "[1, 2, 2].isSorted() && ![2, 1].isSorted() && [1, 2, 3].sum() == 6 && [1.5, 2.5].sum() == 4.0",
    "[3, 1, 2].min() == 1 && ['b', 'a'].max() == 'b' && [1, 2, 1].indexOf(1) == 0 && [1, 2, 1].lastIndexOf(1) == 2",
    "[1, 2, 3, 4].slice(1, 3) == [2, 3] && [[1], [2, 3]].flatten() == [1, 2, 3]",
    "[3, 1, 2].sort() == [1, 2, 3] && ['bb', 'a'].sortBy(x, size(x)) == ['a', 'bb'] && [1, 2].reverse() == [2, 1]",
    "lists.range(3) == [0, 1, 2] && [1, 1, 2].distinct() == [1, 2] && [1].first().value() == 1 && ![].last().hasValue()",
    "sets.contains([1, 2], [2]) && sets.equivalent([1, 2], [2, 1, 1]) && sets.intersects([1, 2], [2, 3])",
    "'abc 123'.find('[0-9]+') == '123' && '1 22 333'.findAll('[0-9]+') == ['1', '22', '333']",
    "'1 22 333'.findAll('[0-9]+', 2) == ['1', '22'] && 'abc'.find('x') == ''",
    "ip('192.168.0.1').family() == 4 && ip('::1').isLoopback() && isIP('10.0.0.1') && !isIP('10.0.0.256')",
    "ip.isCanonical('::1') && !ip.isCanonical('0:0::1') && ip('8.8.8.8').isGlobalUnicast() && ip('0.0.0.0').isUnspecified()",
    "cidr('10.0.0.0/8').containsIP('10.1.2.3') && cidr('10.0.0.0/8').containsCIDR('10.1.0.0/16') && isCIDR('::/0')",
    "cidr('10.1.2.3/8').masked() == cidr('10.0.0.0/8') && cidr('10.1.2.3/8').ip() == ip('10.1.2.3')",
    "cidr('10.0.0.0/8').prefixLength() == 8 && string(cidr('10.0.0.0/8')) == '10.0.0.0/8'",
    "url('https://a.b:80/p/q?x=1&x=2#f').getHost() == 'a.b:80' && url('https://a.b:80/').getPort() == '80'",
    "url('https://a.b/p/q?x=1&x=2').getQuery() == {'x': ['1', '2']} && url('/p q').getEscapedPath() == '/p%20q'",
    "url('http://[::1]:80/').getHostname() == '::1' && isURL('/x') && !isURL('x y') && !isURL('../x')",
    "quantity('1Gi').isGreaterThan(quantity('1G')) && quantity('50k').add(20) == quantity('50020')",
    "quantity('1500m').asApproximateFloat() == 1.5 && quantity('2k').asInteger() == 2000 && !quantity('1m').isInteger()",
    "quantity('50M').compareTo(quantity('50Mi')) == -1 && sign(quantity('-1')) == -1 && !isQuantity('1Q')",
    "semver('1.2.3').isLessThan(semver('1.10.0')) && semver('v01.2', true) == semver('1.2.0') && !isSemver('1.2')",
    "semver('1.0.0-alpha').isLessThan(semver('1.0.0')) && semver('1.2.3').minor() == 2",
    "!format.dns1123Label().validate('my-label').hasValue() && format.dns1123Label().validate('My').hasValue()",
    "format.named('uuid').value().validate('x').value() == ['does not match the UUID format']",
    "!format.named('nothing').hasValue() && !format.date().validate('2024-02-29').hasValue()",
    "!format.dns1123LabelPrefix().validate('a-').hasValue() && format.datetime().validate('x').hasValue()",
    "authorizer.group('apps').resource('deployments').namespace('n').check('get').allowed()",
    "!authorizer.path('/healthz').check('put').allowed() && authorizer.path('/x').check('put').reason() == 'only get'",
    "authorizer.serviceAccount('n', 's').group('').resource('pods').subresource('log').name('p').check('get').allowed()",
]


class OnlyGet:
    def __init__(self):
        self.questions = []

    def authorize(self, question):
        self.questions.append(question)
        return Decision(question.verb == "get", "" if question.verb == "get" else "only get")


@pytest.mark.parametrize("text", TRUE)
def test_holds(text):
    assert ENV.compile(text).eval({"authorizer": AuthorizerValue(OnlyGet()), "l": ["a", "b"]}) is True


def test_an_authorizer_gets_the_whole_question():
    asked = OnlyGet()
    text = (
        "authorizer.serviceAccount('n', 's').group('apps').resource('d').fieldSelector('a=b').check('list').allowed()"
    )
    assert ENV.compile(text).eval({"authorizer": AuthorizerValue(asked)}) is False
    (question,) = asked.questions
    assert question.user == "system:serviceaccount:n:s"
    assert "system:serviceaccounts:n" in question.groups
    assert (question.verb, question.group, question.resource, question.field_selector) == ("list", "apps", "d", "a=b")


ERRORS = [
    pytest.param("'abc'.charAt(9)", "index out of range: 9", id="no such character"),
    pytest.param("'abc'.substring(2, 1)", "invalid substring range. start: 2, end: 1", id="an end before the start"),
    pytest.param("l.slice(1, 9)", "cannot slice(1, 9), list is length 2", id="a slice too long"),
    pytest.param("[1].slice(1, 0)", "cannot slice(1, 0), start index must be less than or equal to end index", id="slice"),
    pytest.param("[l.size()].filter(x, x > 9).min()", "min called on empty list", id="the least of nothing"),
    pytest.param("ip('::ffff:1.2.3.4')", 'IPv4-mapped IPv6 address "::ffff:1.2.3.4" is not allowed', id="mapped address"),
    pytest.param("quantity('1KM')", "unable to parse quantity's suffix", id="no quantity"),
    pytest.param("quantity('1m').asInteger()", "cannot convert value to integer", id="a fraction"),
    pytest.param("semver('1.2')", "No Major.Minor.Patch elements found", id="no version"),
    pytest.param("url('x')", 'URL parse error during conversion from string: parse "x": invalid URI for request', id="no URL"),
    pytest.param("'%s %s'.format(l.map(x, x + '').slice(0, 1))", "index 1 out of range", id="too few arguments"),
]  # fmt: skip


@pytest.mark.parametrize("text, message", ERRORS)
def test_error(text, message):
    with pytest.raises(CelError) as caught:
        ENV.compile(text).eval({"l": ["a", "b"]})
    assert str(caught.value) == message
