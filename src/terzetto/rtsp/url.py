"""``rtsp://`` URLs as ends of a route: options by parameters that begin with ``rtsp_``.

The query of an RTSP URL belongs to the server, which compares its very text, so our own parameters have a prefix;
they are taken out, and all the rest goes to the server as it was written. A URL that listens has no other query.
"""

from __future__ import annotations

import ssl
from typing import Any, Final, Literal, TypeAlias

import attrs

from terzetto.errors import InvalidUrl
from terzetto.rtsp.options import RtspOptions, RtspServerOptions
from terzetto.url import EndpointUrl, QueryReader

__all__ = [
    "PREFIX",
    "TRANSPORT_STREAM_CHOICES",
    "RtspListening",
    "RtspTarget",
    "TransportStreamChoice",
    "listening_from_url",
    "target_from_url",
]

PREFIX: Final = "rtsp_"

TransportStreamChoice: TypeAlias = Literal["auto", "split", "keep"]
TRANSPORT_STREAM_CHOICES: Final[tuple[TransportStreamChoice, ...]] = ("auto", "split", "keep")
"""Of an output: take a transport stream apart where the extra ``av`` is there, take it apart, or leave it whole."""

# Parameter of the URL, without its prefix -> field of the options.
CLIENT_MILLISECONDS: Final = {
    "timeout": "read_timeout",
    "connect_timeout": "connect_timeout",
    "reorder": "reorder_time",
}
CLIENT_TEXTS: Final = {
    "transport": "transport",
    "tunnel": "tunnel",
    "proxy": "proxy",
    "fingerprint": "fingerprint",
    "interface": "multicast_interface",
    "user_agent": "user_agent",
}
CLIENT_SWITCHES: Final = {
    "srtp": "srtp",
    "any_port": "any_port",
    "trust_source": "trust_source",
    "allow_basic": "allow_basic",
}
SERVER_MILLISECONDS: Final = {"timeout": "read_timeout", "idle_timeout": "idle_timeout"}
SERVER_INTEGERS: Final = {"udp_port": "udp_port", "max_sessions": "max_sessions"}
SERVER_TEXTS: Final = {
    "groups": "multicast_groups",
    "interface": "multicast_interface",
    "slow_reader": "slow_reader",
}
SERVER_SWITCHES: Final = {"udp": "udp", "tunnels": "tunnels"}


@attrs.frozen(kw_only=True)
class RtspTarget:
    """A stream on somebody's server."""

    url: str = attrs.field(repr=False)
    """With its credentials, without our parameters."""
    options: RtspOptions
    transport_stream: TransportStreamChoice = "auto"
    """What becomes of a transport stream that is published there."""


@attrs.frozen(kw_only=True)
class RtspListening:
    """A path on a server of our own."""

    url: str
    path: str
    """``/`` where the URL names none."""
    credentials: dict[str, str] | None = attrs.field(repr=False)
    options: RtspServerOptions
    transport_stream: TransportStreamChoice = "auto"
    """What becomes of a transport stream that is served there."""


def target_from_url(url: EndpointUrl) -> RtspTarget:
    """Understand a URL that calls."""
    values = _read(url, CLIENT_MILLISECONDS, {}, CLIENT_TEXTS, CLIENT_SWITCHES, others=("ts",))
    rest = tuple(pair for pair in url.query if not pair[0].startswith(PREFIX))
    path, _, query = url.target().partition("?")
    kept = "&".join(part for part in query.split("&") if not part.startswith(PREFIX))
    plain = attrs.evolve(url, query=rest, raw_target=f"{path}?{kept}" if kept else path)
    return RtspTarget(
        url=plain.to_string(reveal=True),
        options=RtspOptions(**values),
        transport_stream=_transport_stream(url),
    )


def listening_from_url(url: EndpointUrl) -> RtspListening:
    """Understand a URL that listens."""
    reader = _reader(url)
    certificate, key = reader.text(PREFIX + "certificate"), reader.text(PREFIX + "key")
    values = _read(
        url,
        SERVER_MILLISECONDS,
        SERVER_INTEGERS,
        SERVER_TEXTS,
        SERVER_SWITCHES,
        others=("certificate", "key", "ts"),
    )
    foreign = [name for name, _ in url.query if not name.startswith(PREFIX)]
    if foreign:
        raise InvalidUrl(
            f"a URL that listens has no parameter {foreign[0]!r}", hint=f"ours begin with {PREFIX}"
        )
    if url.scheme == "rtsps":
        values["ssl_context"] = _server_context(certificate, key)
    elif certificate is not None or key is not None:
        raise InvalidUrl("a certificate is for rtsps://", hint="write rtsps:// to listen with TLS")
    credentials = None
    if url.username is not None:
        if not url.username or not url.password:
            raise InvalidUrl("who may connect needs a name and a password", hint="write user:password@@:8554")
        credentials = {url.username: url.password}
    place = attrs.evolve(url, username=None, password=None, query=(), raw_target=None, path="")
    return RtspListening(
        url=place.to_string(),
        path=url.path.rstrip("/") or "/",
        credentials=credentials,
        options=RtspServerOptions(**values),
        transport_stream=_transport_stream(url),
    )


def _transport_stream(url: EndpointUrl) -> TransportStreamChoice:
    text = _reader(url).text(PREFIX + "ts") or "auto"
    for choice in TRANSPORT_STREAM_CHOICES:
        if text == choice:
            return choice
    raise InvalidUrl(f"{PREFIX}ts is {text!r}", hint=f"it is one of {', '.join(TRANSPORT_STREAM_CHOICES)}")


def _reader(url: EndpointUrl) -> QueryReader:
    own = tuple(pair for pair in url.query if pair[0].startswith(PREFIX))
    return QueryReader(attrs.evolve(url, query=own))


def _read(
    url: EndpointUrl,
    milliseconds: dict[str, str],
    integers: dict[str, str],
    texts: dict[str, str],
    switches: dict[str, str],
    *,
    others: tuple[str, ...] = (),
) -> dict[str, Any]:
    reader = _reader(url)
    values: dict[str, Any] = {}
    for name, field in milliseconds.items():
        values[field] = reader.milliseconds(PREFIX + name)
    for name, field in integers.items():
        values[field] = reader.integer(PREFIX + name)
    for name, field in texts.items():
        values[field] = reader.text(PREFIX + name)
    for name, field in switches.items():
        values[field] = reader.boolean(PREFIX + name)
    for name in others:
        reader.text(PREFIX + name)
    reader.finish()
    return {field: value for field, value in values.items() if value is not None}


def _server_context(certificate: str | None, key: str | None) -> ssl.SSLContext:
    if certificate is None:
        raise InvalidUrl(
            "listening with TLS needs a certificate",
            hint=f"name PEM files by {PREFIX}certificate= and {PREFIX}key=",
        )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as exc:
        raise InvalidUrl(f"the certificate {certificate} cannot be used: {exc}") from exc
    return context
