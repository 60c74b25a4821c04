"""Every knob of an SRT connection.

Durations are seconds, sizes bytes, rates bytes per second. Each field knows its name in libsrt's option table
(without ``SRTO_``, lower case), which is also its name in a URL, and until when it can be set.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, Final, TypedDict, TypeVar, cast

import attrs

from terzetto.errors import InvalidOption, UnsupportedOperation
from terzetto.srt.congestion import ControllerFactory
from terzetto.srt.wire.extensions import LONGEST_FILTER
from terzetto.srt.wire.filter_configuration import FilterConflict, FilterRequest

__all__ = ["ANNOUNCED_VERSION", "Binding", "SrtKnobs", "SrtOptions", "binding_of", "with_knobs"]

ANNOUNCED_VERSION: Final = 0x00010505
"""What we say we are: 1.5.5, because older versions get a broken construction of AES-GCM from libsrt."""

PER_PACKET_OVERHEAD: Final = 44
"""IPv4, UDP and SRT headers: what libsrt adds to each payload in its sums, on IPv6 too."""

_IP_UDP_HEADERS: Final = 28
_LONGEST_DELAY: Final = 65.535
_MAX_31: Final = 0x7FFF_FFFF

_LONGEST_TICK: Final = 0.010
# Where nothing waits for its time, a tick is all the delay there is, and part of every round trip.
_UNTIMED_TICK: Final = 0.002

T = TypeVar("T")


class Binding(Enum):
    """Until when an option can be set."""

    BEFORE_BIND = "before the socket is opened"
    BEFORE_CONNECT = "before connecting"
    ANY_TIME = "at any time"


def _between(low: float, high: float, unit: str = "") -> Callable[[object, attrs.Attribute[Any], Any], None]:
    suffix = f" {unit}" if unit else ""

    def check(_: object, field: attrs.Attribute[Any], value: float) -> None:
        if not _is_number(value) or not low <= value <= high:
            raise InvalidOption(f"{field.name} is {value!r}; it must be between {low} and {high}{suffix}")

    return check


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _one_of(*allowed: object) -> Callable[[object, attrs.Attribute[Any], Any], None]:
    def check(_: object, field: attrs.Attribute[Any], value: object) -> None:
        if value not in allowed:
            choices = ", ".join(repr(choice) for choice in allowed)
            raise InvalidOption(f"{field.name} is {value!r}; it must be one of {choices}")

    return check


def _flag(_: object, field: attrs.Attribute[Any], value: object) -> None:
    if not isinstance(value, bool):
        raise InvalidOption(f"{field.name} is {value!r}; it must be True or False")


def _bytes_up_to(most: int) -> Callable[[object, attrs.Attribute[Any], Any], None]:
    def check(_: object, field: attrs.Attribute[Any], value: str) -> None:
        size = len(value.encode())
        if size > most:
            raise InvalidOption(f"{field.name} has {size} bytes; it must have between 0 and {most}")

    return check


def _check_passphrase(_: object, field: attrs.Attribute[Any], value: str) -> None:
    size = len(value.encode())
    if size and not 10 <= size <= 80:
        # The length is said, the passphrase itself never.
        raise InvalidOption(f"{field.name} has {size} bytes; it must have between 10 and 80, or none at all")


def _option(
    default: T,
    libsrt: str,
    binding: Binding = Binding.BEFORE_CONNECT,
    check: Callable[[object, attrs.Attribute[Any], Any], None] | None = None,
    *,
    milliseconds: bool = False,
    secret: bool = False,
) -> T:
    field: T = attrs.field(
        default=default,
        validator=check,
        repr=not secret,
        metadata={"libsrt": libsrt, "binding": binding, "milliseconds": milliseconds},
    )
    return field


def _preset(live: T, file: T) -> T:
    """A default that depends on what the connection is for; what is given explicitly beats it."""

    def choose(options: SrtOptions) -> T:
        return file if options.transmission_type == "file" else live

    default: T = attrs.Factory(choose, takes_self=True)
    return default


_BIND = Binding.BEFORE_BIND
_PRE = Binding.BEFORE_CONNECT
_ANY = Binding.ANY_TIME


@attrs.frozen(kw_only=True)
class SrtOptions:
    """How a connection behaves; the defaults are libsrt's for live mode.

    ``latency`` sets ``receive_latency`` and ``peer_latency`` together, as it does in libsrt.
    ``transmission_type="file"`` changes the defaults to those of a connection that delivers everything, in
    order, as soon as it comes.
    """

    transmission_type: str = _option("live", "transtype", _PRE, _one_of("live", "file"))
    """``"live"`` keeps time, ``"file"`` loses nothing: it chooses the defaults of a dozen other options."""
    latency: float | None = attrs.field(
        default=None, metadata={"libsrt": "latency", "binding": _PRE, "milliseconds": True}
    )
    """How long packets are held so that lost ones can be repaired, in both directions."""
    receive_latency: float = _option(
        _preset(0.120, 0.0), "rcvlatency", _PRE, _between(0, _LONGEST_DELAY, "seconds"), milliseconds=True
    )
    """The same, for what we receive; the larger of ours and the peer's wish holds."""
    peer_latency: float = _option(
        0.0, "peerlatency", _PRE, _between(0, _LONGEST_DELAY, "seconds"), milliseconds=True
    )
    """The least we want the peer to hold what we send."""

    stream_id: str = _option("", "streamid", _PRE, _bytes_up_to(512))
    passphrase: str = _option("", "passphrase", _PRE, _check_passphrase, secret=True)
    key_length: int = _option(0, "pbkeylen", _PRE, _one_of(0, 16, 24, 32))
    """Bytes of the AES key; 0 leaves it to the peer, or 16."""
    crypto_mode: str = _option("auto", "cryptomode", _PRE, _one_of("auto", "ctr", "gcm"))
    enforced_encryption: bool = _option(True, "enforcedencryption", _PRE, _flag)
    """Refuse a peer whose passphrase differs; otherwise connect, and drop what cannot be read."""
    key_refresh_rate: int = _option(0, "kmrefreshrate", _PRE, _between(0, _MAX_31, "packets"))
    """Packets under one key; 0 means 2^24."""
    key_preannounce: int = _option(0, "kmpreannounce", _PRE, _between(0, _MAX_31, "packets"))
    """How many packets ahead the next key is announced; 0 means 2^12."""

    payload_size: int = _option(_preset(1316, 0), "payloadsize", _PRE, _between(0, 1456, "bytes"))
    """The most that one packet carries, and the pieces that longer bytes are cut into; 0: what fits."""
    mss: int = _option(1500, "mss", _BIND, _between(76, 65_535, "bytes"))
    """The largest IP packet on this path."""
    flow_window: int = _option(25_600, "fc", _PRE, _between(32, _MAX_31, "packets"))
    send_buffer: int = _option(8192 * 1472, "sndbuf", _BIND, _between(1, _MAX_31, "bytes"))
    receive_buffer: int = _option(8192 * 1472, "rcvbuf", _BIND, _between(32 * 1472, _MAX_31, "bytes"))

    too_late_drop: bool = _option(_preset(True, False), "tlpktdrop", _PRE, _flag)
    """Skip what did not come in time, rather than wait for it for ever."""
    send_drop_delay: float = _option(
        _preset(0.0, -0.001),
        "snddropdelay",
        _ANY,
        _between(-0.001, _LONGEST_DELAY, "seconds"),
        milliseconds=True,
    )
    """How long past the peer's latency the sender keeps packets; below 0 it never drops."""
    tsbpd: bool = _option(_preset(True, False), "tsbpdmode", _PRE, _flag)
    """Deliver by timestamp, with the rhythm that the sender had; live mode wants it on."""
    nak_report: bool = _option(True, "nakreport", _PRE, _flag)
    """Repeat loss reports until the gap is filled."""
    retransmit_algorithm: int = _option(1, "retransmitalgo", _PRE, _one_of(0, 1))
    """1 repeats a packet at most once a round trip, 0 as often as it is asked for."""
    loss_max_ttl: int = _option(0, "lossmaxttl", _ANY, _between(0, _MAX_31, "packets"))
    """The most packets of reordering that are tolerated before a gap counts as a loss."""
    drift_tracer: bool = _option(True, "drifttracer", _ANY, _flag)

    max_bandwidth: int = _option(-1, "maxbw", _ANY, _between(-1, 1 << 62, "bytes per second"))
    """The most we send, repeats included; -1 is 1 Gbit/s, 0 goes by the input and ``overhead``."""
    input_bandwidth: int = _option(0, "inputbw", _ANY, _between(0, 1 << 62, "bytes per second"))
    """What the input has; 0 measures it."""
    min_input_bandwidth: int = _option(0, "mininputbw", _ANY, _between(0, 1 << 62, "bytes per second"))
    """The least that a measured input is taken for."""
    overhead: int = _option(25, "oheadbw", _ANY, _between(5, 100, "percent"))
    """Room for repeats above the input, where ``max_bandwidth`` is 0."""
    max_retransmit_bandwidth: int = _option(
        -1, "maxrexmitbw", _ANY, _between(-1, 1 << 62, "bytes per second")
    )
    """The most that repeats may take; -1 has no limit, 0 never repeats."""

    connect_timeout: float = _option(3.0, "conntimeo", _PRE, _between(0, 3600, "seconds"), milliseconds=True)
    peer_idle_timeout: float = _option(
        5.0, "peeridletimeo", _PRE, _between(0, 3600, "seconds"), milliseconds=True
    )
    """How long a peer may be silent."""
    linger: float | None = attrs.field(
        default=_preset(None, 180.0), metadata={"libsrt": "linger", "binding": _ANY}
    )
    """How long closing waits for what was sent to arrive.

    None waits as long as a repeat can still help and until the peer has played it, which libsrt needs, since
    at a shutdown it forgets what is not yet due; 0 does not wait.
    """
    min_version: int = _option(0x010000, "minversion", _PRE, _between(0, _MAX_31))
    """Refuse peers whose version (0xMMmmpp) is lower."""

    local_address: str = attrs.field(default="", metadata={"libsrt": "adapter", "binding": _BIND})
    local_port: int = _option(0, "port", _BIND, _between(0, 65_535))
    ttl: int | None = attrs.field(default=None, metadata={"libsrt": "ipttl", "binding": _BIND})
    tos: int | None = attrs.field(default=None, metadata={"libsrt": "iptos", "binding": _BIND})
    interface: str | None = attrs.field(default=None, metadata={"libsrt": "bindtodevice", "binding": _BIND})
    ipv6_only: int = _option(-1, "ipv6only", _BIND, _one_of(-1, 0, 1))
    udp_send_buffer: int = _option(8 << 20, "udp_sndbuf", _BIND, _between(1500, _MAX_31, "bytes"))
    udp_receive_buffer: int = _option(8 << 20, "udp_rcvbuf", _BIND, _between(1500, _MAX_31, "bytes"))

    backlog: int = attrs.field(default=64, validator=_between(1, 65_535), metadata={"binding": _BIND})
    """Connections that may wait to be accepted; more are refused."""
    max_connections: int = attrs.field(
        default=10_000, validator=_between(1, 1 << 20), metadata={"binding": _BIND}
    )
    """Connections that a listener carries at a time; more are refused."""
    read_tick: float | None = attrs.field(default=None, metadata={"binding": _BIND})
    """While data flows the socket is read this often rather than packet by packet; 0 reads at once.

    None takes a sixteenth of the latency, at most ten milliseconds: a longer tick costs less, and comes back as delay.
    """

    congestion: str = _option(_preset("live", "file"), "congestion", _PRE, _one_of("live", "file"))
    """What paces us, as both sides call it; ``controller`` says what really does."""
    controller: ControllerFactory | None = attrs.field(
        default=None, repr=False, eq=False, metadata={"binding": _PRE}
    )
    """Makes the congestion controller; None takes the one that ``congestion`` names. The peer never knows."""
    message_api: bool = _option(_preset(True, False), "messageapi", _PRE, _flag)
    """Keep the boundaries of messages; without it a connection is a stream of bytes. Both sides must agree."""
    packet_filter: str = _option("", "packetfilter", _PRE, _bytes_up_to(LONGEST_FILTER))
    """Parities against loss, in libsrt's words: ``fec,cols:10,rows:5,layout:staircase,arq:onreq``."""
    group_connect: bool = _option(False, "groupconnect", _PRE, _flag)
    """A listener takes groups; `open_srt_group_listener` sets it."""
    group_stability_timeout: float = _option(
        0.060, "groupminstabletimeo", _PRE, _between(0.060, _LONGEST_DELAY, "seconds"), milliseconds=True
    )
    """The least time that the peer may be silent before a member of a backup group counts as unstable."""

    def __attrs_post_init__(self) -> None:
        if self.latency is not None:
            _between(0, _LONGEST_DELAY, "seconds")(self, attrs.fields(SrtOptions).latency, self.latency)
            object.__setattr__(self, "receive_latency", self.latency)
            object.__setattr__(self, "peer_latency", self.latency)
        if self.packet_filter:
            self._check_filter()
        self._check_mode()
        if self.read_tick is not None:
            _between(0, 0.1, "seconds")(self, attrs.fields(SrtOptions).read_tick, self.read_tick)
        if self.linger is not None:
            _between(0, 3600, "seconds")(self, attrs.fields(SrtOptions).linger, self.linger)
        for name in ("ttl", "tos"):
            value = getattr(self, name)
            if value is not None:
                _between(1 if name == "ttl" else 0, 255)(self, getattr(attrs.fields(SrtOptions), name), value)
        if self.key_preannounce > max(0, self.refresh_after - 1) // 2:
            raise InvalidOption(
                f"key_preannounce is {self.key_preannounce}; it must be at most half of key_refresh_rate"
                f" ({self.refresh_after}) less one"
            )

    def _check_mode(self) -> None:
        if self.congestion == "live":
            if not self.message_api:
                raise InvalidOption(
                    "congestion 'live' keeps packets apart, so message_api cannot be off",
                    hint="for a stream of bytes set transmission_type='file'",
                )
            return
        for name in ("tsbpd", "too_late_drop", "packet_filter"):
            if getattr(self, name):
                raise InvalidOption(
                    f"{name} is {getattr(self, name)!r}, which needs a clock, and congestion 'file' has none",
                    hint="set transmission_type='file', and leave it to choose the rest",
                )

    def _check_filter(self) -> None:
        try:
            request = FilterRequest.parse(self.packet_filter)
            if "cols" in request.values:
                request.settings()
        except FilterConflict as exc:
            raise InvalidOption(str(exc), hint="write packet_filter='fec,cols:10,rows:5'") from None

    @property
    def effective_tick(self) -> float:
        """The tick in force: ``read_tick``, or what None chooses."""
        if self.read_tick is not None:
            return self.read_tick
        if not self.tsbpd:
            return _UNTIMED_TICK
        return min(_LONGEST_TICK, max(self.receive_latency, self.peer_latency) / 16)

    @property
    def refresh_after(self) -> int:
        """Packets under one key, the default spelt out."""
        return self.key_refresh_rate or 1 << 24

    @property
    def announce_ahead(self) -> int:
        """How many packets ahead a key is announced, the default spelt out and fitted to a short key life."""
        return self.key_preannounce or min(1 << 12, (self.refresh_after - 1) // 2)

    @property
    def send_buffer_packets(self) -> int:
        """Packets that may wait to be acknowledged."""
        return max(32, self.send_buffer // (self.mss - _IP_UDP_HEADERS))

    @property
    def receive_buffer_packets(self) -> int:
        """Packets that may wait to be delivered; also the window we announce."""
        return min(self.flow_window, max(32, self.receive_buffer // (self.mss - _IP_UDP_HEADERS)))

    def changed(self, *, connected: bool, **changes: Any) -> SrtOptions:
        """A copy with other values; `UnsupportedOperation` when it is too late for one of them."""
        for name in changes:
            binding = binding_of(name)
            if connected and binding is not Binding.ANY_TIME:
                raise UnsupportedOperation(f"{name} can only be set {binding.value}")
        return with_knobs(self, changes)

    def on_socket_of(self, listener: SrtOptions) -> SrtOptions:
        """These options for one caller of a listener, whose socket they cannot change any more.

        What is left at its default follows the listener; `UnsupportedOperation` names what does not.
        """
        changes: dict[str, Any] = {}
        for field in attrs.fields(SrtOptions):
            if field.metadata["binding"] is Binding.BEFORE_BIND:
                ours, theirs = getattr(self, field.name), getattr(listener, field.name)
                if ours not in (theirs, field.default):
                    raise UnsupportedOperation(
                        f"{field.name} can only be set {field.metadata['binding'].value}, and the listener's is open",
                        hint="set it where the listener is opened",
                    )
                changes[field.name] = theirs
        return attrs.evolve(self, **changes)


class SrtKnobs(TypedDict, total=False):
    """The fields of `SrtOptions`, as keywords of the functions that open connections."""

    latency: float | None
    receive_latency: float
    peer_latency: float
    stream_id: str
    passphrase: str
    key_length: int
    crypto_mode: str
    enforced_encryption: bool
    key_refresh_rate: int
    key_preannounce: int
    payload_size: int
    mss: int
    flow_window: int
    send_buffer: int
    receive_buffer: int
    too_late_drop: bool
    send_drop_delay: float
    tsbpd: bool
    nak_report: bool
    retransmit_algorithm: int
    loss_max_ttl: int
    drift_tracer: bool
    max_bandwidth: int
    input_bandwidth: int
    min_input_bandwidth: int
    overhead: int
    max_retransmit_bandwidth: int
    connect_timeout: float
    peer_idle_timeout: float
    linger: float | None
    min_version: int
    local_address: str
    local_port: int
    ttl: int | None
    tos: int | None
    interface: str | None
    ipv6_only: int
    udp_send_buffer: int
    udp_receive_buffer: int
    backlog: int
    max_connections: int
    read_tick: float | None
    congestion: str
    controller: ControllerFactory | None
    transmission_type: str
    message_api: bool
    packet_filter: str
    group_connect: bool
    group_stability_timeout: float


def with_knobs(base: SrtOptions | None, knobs: Mapping[str, object]) -> SrtOptions:
    """*base* with these fields changed; `InvalidOption` names an option that does not exist."""
    for name in knobs:
        binding_of(name)
    changes = dict(knobs)
    if "latency" not in changes and ("receive_latency" in changes or "peer_latency" in changes):
        # A new one-way latency must not be undone by the old one for both ways.
        changes["latency"] = None
    base = base or SrtOptions()
    kind = changes.get("transmission_type", base.transmission_type)
    if kind != base.transmission_type:
        # Another preset: what was left at the defaults of the old one gets those of the new.
        preset = SrtOptions(transmission_type=base.transmission_type)
        kept = {
            field.name: getattr(base, field.name)
            for field in attrs.fields(SrtOptions)
            if getattr(base, field.name) != getattr(preset, field.name)
        }
        return SrtOptions(**cast("dict[str, Any]", {**kept, **changes}))
    return attrs.evolve(base, **cast("dict[str, Any]", changes))


def binding_of(name: str) -> Binding:
    """Until when the option *name* can be set; `InvalidOption` when there is no such option."""
    for field in attrs.fields(SrtOptions):
        if field.name == name:
            binding: Binding = field.metadata["binding"]
            return binding
    raise InvalidOption(f"there is no option {name!r}")
