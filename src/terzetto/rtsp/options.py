"""Every knob of an RTSP client and of an RTSP server; durations are seconds."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import attrs

from terzetto.errors import InvalidOption
from terzetto.primitives.reconnection import Reconnection, check_reconnection

__all__ = ["RtspOptions", "RtspServerOptions", "TransportChoice", "Tunnel"]

TransportChoice: TypeAlias = Literal["auto", "udp", "tcp", "multicast"]
Tunnel: TypeAlias = Literal["none", "http", "websocket"]

_Check: TypeAlias = Callable[[object, "attrs.Attribute[Any]", Any], None]


def _within(low: float, high: float, unit: str = "") -> _Check:
    suffix = f" {unit}" if unit else ""

    def check(_instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            raise InvalidOption(
                f"{attribute.name} is {value!r}, must lie between {low:g} and {high:g}{suffix}"
            )

    return check


def _one_of(*allowed: object) -> _Check:
    def check(_instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
        if value not in allowed:
            known = ", ".join(repr(each) for each in allowed)
            raise InvalidOption(f"{attribute.name} is {value!r}, must be one of {known}")

    return check


def _printable(_instance: object, attribute: attrs.Attribute[Any], value: str) -> None:
    if not value or not value.isprintable():
        raise InvalidOption(f"{attribute.name} is {value!r}, must be printable text")


@attrs.frozen(kw_only=True)
class RtspOptions:
    """Options of an RTSP client; a combination that cannot work is refused at construction."""

    transport: TransportChoice = attrs.field(
        default="auto", validator=_one_of("auto", "udp", "tcp", "multicast")
    )
    """``auto`` asks for UDP and falls back to TCP; with rtsps:// it is TCP."""
    username: str | None = None
    """Beats the URL's."""
    password: str | None = attrs.field(default=None, repr=False)
    allow_basic: bool = True
    """Whether to send the password itself to a server that offers nothing better."""
    ssl_context: ssl.SSLContext | None = None
    """For rtsps://; None trusts the system's authorities."""
    fingerprint: str | None = None
    """SHA-256 of the one certificate to accept for rtsps://, whoever signed it."""
    tunnel: Tunnel = attrs.field(default="none", validator=_one_of("none", "http", "websocket"))
    """Speak RTSP inside HTTP or a WebSocket, where nothing else passes; media then travel inside as well."""
    proxy: str | None = None
    """``http://host:port`` of a proxy to go through (by CONNECT)."""
    user_agent: str = attrs.field(default="terzetto", validator=_printable)
    connect_timeout: float = attrs.field(default=10.0, validator=_within(0.001, 3600.0, "seconds"))
    read_timeout: float = attrs.field(default=10.0, validator=_within(0.01, 3600.0, "seconds"))
    """Answers, and packets while playing, come within this time."""
    write_timeout: float = attrs.field(default=10.0, validator=_within(0.01, 3600.0, "seconds"))
    first_packet_timeout: float = attrs.field(default=3.0, validator=_within(0.01, 3600.0, "seconds"))
    """``auto`` tries TCP when no packet came by UDP within this time."""
    keepalive_method: str | None = attrs.field(
        default=None, validator=_one_of(None, "GET_PARAMETER", "SET_PARAMETER", "OPTIONS")
    )
    """None: GET_PARAMETER where the server has it, else OPTIONS."""
    reorder_time: float = attrs.field(default=0.1, validator=_within(0.0, 10.0, "seconds"))
    """How long packets that came by UDP wait for one that is missing."""
    reorder_packets: int = attrs.field(default=256, validator=_within(0, 16384, "packets"))
    """How many may wait; 0 hands packets over as they come."""
    max_redirects: int = attrs.field(default=5, validator=_within(0, 50))
    any_port: bool = False
    """Accept media from ports that the server did not announce, the first one heard."""
    trust_source: bool = False
    """Accept media from another address where the server says so."""
    srtp: bool = False
    """Publish encrypted packets (SRTP). What is played is opened whenever the server encrypts it."""
    allow_readable_keys: bool = False
    """Agree upon SRTP keys over rtsp:// too, where everybody on the way can read them."""
    back_channel: bool = False
    """Ask for the medias by which we could talk to the camera."""
    reconnect: Reconnection | None = attrs.field(default=None, validator=check_reconnection)
    """How often, and for how long, to set up a stream again that broke; None ends it."""
    multicast_interface: str | None = None
    """Join groups on this interface; None is the one that reaches the server."""
    tick: float = attrs.field(default=0.004, validator=_within(0.0, 0.1, "seconds"))
    """While media flows, read it this often rather than at every arrival; 0 at once."""
    delivery_limit: int = attrs.field(default=16_384, validator=_within(64, 1_000_000, "packets"))
    """Packets that may wait for the application. Beyond, UDP sheds the oldest; TCP stops reading."""

    def __attrs_post_init__(self) -> None:
        if (self.tunnel != "none" or self.proxy is not None) and self.transport not in ("auto", "tcp"):
            raise InvalidOption(
                f"transport is {self.transport!r}, but only TCP goes through a tunnel or a proxy",
                hint="leave transport out",
            )

    @property
    def is_confined(self) -> bool:
        """Whether media can only travel inside the control connection."""
        return self.tunnel != "none" or self.proxy is not None


