"""The URL of a request, with its text kept as it came.

Digest authentication hashes the text that was sent and cameras compare strings, so ``%20``, ``//`` or ``=`` in a
path must survive; only host, port and credentials are taken apart. Credentials never appear in `text`, which is
what goes into requests, or in the ``repr``.
"""

from __future__ import annotations

import re
from typing import Final, Self
from urllib.parse import unquote

from attrs import evolve, field, frozen

from terzetto.errors import InvalidUrl, MalformedPacket

__all__ = ["DEFAULT_PORTS", "RtspUrl", "parse_user_url"]

DEFAULT_PORTS: Final = {"rtsp": 554, "rtsps": 322}

_URL: Final = re.compile(r"(rtsps?)://([^/?]*)(.*)", re.DOTALL | re.IGNORECASE)
_UNFIT: Final = re.compile(r"[\x00-\x20\x7f]")


@frozen(kw_only=True)
class RtspUrl:
    """``scheme://[user[:password]@]host[:port]target``."""

    scheme: str
    host: str
    """Without brackets; an IPv6 zone stays, as ``fe80::1%eth0``."""
    port: int | None = None
    target: str = ""
    """Path and query, exactly as written."""
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        return self.text

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a URL; MalformedPacket is the only way to fail."""
        match = _URL.fullmatch(text)
        if match is None:
            raise MalformedPacket("URL is not rtsp:// or rtsps://")
        if _UNFIT.search(text) or "#" in text:
            raise MalformedPacket("URL has a blank, a control character or a fragment")
        authority, target = match[2], match[3]
        userinfo, at, location = authority.rpartition("@")
        username, colon, password = userinfo.partition(":")
        host, port = _split_location(location)
        return cls(
            scheme=match[1].lower(),
            host=host,
            port=port,
            target=target,
            username=unquote(username) if at else None,
            password=unquote(password) if colon else None,
        )

    @property
    def is_secure(self) -> bool:
        """Whether the connection is TLS."""
        return self.scheme == "rtsps"

    @property
    def effective_port(self) -> int:
        """The port to dial."""
        return DEFAULT_PORTS[self.scheme] if self.port is None else self.port

    @property
    def location(self) -> str:
        """Host and port as they stand in the URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port is None else f"{host}:{self.port}"

    @property
    def text(self) -> str:
        """The URL as requests carry it: without credentials."""
        return f"{self.scheme}://{self.location}{self.target}"

    @property
    def path(self) -> str:
        """What comes before the first ``?``."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """What comes after the first ``?``."""
        return self.target.partition("?")[2]

    @property
    def has_credentials(self) -> bool:
        """Whether the URL names a user."""
        return self.username is not None

    def with_target(self, target: str) -> Self:
        """The same place with another path and query."""
        return evolve(self, target=target)

    def with_credentials_of(self, other: RtspUrl) -> Self:
        """The same URL with the credentials of *other*."""
        return evolve(self, username=other.username, password=other.password)


def _split_location(location: str) -> tuple[str, int | None]:
    if location.startswith("["):
        host, bracket, rest = location[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise MalformedPacket("URL has an IPv6 address with open brackets")
        address, percent, zone = host.partition("%")
        if percent and zone.startswith("25") and len(zone) > 2:
            host = f"{address}%{zone[2:]}"
        port = rest[1:]
    else:
        host, _, port = location.partition(":")
    if not host:
        raise MalformedPacket("URL has no host")
    if not port:
        return host, None
    if not (port.isascii() and port.isdigit()) or len(port) > 5 or not 0 < int(port) < 65536:
        raise MalformedPacket("URL has an impossible port")
    return host, int(port)


def parse_user_url(text: str) -> RtspUrl:
    """A URL that the user gave; `InvalidUrl` when it is none."""
    try:
        return RtspUrl.parse(text)
    except MalformedPacket as exc:
        raise InvalidUrl(exc.reason, hint="write rtsp://[user:password@]host[:port]/path") from None
