"""Reading endpoint URLs; each mistake is named by its part, with what to try, and never with a secret."""

from __future__ import annotations

import re
from difflib import get_close_matches
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Final, NoReturn
from urllib.parse import unquote_to_bytes

from terzetto.errors import InvalidUrl
from terzetto.url.endpoint import KNOWN_SCHEMES, NETWORK_SCHEMES, EndpointUrl, bracketed, is_secret

__all__ = ["NAME_PATTERN", "parse_url"]

NAME_PATTERN: Final = re.compile(r"[A-Za-z0-9_.-]+")
"""What the name of a query parameter looks like; anything else is not echoed in an error."""

_SCHEME_PATTERN: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(.*)", re.DOTALL)
_HOST_PATTERN: Final = re.compile(r"[\w-]+(\.[\w-]+)*\.?")
_NUMERIC_HOST: Final = re.compile(r"[0-9.]+")
_ZONE_PATTERN: Final = re.compile(r"[\w.~-]+")
_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f]")


def parse_url(text: str) -> EndpointUrl:
    """Read an endpoint URL; InvalidUrl names the part that is wrong and says what to try."""
    if text == "-":
        return EndpointUrl(scheme="stdio")
    if not text.strip():
        _fail("the URL is empty", f"write something like rist://host:5000; we know {_known_schemes()}")
    if text != text.strip():
        _fail("the URL begins or ends with a blank", "remove it, and look at the quotes around the URL")
    if _UNPRINTABLE.search(text):
        _fail("the URL contains a line break or another control character", "remove it")
    scheme, rest = _split_scheme(text)
    if scheme == "file":
        return EndpointUrl(scheme="file", path=_file_path(rest))
    if any(character.isspace() for character in rest):
        _fail(f"the {scheme} URL contains a blank", "write it as %20, or remove it")
    if not rest.startswith("//"):
        _fail(f"'//' is missing after '{scheme}:'", f"write {scheme}://HOST:PORT")
    return _parse_network(scheme, rest[2:])


def _split_scheme(text: str) -> tuple[str, str]:
    match = _SCHEME_PATTERN.fullmatch(text)
    if match is None or match[1].lower() not in KNOWN_SCHEMES:
        _fail_scheme(text, match[1] if match else "")
    return match[1].lower(), match[2]


def _fail_scheme(text: str, scheme: str) -> NoReturn:
    known = f"we know {_known_schemes()}"
    if "://" in text and scheme:
        close = get_close_matches(scheme.lower(), KNOWN_SCHEMES, 1)
        hint = f"did you mean {close[0]}://? {known}" if close else known
        _fail(f"the scheme {scheme!r} is not supported", hint)
    if "@" not in text and re.search(r":\d+(\?|$)", text):
        _fail("the URL has no scheme", f"put one before the host, as in rist://HOST:PORT; {known}")
    _fail("this is no URL", f"a file is written file:PATH, standard input or output '-'; {known}")


def _file_path(rest: str) -> str:
    if not rest.startswith("//"):
        path = rest
    else:
        host, slash, path = rest[2:].partition("/")
        if host not in ("", "localhost"):
            _fail("a file URL names a host", "write file:PATH, or file:///PATH for an absolute one")
        path = _unescape(slash + path, "path")
    if not path:
        _fail("the file URL has no path", "write file:PATH")
    return path


def _parse_network(scheme: str, rest: str) -> EndpointUrl:
    rules = NETWORK_SCHEMES[scheme]
    if rules.has_path and "#" in rest:
        _fail(f"the {scheme} URL has a fragment", "remove what begins with '#', or write the '#' as %23")
    authority, path, query = _split_parts(rest)
    # A '/' or '?' in a password ends the authority too early; from there on nothing may be shown.
    suspicious = "@" in path or "@" in query
    userinfo, at, location = authority.rpartition("@")
    listen = bool(at) and (not userinfo or userinfo.endswith("@"))
    username, password = _parse_userinfo(userinfo.removesuffix("@") if listen else userinfo)
    host, port_text = _split_port(scheme, location, suspicious)
    listen = listen or not host
    port = _parse_port(scheme, host, port_text, listen, suspicious)
    if path not in ("", "/") and not rules.has_path:
        if suspicious:
            _fail_on_misplaced_secret(scheme)
        _fail(f"{scheme} URLs have no path", rules.path_hint)
    return EndpointUrl(
        scheme=scheme,
        host=host,
        port=port,
        listen=listen,
        path=_unescape(path, "path") if rules.has_path else "",
        username=username,
        password=password,
        query=_parse_query(query, bare_names=rules.has_path),
        raw_target=path + (f"?{query}" if query else "") if rules.has_path else None,
    )


def _split_parts(rest: str) -> tuple[str, str, str]:
    before, _, query = rest.partition("?")
    authority, slash, path = before.partition("/")
    return authority, slash + path, query


