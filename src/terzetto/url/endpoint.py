"""What an endpoint URL says, and how it is printed: without its secrets, unless they are asked for."""

from __future__ import annotations

from typing import Final, NamedTuple
from urllib.parse import quote, unquote

from attrs import field, frozen

from terzetto.errors import InvalidUrl

__all__ = [
    "KNOWN_SCHEMES",
    "NETWORK_SCHEMES",
    "SECRET_NAMES",
    "EndpointUrl",
    "SchemeRules",
    "bracketed",
    "is_secret",
]


class SchemeRules(NamedTuple):
    """What the URLs of a scheme may have."""

    default_port: int | None = None
    has_path: bool = False
    path_hint: str = ""


NETWORK_SCHEMES: Final = {
    "rist": SchemeRules(path_hint="end the URL after the port, or go on with '?'"),
    "srt": SchemeRules(path_hint="name the stream with ?streamid=NAME"),
    "rtsp": SchemeRules(554, has_path=True),
    "rtsps": SchemeRules(322, has_path=True),
    "udp": SchemeRules(path_hint="end the URL after the port, or go on with '?'"),
    "rtp": SchemeRules(path_hint="end the URL after the port, or go on with '?'"),
}

KNOWN_SCHEMES: Final = (*NETWORK_SCHEMES, "file")

SECRET_NAMES: Final = frozenset(
    {"secret", "password", "passphrase", "passwd", "pass", "pwd", "token", "auth", "key"}
)
"""Query parameters whose values are never printed; cameras put some of these into their streams' URLs."""

_REDACTED: Final = "***"

# The customary empty host of these schemes has no '@' before its port; rist, udp and rtp write '@:5000'.
_LISTEN_WITHOUT_AT: Final = ("srt", "rtsp", "rtsps")

# What may stand as it is in each part when we print, besides letters, digits and "_.-~".
_SAFE_IN_PATH: Final = "/:@!$&'()*+,;="
_SAFE_IN_QUERY: Final = "/:@!$'()*+,;?"


@frozen(repr=False, str=False, kw_only=True)
class EndpointUrl:
    """What a URL says about one end of a stream.

    ``host`` has no brackets and may carry an IPv6 zone, ``fe80::1%eth0``; it is empty for files, ``-`` and
    for listening on every address. ``port`` is None where the URL leaves it to the scheme. ``scheme`` is
    ``"stdio"`` for ``-``.
    """

    scheme: str
    host: str = ""
    port: int | None = None
    listen: bool = False
    path: str = ""
    username: str | None = None
    password: str | None = None
    query: tuple[tuple[str, str], ...] = ()
    raw_target: str | None = field(default=None, eq=False)
    """Path and query exactly as they were written, because RTSP peers compare and hash that very text."""

    def __attrs_post_init__(self) -> None:
        """Refuse what no URL says, so that every description prints as a URL that is read as the same."""
        if self.scheme not in (*KNOWN_SCHEMES, "stdio"):
            raise InvalidUrl(f"the scheme {self.scheme!r} is not supported")
        if self.scheme == "file" and not self.path:
            raise InvalidUrl("a file needs a path")
        if not self.is_network:
            return
        rules = NETWORK_SCHEMES[self.scheme]
        if not self.host and not self.listen:
            raise InvalidUrl("without a host there is nothing to call", hint="name a host, or listen")
        if self.port is None and rules.default_port is None:
            raise InvalidUrl(f"{self.scheme} needs a port")
        if self.path and not (rules.has_path and self.path.startswith("/")):
            raise InvalidUrl(
                f"this path does not fit {self.scheme}", hint=rules.path_hint or "begin it with '/'"
            )
        if not self.username and (self.username == "") == (self.password is None):
            raise InvalidUrl("a password comes after a user name, and an empty user name before a password")

    def __str__(self) -> str:
        return self.to_string()

    def __repr__(self) -> str:
        return f"<EndpointUrl {self.to_string()}>"

    @property
    def is_network(self) -> bool:
        """Whether this is reached by packets rather than through a file."""
        return self.scheme in NETWORK_SCHEMES

    @property
    def effective_port(self) -> int | None:
        """The port of the URL, else the one its scheme stands for."""
        if self.port is None and self.is_network:
            return NETWORK_SCHEMES[self.scheme].default_port
        return self.port

    def get(self, name: str) -> str | None:
        """The value of a query parameter, None where it is absent."""
        return dict(self.query).get(name)

    def to_string(self, *, reveal: bool = False) -> str:
        """The URL; secrets are replaced by ``***`` unless *reveal*."""
        if self.scheme == "stdio":
            return "-"
        if self.scheme == "file":
            return f"file://{quote(self.path)}" if self.path.startswith("//") else f"file:{self.path}"
        return f"{self.scheme}://{self._authority(reveal)}{self.target(reveal=reveal)}"

    def target(self, *, reveal: bool = True) -> str:
        """Path and query: as they were written, or built where this description was not read from a URL."""
        hides = not reveal and any(is_secret(name) for name, _ in self.query)
        if self.raw_target is not None and not hides and self._says_the_same(self.raw_target):
            return self.raw_target
        query = "&".join(
            f"{_escape(name)}={_REDACTED if hides and is_secret(name) else _escape(value)}"
            for name, value in self.query
        )
        return quote(self.path, safe=_SAFE_IN_PATH) + (f"?{query}" if query else "")

    def _says_the_same(self, raw_target: str) -> bool:
        # `attrs.evolve` keeps the text when it changes path or query.
        path, _, query = raw_target.partition("?")
        pairs = (part.partition("=") for part in query.split("&") if part)
        decoded = {unquote(name): unquote(value) for name, _, value in pairs}
        return unquote(path) == self.path and decoded == dict(self.query)

    def _authority(self, reveal: bool) -> str:
        text = ""
        if self.username is not None:
            text = quote(self.username, safe="")
            if self.password is not None:
                text += ":" + (quote(self.password, safe="") if reveal else _REDACTED)
            text += "@"
        if self.listen and (self.host or text or self.scheme not in _LISTEN_WITHOUT_AT):
            text += "@"
        text += bracketed(self.host)
        return text if self.port is None else f"{text}:{self.port}"


def is_secret(name: str) -> bool:
    """Whether the value of this query parameter must not be shown."""
    return name.lower() in SECRET_NAMES


def bracketed(host: str) -> str:
    """*host* as it stands in a URL: IPv6 addresses in brackets."""
    if ":" not in host:
        return host
    address, percent, zone = host.partition("%")
    # A zone that begins with 25 would be read as an escaped '%'.
    return f"[{address}{percent}{'25' if zone.startswith('25') else ''}{zone}]"


def _escape(text: str) -> str:
    return quote(text, safe=_SAFE_IN_QUERY)
