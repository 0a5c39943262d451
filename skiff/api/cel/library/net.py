"""IP addresses, networks and URLs. Source: apiserver pkg/cel/library/{ip,cidr,urls}.go, Go's net/netip and net/url."""

import ipaddress
import math
import re
from typing import Any
from urllib.parse import parse_qsl, quote, unquote

from skiff.api.cel.errors import CelError
from skiff.api.cel.functions import Row
from skiff.api.cel.library.gotext import quoted
from skiff.api.cel.values import register

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class IP:
    """One address. Comparing two costs 1."""

    __slots__ = ("address",)
    cel_constant_equality = True

    def __init__(self, address: Address) -> None:
        self.address = address

    @property
    def cel_size(self) -> int:
        return self.address.max_prefixlen // 8

    def __eq__(self, other: object) -> bool:
        return isinstance(other, IP) and self.address == other.address

    def __hash__(self) -> int:
        return hash(self.address)

    def __str__(self) -> str:
        return str(self.address)


class CIDR:
    """An address and the length of its prefix."""

    __slots__ = ("address", "length")
    cel_constant_equality = True

    def __init__(self, address: Address, length: int) -> None:
        self.address = address
        self.length = length

    @property
    def cel_size(self) -> int:
        return math.ceil(self.length / 8)

    @property
    def network(self) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
        return ipaddress.ip_network((self.address.packed, self.length), strict=False)

    def contains(self, address: Address) -> bool:
        return address.version == self.address.version and address in self.network

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CIDR) and (self.address, self.length) == (other.address, other.length)

    def __hash__(self) -> int:
        return hash((self.address, self.length))

    def __str__(self) -> str:
        return f"{self.address}/{self.length}"


class URL:
    __slots__ = ("host", "path", "query", "scheme", "text")
    cel_constant_equality = True

    def __init__(self, text: str, scheme: str, host: str, path: str, query: str) -> None:
        self.text = text
        self.scheme = scheme
        self.host = host
        self.path = path
        self.query = query

    def __eq__(self, other: object) -> bool:
        return isinstance(other, URL) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __str__(self) -> str:
        return self.text


register(IP, "net.IP")
register(CIDR, "net.CIDR")
register(URL, "kubernetes.URL")


def parse_ip(text: str) -> IP:
    wrong = f"IP Address {quoted(text)} parse error during conversion from string: ParseAddr({quoted(text)})"
    if "%" in text:
        raise CelError(f"IP address {quoted(text)} with zone value is not allowed")
    try:
        address = ipaddress.ip_address(text)
    except ValueError as e:
        raise CelError(f"{wrong}: unable to parse IP") from e
    _refuse_mapped(address, text)
    return IP(address)


def _refuse_mapped(address: Address, text: str) -> None:
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        raise CelError(f"IPv4-mapped IPv6 address {quoted(text)} is not allowed")


def parse_cidr(text: str) -> CIDR:
    prefix = "network address parse error during conversion from string: "
    address_text, slash, bits = text.rpartition("/")
    wrong = f"{prefix}{prefix}netip.ParsePrefix({quoted(text)})"
    if not slash:
        raise CelError(f"{wrong}: no '/'")
    try:
        address = ipaddress.ip_address(address_text)
    except ValueError as e:
        raise CelError(f"{wrong}: ParseAddr({quoted(address_text)}): unable to parse IP") from e
    if "%" in address_text:
        raise CelError(f"{wrong}: IPv6 zones cannot be present in a prefix")
    if not re.fullmatch(r"0|[1-9][0-9]{0,2}", bits):
        raise CelError(f"{wrong}: bad bits after slash: {quoted(bits)}")
    if int(bits) > address.max_prefixlen:
        raise CelError(f"{wrong}: prefix length out of range")
    try:
        _refuse_mapped(address, text)
    except CelError as e:
        raise CelError(prefix + str(e)) from e
    return CIDR(address, int(bits))


def _is(parse: Any) -> Any:
    def check(text: str) -> bool:
        try:
            parse(text)
        except CelError:
            return False
        return True

    return check


def _overlap(outer: CIDR, inner: CIDR) -> bool:
    return outer.contains(inner.address) and outer.length <= inner.length


def _is_global(ip: IP) -> bool:
    a = ip.address
    broadcast = isinstance(a, ipaddress.IPv4Address) and int(a) == 2**32 - 1
    return not (a.is_unspecified or a.is_loopback or a.is_multicast or a.is_link_local or broadcast)


def _is_link_local_multicast(ip: IP) -> bool:
    a = ip.address.packed
    return a[:3] == b"\xe0\x00\x00" if len(a) == 4 else a[0] == 0xFF and a[1] & 0x0F == 0x02


_URL = re.compile(r"(?:([a-zA-Z][a-zA-Z0-9+.-]*):)?(//([^/?]*))?([^?]*)(?:\?(.*))?\Z", re.DOTALL)
_HOST = re.compile(r"(?:[^@]*@)?((?:\[[^\]]*\]|[^:\[\]<>\"\\^`{|} ]*)(?::[0-9]*)?)\Z")
_BAD_ESCAPE = re.compile(r"%(?![0-9a-fA-F]{2})")