def _parse_userinfo(text: str) -> tuple[str | None, str | None]:
    if not text:
        return None, None
    username, colon, password = text.partition(":")
    return _unescape(username, "user name"), _unescape(password, "password") if colon else None


def _split_port(scheme: str, location: str, suspicious: bool) -> tuple[str, str | None]:
    """The host, without brackets, and the text of the port."""
    if location.startswith("["):
        address, bracket, after = location[1:].partition("]")
        if not bracket or (after and not after.startswith(":")):
            _fail(
                "the brackets around the IPv6 address are not closed before the port", "write [ADDRESS]:PORT"
            )
        return _ipv6_host(address), after[1:] if after else None
    if location.count(":") > 1:
        if suspicious:
            _fail_on_misplaced_secret(scheme)
        _fail("an IPv6 address stands without brackets", f"write {scheme}://[ADDRESS]:PORT")
    host, colon, port = location.partition(":")
    if host and not _HOST_PATTERN.fullmatch(host):
        if suspicious:
            _fail_on_misplaced_secret(scheme)
        _fail(
            f"the host {host!r} is neither a name nor an address", "letters, digits, '-' and '.' are allowed"
        )
    if _NUMERIC_HOST.fullmatch(host):
        if not colon and "." not in host:
            _fail(
                "the host or the port is missing",
                f"write {scheme}://HOST:{host} to call, {scheme}://@:{host} to listen",
            )
        try:
            IPv4Address(host)
        except AddressValueError:
            _fail(f"the host {host!r} is no IPv4 address", "it has four numbers from 0 to 255")
    return host, port if colon else None


def _ipv6_host(text: str) -> str:
    address, percent, zone = text.partition("%")
    try:
        IPv6Address(address)
    except AddressValueError:
        _fail(f"{address!r} in brackets is no IPv6 address", "brackets are for IPv6 addresses alone")
    if not percent:
        return address
    # RFC 6874 escapes the '%' before a zone; everybody types it as it is.
    zone = zone[2:] if zone.startswith("25") and len(zone) > 2 else zone
    if not _ZONE_PATTERN.fullmatch(zone):
        _fail("the zone of the IPv6 address is not the name of an interface", "write [fe80::1%eth0]:PORT")
    return f"{address}%{zone}"


def _parse_port(scheme: str, host: str, text: str | None, listen: bool, suspicious: bool) -> int | None:
    if text is None or text == "":
        if NETWORK_SCHEMES[scheme].default_port is None:
            shown = host if not suspicious and host else "HOST"
            at = "@" if listen and not host else ""
            _fail("the port is missing", f"write {scheme}://{at or bracketed(shown)}:PORT")
        return None
    if not (text.isascii() and text.isdigit()):
        if suspicious:
            _fail_on_misplaced_secret(scheme)
        _fail(f"the port {text!r} is not a number", f"write {scheme}://HOST:PORT")
    port = int(text) if len(text) < 10 else 1 << 16
    if port > 65535 or (port == 0 and not listen):
        shown = "the port" if suspicious else f"the port {text[:20]}"
        _fail(f"{shown} is out of range", "ports go from 1 to 65535 (0, any free one, only to listen)")
    return port


def _parse_query(text: str, *, bare_names: bool) -> tuple[tuple[str, str], ...]:
    parameters: dict[str, str] = {}
    previous = ""
    for part in text.split("&"):
        if not part:
            continue
        raw_name, equals, raw_value = part.partition("=")
        if not equals and not bare_names:
            # What follows a secret, or does not look like a name, may be a piece of a secret.
            hidden = is_secret(previous) or not NAME_PATTERN.fullmatch(raw_name)
            shown = "" if hidden else f" {raw_name!r}"
            _fail(
                f"the parameter{shown} has no value",
                "write name=value, and an '&' inside a value as %26",
            )
        name = _unescape(raw_name, "name of a parameter")
        parameters[name] = _unescape(raw_value, "value of a parameter")
        previous = name
    return tuple(parameters.items())


def _unescape(text: str, part: str) -> str:
    try:
        return unquote_to_bytes(text).decode()
    except UnicodeError:
        _fail(f"the escapes in the {part} are no UTF-8 text", "write a plain '%' as %25")


def _known_schemes() -> str:
    return ", ".join(f"{scheme}://" for scheme in NETWORK_SCHEMES) + ", file: and -"


def _fail_on_misplaced_secret(scheme: str) -> NoReturn:
    _fail(
        f"the {scheme} URL cannot be split into user, host and port",
        "write '/', '?', '#' and '@' inside a user name or password as %2F, %3F, %23 and %40",
    )


def _fail(message: str, hint: str) -> NoReturn:
    raise InvalidUrl(message, hint=hint)