@attrs.frozen(kw_only=True)
class RtspServerOptions:
    """Options of an RTSP server."""

    server_name: str = attrs.field(default="terzetto", validator=_printable)
    realm: str = attrs.field(default="terzetto", validator=_printable)
    offer_sha256: bool = False
    """Offer Digest with SHA-256 beside MD5; some old clients stumble over it."""
    offer_basic: bool = False
    """Offer Basic, which shows passwords to whoever listens; with TLS that is nobody."""
    ssl_context: ssl.SSLContext | None = None
    """Needed for rtsps://."""
    tunnels: bool = True
    """Serve clients that come through HTTP or a WebSocket, on the same port."""
    srtp: bool = False
    """Describe medias as SRTP, and take it from publishers; needs rtsps://. Who asks for plain RTP inside the
    encrypted connection still gets it."""
    allow_readable_keys: bool = False
    """Agree upon SRTP keys over rtsp:// too, where everybody on the way can read them."""
    udp: bool = True
    """Serve readers and publishers over UDP."""
    udp_port: int = attrs.field(default=0, validator=_within(0, 65534))
    """The even port for RTP, RTCP being the next; 0 finds a free pair."""
    multicast_groups: str | None = None
    """A network of groups (239.1.0.0/16, say) to take addresses from; None serves no multicast."""
    multicast_port: int = attrs.field(default=8002, validator=_within(2, 65534))
    multicast_ttl: int = attrs.field(default=16, validator=_within(0, 255))
    multicast_interface: str | None = None
    read_timeout: float = attrs.field(default=10.0, validator=_within(0.1, 3600.0, "seconds"))
    """A publisher that sends nothing for so long is gone."""
    write_timeout: float = attrs.field(default=10.0, validator=_within(0.1, 3600.0, "seconds"))
    """A connection that takes nothing for so long is closed."""
    idle_timeout: float = attrs.field(default=60.0, validator=_within(6.0, 86400.0, "seconds"))
    """A session without a sign of life for so long is closed."""
    request_timeout: float = attrs.field(default=10.0, validator=_within(0.1, 3600.0, "seconds"))
    """A stranger's first request, and the rest of any, come within this time."""
    slow_reader: Literal["thin", "drop"] = attrs.field(default="thin", validator=_one_of("thin", "drop"))
    """``thin``: packets that find a reader's backlog full are left out. ``drop``: that reader is closed."""
    reader_backlog: int = attrs.field(default=2 << 20, validator=_within(65536, 1 << 30, "bytes"))
    """Bytes that may wait for one reader over TCP, beyond the kernel's buffers."""
    max_connections: int = attrs.field(default=10_000, validator=_within(1, 1_000_000))
    max_connections_per_host: int = attrs.field(default=1_000, validator=_within(1, 1_000_000))
    max_sessions: int = attrs.field(default=10_000, validator=_within(1, 1_000_000))
    max_sessions_per_host: int = attrs.field(default=1_000, validator=_within(1, 1_000_000))
    """Sessions over UDP outlive their connections, so the limits of those do not bound them."""
    drain_time: float = attrs.field(default=2.0, validator=_within(0.0, 3600.0, "seconds"))
    """How long readers may still be sent what waits for them, once the server is told to stop."""
    tick: float = attrs.field(default=0.004, validator=_within(0.0, 0.1, "seconds"))
    """While media flows in, read it this often rather than at every arrival; 0 at once."""

    def __attrs_post_init__(self) -> None:
        for name in ("udp_port", "multicast_port"):
            port = getattr(self, name)
            if port % 2:
                raise InvalidOption(f"{name} is {port}, must be even: RTCP takes the odd one above it")