def parse_url(text: str) -> URL:
    """As Go's ParseRequestURI reads it: an absolute URI or an absolute path."""
    wrong = f"URL parse error during conversion from string: parse {quoted(text)}: "
    if not text:
        raise CelError(wrong + "empty url")
    if any(ord(c) < 0x20 or ord(c) == 0x7F for c in text):
        raise CelError(wrong + "net/url: invalid control character in URL")
    match = _URL.match(text.partition("#")[0])
    if match is None or text.startswith(":"):
        raise CelError(wrong + "missing protocol scheme")
    scheme, authority, host, path, query = match.groups()
    if not scheme and not text.startswith("/"):
        raise CelError(wrong + "invalid URI for request")
    if not scheme:  # without a scheme two slashes begin a path
        path, authority = (authority or "") + path, None
    if not path.startswith("/") and not authority:
        return URL(text, scheme.lower(), "", "", "")  # mailto:x has a scheme and nothing that can be asked for
    if (bad := _BAD_ESCAPE.search(path)) is not None:
        raise CelError(wrong + f"invalid URL escape {quoted(path[bad.start() : bad.start() + 3])}")
    named = _HOST.match(host or "") if authority else None
    if authority and named is None:
        raise CelError(wrong + "invalid character in host name")
    return URL(text, (scheme or "").lower(), named[1] if named else "", path, query or "")


def _hostname(url: URL) -> str:
    host = url.host
    if host.startswith("["):
        return host[1 : host.index("]")]
    return host.partition(":")[0]


def _port(url: URL) -> str:
    return url.host.rpartition("]")[2].partition(":")[2]


def _query(url: URL) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for key, value in parse_qsl(url.query, keep_blank_values=True, max_num_fields=None):
        found.setdefault(key, []).append(value)
    return found


def _escaped_path(url: URL) -> str:
    return quote(unquote(url.path), safe="/!$&'()*+,;=:@~") if "%" not in url.path else url.path


ROWS: list[Row] = [
    ("ip", "string_to_ip", "string -> net.IP", parse_ip),
    (".family", "ip_family", "net.IP -> int", lambda ip: ip.address.version),
    ("ip.isCanonical", "ip_is_canonical", "string -> bool", lambda s: str(parse_ip(s)) == s),
    (".isUnspecified", "ip_is_unspecified", "net.IP -> bool", lambda ip: ip.address.is_unspecified),
    (".isLoopback", "ip_is_loopback", "net.IP -> bool", lambda ip: ip.address.is_loopback),
    (".isLinkLocalMulticast", "ip_is_link_local_multicast", "net.IP -> bool", _is_link_local_multicast),
    (".isLinkLocalUnicast", "ip_is_link_local_unicast", "net.IP -> bool", lambda ip: ip.address.is_link_local),
    (".isGlobalUnicast", "ip_is_global_unicast", "net.IP -> bool", _is_global),
    ("isIP", "is_ip", "string -> bool", _is(parse_ip)),
    ("string", "ip_to_string", "net.IP -> string", str),
    ("cidr", "string_to_cidr", "string -> net.CIDR", parse_cidr),
    (
        ".containsIP",
        "cidr_contains_ip_string",
        "net.CIDR, string -> bool",
        lambda c, s: c.contains(parse_ip(s).address),
    ),
    (".containsIP", "cidr_contains_ip_ip", "net.CIDR, net.IP -> bool", lambda c, ip: c.contains(ip.address)),
    (".containsCIDR", "cidr_contains_cidr_string", "net.CIDR, string -> bool", lambda c, s: _overlap(c, parse_cidr(s))),
    (".containsCIDR", "cidr_contains_cidr", "net.CIDR, net.CIDR -> bool", _overlap),
    (".ip", "cidr_ip", "net.CIDR -> net.IP", lambda c: IP(c.address)),
    (".prefixLength", "cidr_prefix_length", "net.CIDR -> int", lambda c: c.length),
    (".masked", "cidr_masked", "net.CIDR -> net.CIDR", lambda c: CIDR(c.network.network_address, c.length)),
    ("isCIDR", "is_cidr", "string -> bool", _is(parse_cidr)),
    ("string", "cidr_to_string", "net.CIDR -> string", str),
    ("url", "string_to_url", "string -> url", parse_url),
    (".getScheme", "url_get_scheme", "url -> string", lambda u: u.scheme),
    (".getHost", "url_get_host", "url -> string", lambda u: u.host),
    (".getHostname", "url_get_hostname", "url -> string", _hostname),
    (".getPort", "url_get_port", "url -> string", _port),
    (".getEscapedPath", "url_get_escaped_path", "url -> string", _escaped_path),
    (".getQuery", "url_get_query", "url -> map(string, list(string))", _query),
    ("isURL", "is_url_string", "string -> bool", _is(parse_url)),
]
