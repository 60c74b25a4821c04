"""Every knob of a RIST session.

In Python durations are seconds and names are words; in URLs the same knobs carry the names and units that
libRIST's tools use (``?buffer=500&reorder-buffer=30``), so that a URL can be pasted from one to the other.
A keyword beats the URL's query.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Any, Final, Literal, TypeAlias, TypedDict, TypeVar

import attrs

from terzetto.errors import InvalidOption
from terzetto.primitives.reconnection import Reconnection, check_reconnection
from terzetto.rist.adaptation import RistAdaptation
from terzetto.rist.dtls import RistDtls
from terzetto.rist.fec import RistFec
from terzetto.rist.quirks import Quirks, parse_quirks

__all__ = [
    "AdvancedStart",
    "Cipher",
    "CongestionControl",
    "Merge",
    "NackType",
    "Profile",
    "RistKnobs",
    "RistOptions",
    "Split",
    "SrpCompat",
    "TimingMode",
]

Profile: TypeAlias = Literal["simple", "main", "advanced", "auto"]
AdvancedStart: TypeAlias = Literal["main", "at-once"]
Cipher: TypeAlias = Literal["ctr", "hmac", "ctr-hmac", "gcm", "chacha20"]
NackType: TypeAlias = Literal["range", "bitmask"]
Split: TypeAlias = Literal["off", "auto", "half"]
Merge: TypeAlias = Literal["off", "pairs", "auto"]

SrpCompat: TypeAlias = Literal["auto", "padded", "unpadded", "zero-state", "legacy"]


class TimingMode(IntEnum):
    """Which clock decides when a packet is due at the receiver's output."""

    SOURCE = 0
    """The sender's timestamps, anchored to the arrival of the first packets."""
    ARRIVAL = 1
    """The moment of arrival; for sources whose timestamps cannot be trusted."""
    RTC = 2
    """The sender's wall clock as its reports tell it; both hosts must keep the same time."""


class CongestionControl(IntEnum):
    """How hard a sender holds repeats back."""

    OFF = 0
    """Every request is answered, as far as the bandwidth allows."""
    NORMAL = 1
    """A packet is not repeated twice within one round trip."""
    AGGRESSIVE = 2
    """A packet is not repeated twice within two round trips."""


_Check: TypeAlias = Callable[[object, "attrs.Attribute[Any]", Any], None]


def _within(low: float, high: float, unit: str = "") -> _Check:
    suffix = f" {unit}" if unit else ""

    def check(_instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            raise InvalidOption(
                f"{attribute.name} is {value!r}, must lie between {low:g} and {high:g}{suffix}"
            )

    return check


def _whole(low: int, high: int, unit: str = "") -> _Check:
    suffix = f" {unit}" if unit else ""

    def check(_instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise InvalidOption(
                f"{attribute.name} is {value!r}, must be a whole number between {low} and {high}{suffix}"
            )

    return check


def _is_switch(_instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if not isinstance(value, bool):
        raise InvalidOption(f"{attribute.name} is {value!r}, must be True or False")


def _is_text_or_none(_instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if value is not None and not isinstance(value, str):
        raise InvalidOption(f"{attribute.name} is {value!r}, must be text or None")


_ModeT = TypeVar("_ModeT", bound=IntEnum)


def _mode(kind: type[_ModeT], name: str, value: _ModeT | int | str) -> _ModeT:
    """Modes may be given as such, as libRIST's number, or by name."""
    wanted = value.lower() if isinstance(value, str) else value
    for mode in kind:
        if not isinstance(wanted, bool) and wanted in (mode.name.lower(), mode.value):
            return mode
    names = ", ".join(f"{mode.value} ({mode.name.lower()})" for mode in kind)
    raise InvalidOption(f"{name} is {value!r}, must be one of {names}")


def _congestion_control(value: CongestionControl | int | str) -> CongestionControl:
    return _mode(CongestionControl, "congestion_control", value)


def _timing_mode(value: TimingMode | int | str) -> TimingMode:
    return _mode(TimingMode, "timing_mode", value)


def _one_of(*allowed: object) -> _Check:
    def check(_instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
        if value not in allowed:
            known = ", ".join(repr(each) for each in allowed)
            raise InvalidOption(f"{attribute.name} is {value!r}, must be one of {known}")

    return check


def _fec(value: RistFec | str | None) -> RistFec | None:
    return RistFec.parse(value) if isinstance(value, str) else value


def _adaptation(value: RistAdaptation | str | None) -> RistAdaptation | None:
    return RistAdaptation.parse(value) if isinstance(value, str) else value


def _dtls(value: RistDtls | bool | None) -> RistDtls | None:
    return (RistDtls() if value else None) if isinstance(value, bool) else value


def _cname_fits(_instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if not isinstance(value, str):
        raise InvalidOption(f"{attribute.name} is {value!r}, must be text")
    if len(value.encode()) > MAX_CNAME:
        raise InvalidOption(
            f"{attribute.name} has {len(value.encode())} bytes, must have at most {MAX_CNAME}"
        )


def _even(_instance: object, attribute: attrs.Attribute[Any], value: int) -> None:
    if value & 1:
        raise InvalidOption(
            f"{attribute.name} is {value}, must be even", hint="its reports take the odd one above"
        )


# libRIST keeps names in 128-byte strings and cuts longer ones off.
MAX_CNAME: Final = 127

# What libRIST's buffers hold.
MAX_SECRET: Final = 127
# libRIST's since 0.2.8, in seconds.
DEFAULT_REORDER_BUFFER: Final = 0.015

# What comes out in one go after 16 ms is 30 packets at 20 Mbit/s: a burst that every decoder's buffer takes.
_LONGEST_TICK: Final = 0.016

# The one that fits the usual MTU as seven MPEG-TS packets.
DEFAULT_PAYLOAD_SIZE: Final = 1316

# 10000 is the datagram that libRIST's receivers can hold; the RTP header must fit as well.
MAX_PAYLOAD_SIZE: Final = 9972

_ADVANCED_ONLY: Final = (
    "cipher",
    "compression",
    "fragment_size",
    "recovery_depth",
    "advanced_start",
    "gre_substrate",
    "quirks",
    "advanced_flow_id",
)


@attrs.frozen(kw_only=True)
class RistOptions:
    """Options of a RIST sender or receiver; the defaults are those of libRIST where it has them.

    A combination that cannot work is refused at construction with `terzetto.errors.InvalidOption`.
    """

    profile: Profile = attrs.field(default="main", validator=_one_of("simple", "main", "advanced", "auto"))
    """Which of the RIST profiles to speak; with ``auto`` a listener speaks that of whoever calls."""

    buffer_min: float = attrs.field(default=1.0, validator=_within(0.0, 30.0, "seconds"))
    """Shortest recovery buffer, in seconds. Equal to ``buffer_max`` it is fixed, otherwise it adapts."""
    buffer_max: float = attrs.field(default=1.0, validator=_within(0.001, 30.0, "seconds"))
    """Longest recovery buffer: how far behind the source the output may run to wait for repeats."""
    reorder_buffer: float = attrs.field(
        default=DEFAULT_REORDER_BUFFER, validator=_within(0.0, 30.0, "seconds")
    )
    """How long a gap is given to fill by itself before the first request."""
    rtt_min: float = attrs.field(default=0.005, validator=_within(0.003, 30.0, "seconds"))
    """Never assume a shorter round trip than this."""
    rtt_max: float = attrs.field(default=0.5, validator=_within(0.003, 30.0, "seconds"))
    """Never assume a longer round trip than this."""
    rtt_multiplier: int = attrs.field(default=7, validator=_whole(1, 100))
    """An adapting buffer aims at this many round trips."""
    min_retries: int = attrs.field(default=6, validator=_whole(2, 100))
    """An adapting buffer leaves room for at least this many requests."""
    max_retries: int = attrs.field(default=20, validator=_whole(2, 100))
    """Give up on a packet after this many requests."""
    bandwidth: int = attrs.field(default=100_000, validator=_whole(1, 100_000_000, "kbit/s"))
    """Ceiling for media and repeats together, kbit/s; repeats are held back above it, media never."""
    return_bandwidth: int = attrs.field(default=0, validator=_whole(0, 100_000_000, "kbit/s"))
    """Ceiling for a receiver's requests, kbit/s; 0 is none."""
    congestion_control: CongestionControl = attrs.field(
        default=CongestionControl.NORMAL, converter=_congestion_control
    )
    """How hard a sender holds repeats back."""
    timing_mode: TimingMode = attrs.field(default=TimingMode.SOURCE, converter=_timing_mode)
    """Which clock decides when a packet is due."""
    nack_type: NackType = attrs.field(default="range", validator=_one_of("range", "bitmask"))
    """Which form of request a receiver sends; both are always understood."""
    one_way: bool = attrs.field(default=False, validator=_is_switch)
    """There is no return channel: send no reports, keep no history, ask for nothing."""
    fast_start: bool = attrs.field(default=False, validator=_is_switch)
    """Send media at once instead of waiting until the receiver has answered."""

    secret: str | None = attrs.field(default=None, repr=False)
    """Passphrase that both ends share; with one nothing is ever sent or taken in the clear. Main only."""
    aes_type: int | None = attrs.field(default=None, validator=attrs.validators.optional(_one_of(128, 256)))
    """Bits of the key of what we send; None is 256. What a peer sends says for itself which it has."""
    key_rotation: int = attrs.field(default=0, validator=_within(0, 0xFFFF_FFFF, "packets"))
    """Change the key of what we send after so many packets; 0 as seldom as is safe."""
    username: str | None = None
    """A caller logs in with this name; a listener lets this one user in."""
    password: str | None = attrs.field(default=None, repr=False)
    """The password of ``username``."""
    users: str | None = None
    """A listener lets the users of this file in; ``terzetto passwd`` and libRIST's ristsrppasswd write it."""
    srp_compat: SrpCompat = attrs.field(
        default="auto", validator=_one_of("auto", "padded", "unpadded", "zero-state", "legacy")
    )
    """Which dialect of the login to speak, where it shall not be found out."""
    use_key_as_passphrase: bool = attrs.field(default=False, validator=attrs.validators.instance_of(bool))
    """Encipher with the key of the login instead of a secret; peers from libRIST 0.2.8 on have that."""
    virt_dst_port: int = attrs.field(default=1968, validator=[_within(2, 65534), _even])
    """Virtual port that media goes to within the tunnel."""
    virt_src_port: int = attrs.field(default=0x8001, validator=_within(1, 65535))
    """Virtual port that our media comes from within the tunnel."""
    null_packet_deletion: bool = attrs.field(default=False, validator=attrs.validators.instance_of(bool))
    """Leave the null packets of MPEG-TS out of what we send; every receiver restores them."""
    sequence_extension: bool = attrs.field(default=False, validator=_is_switch)
    """Count what we send in 32 bits, for flows of more packets than 16 bits can name within a buffer; every receiver
    of ours understands it, GStreamer's too, libRIST's does not."""
    mtu: int = attrs.field(default=1500, validator=_within(576, 65535, "bytes"))
    """The longest IP packet of the path; Main refuses payloads that would exceed it."""
    cipher: Cipher = attrs.field(
        default="ctr", validator=_one_of("ctr", "hmac", "ctr-hmac", "gcm", "chacha20")
    )
    """How packets of the Advanced profile are enciphered; with any but ``ctr``, the only one that libRIST has, an
    altered packet is noticed, and none without a seal is taken. ``hmac`` seals and leaves the content readable."""
    compression: bool = attrs.field(default=False, validator=_is_switch)
    """Compress payloads (LZ4) where that makes them shorter and the peer can. Advanced only; all can receive it."""
    fragment_size: int | None = attrs.field(
        default=None, validator=attrs.validators.optional(_whole(64, MAX_PAYLOAD_SIZE, "bytes"))
    )
    """Cut payloads longer than this into packets of their own; None is what fits into ``mtu``. Advanced only."""
    recovery_depth: int | None = attrs.field(default=None, validator=attrs.validators.optional(_whole(0, 16)))
    """Keep at most 65536 packets, doubled so many times, for recovery; None is 3. Advanced only."""
    advanced_start: AdvancedStart = attrs.field(default="main", validator=_one_of("main", "at-once"))
    """Begin in the Main profile and go over when the peer says that it can, or speak Advanced at once."""
    gre_substrate: bool = attrs.field(default=True, validator=_is_switch)
    """Speak Main's reports beside the Advanced profile, as libRIST wants; False also means ``at-once``."""
    quirks: Quirks | None = attrs.field(default=None, converter=parse_quirks)
    """Speak the Advanced profile as deployed peers do where they depart from it (`Quirk`); None learns it."""
    advanced_flow_id: int | None = attrs.field(
        default=None, validator=attrs.validators.optional(_whole(0, 0xFFFF_FFFF))
    )
    """The flow id field of Advanced headers: 16 bits of outer flow, 12 of inner, 4 of sub-flow; None leaves it out."""
    dtls: RistDtls | None = attrs.field(default=None, converter=_dtls)
    """DTLS around the tunnel (`RistDtls`; True is its defaults); Main and Advanced only."""
    fec: RistFec | None = attrs.field(default=None, converter=_fec)
    """Parities beside the media (SMPTE ST 2022-1 or -5): a `RistFec`, or ``"cols:10,rows:5"``. In Simple and Main they
    go two and four ports above it, in Main with a secret, a login or DTLS within the tunnel (``carriage:`` says
    otherwise), in Advanced as control messages. Set it at both ends; a receiver heeds the standard and the carriage."""
    split: Split = attrs.field(default="off", validator=_one_of("off", "auto", "half"))
    """Send every payload as two packets of half its size, which paths can share; ``auto`` cuts between two packets of
    MPEG-TS where it can. The receiver must merge; ours does with ``merge``, libRIST's since 0.2.17."""
    merge: Merge = attrs.field(default="off", validator=_one_of("off", "pairs", "auto"))
    """Put such halves together again; with ``auto`` once the peer says that it splits, which Simple has no word for."""
    adaptation: RistAdaptation | None = attrs.field(default=None, converter=_adaptation)
    """A receiver reports the quality of its link, and a sender makes advice for its encoder of it (VSF TR-06-4
    part 1): a `RistAdaptation`, or ``"floor:1000,ceiling:12000"`` in kbit/s. Set it at both ends."""

    cname: str = attrs.field(default="terzetto", validator=_cname_fits)
    """The name we give ourselves in reports."""
    session_timeout: float = attrs.field(default=2.0, validator=_within(0.25, 3600.0, "seconds"))
    """A peer that has been silent for this long is lost."""
    connect_timeout: float | None = attrs.field(
        default=None, validator=attrs.validators.optional(_within(0.001, 86400.0, "seconds"))
    )
    """Give up when nobody has answered for this long; None waits as long as it takes."""
    reconnect: Reconnection | None = attrs.field(
        default=Reconnection(initial=0.5, longest=4.0),
        validator=check_reconnection,
    )
    """How often, and for how long, to call again with DTLS, and to open again a path of several whose sockets failed;
    None does so once. When it gives up, or with every path of several, the session fails."""
    keepalive_interval: float = attrs.field(default=0.1, validator=_within(0.01, 10.0, "seconds"))
    """Time between reports. Peers of older versions lose patience after a quarter of a second of silence."""

    payload_size: int = attrs.field(
        default=DEFAULT_PAYLOAD_SIZE, validator=_whole(1, MAX_PAYLOAD_SIZE, "bytes")
    )
    """``send_all`` cuts bytes into payloads of this size."""
    rtp_ptype: int = attrs.field(default=33, validator=_whole(0, 127))
    """RTP payload type of what we send; 33 is MPEG-TS."""
    flow_id: int | None = attrs.field(
        default=None, validator=attrs.validators.optional(_whole(0, 0xFFFF_FFFF))
    )
    """The flow we send (an even SSRC); None picks one at random."""

    interface: str | None = attrs.field(default=None, validator=_is_text_or_none)
    """Leave by this interface (a name, or one of its addresses); in URLs ``miface``."""
    ttl: int | None = attrs.field(default=None, validator=attrs.validators.optional(_whole(0, 255)))
    """Time to live (hop limit) of what we send."""
    tos: int | None = attrs.field(default=None, validator=attrs.validators.optional(_whole(0, 255)))
    """IP traffic class byte of what we send."""
    multicast_loop: bool = attrs.field(default=True, validator=_is_switch)
    """Whether receivers on this very machine hear what we send to a group."""
    source: str | None = attrs.field(default=None, validator=_is_text_or_none)
    """Accept a multicast group's traffic from this sender only."""
    local_port: int = attrs.field(default=0, validator=_whole(0, 65534))
    """Call from this port; 0 is any."""
    weight: int = attrs.field(default=0, validator=_whole(0, 1_000_000))
    """Among several paths: this one's share of the packets; with 0 it carries all of them."""
    reweight: bool = attrs.field(default=False, validator=_is_switch)
    """Among several paths that share by weight: give those less that lose more than the best, until they do better."""
    reflector: bool = attrs.field(default=False, validator=_is_switch)
    """A sender that listens serves every receiver that calls, each with repeats of its own."""
    merge_callers: bool = attrs.field(default=False, validator=_is_switch)
    """A receiver that listens takes whoever brings its flow for a path of it, so that the paths of a bonded sender may
    call one port. Where the profile has several ports, callers are told apart by host, else by host and port."""
    recovery_priority: int = attrs.field(default=0, validator=_whole(0, 1_000_000))
    """Among several paths: those of the highest priority are asked for repeats first."""
    tick: float | None = attrs.field(
        default=None, validator=attrs.validators.optional(_within(0.0, 0.1, "seconds"))
    )
    """While media flows, a receiver reads and delivers this often rather than at every arrival; 0 is at once.

    None chooses: a sixteenth of the buffer, 16 ms at most. See docs/performance.md."""
    delivery_limit: int = attrs.field(default=16_384, validator=_whole(64, 1_000_000, "packets"))
    """Packets that may wait for the application; beyond it the oldest are shed and counted."""

    @property
    def effective_tick(self) -> float:
        """The tick in force: *tick*, or what None chooses."""
        if self.tick is not None:
            return self.tick
        return min(_LONGEST_TICK, self.buffer_min / 16)

    def __attrs_post_init__(self) -> None:
        if self.buffer_min > self.buffer_max:
            raise InvalidOption(
                f"buffer_min is {self.buffer_min:g} s, must not exceed buffer_max, {self.buffer_max:g} s"
            )
        if self.rtt_min > self.rtt_max:
            raise InvalidOption(f"rtt_min is {self.rtt_min:g} s, must not exceed rtt_max, {self.rtt_max:g} s")
        if self.min_retries > self.max_retries:
            raise InvalidOption(
                f"min_retries is {self.min_retries}, must not exceed max_retries, {self.max_retries}"
            )
        if self.reorder_buffer > max(self.buffer_max, DEFAULT_REORDER_BUFFER):
            raise InvalidOption(
                f"reorder_buffer is {self.reorder_buffer:g} s, must not exceed buffer_max, {self.buffer_max:g} s",
                hint="repeats are asked for only when it is over, and must come before the buffer's end",
            )
        if self.keepalive_interval >= self.session_timeout:
            raise InvalidOption(
                f"keepalive_interval is {self.keepalive_interval:g} s, must be less than session_timeout, "
                f"{self.session_timeout:g} s",
                hint="a peer that reports more rarely than that would be given up between two reports",
            )
        if self.flow_id is not None and self.flow_id & 1:
            raise InvalidOption(
                f"flow_id is {self.flow_id}, must be even",
                hint="the lowest bit marks repeats on the wire",
            )
        if self.local_port & 1 and self.profile == "simple":
            raise InvalidOption(
                f"local_port is {self.local_port}, must be even in the Simple profile",
                hint=f"media takes the even port and reports the odd one above: use {self.local_port - 1}",
            )
        self._check_profile()
        if self.sequence_extension and self.fec is not None:
            raise InvalidOption(
                "sequence_extension and fec are both set, and parities name packets in 16 bits",
                hint="leave one of them out",
            )
        if self.split != "off" and self.fragment_size is not None:
            raise InvalidOption(
                "split and fragment_size both cut payloads, and halves are told by even and odd numbers",
                hint="leave one of them out",
            )
        if self.merge == "auto" and self.profile == "simple":
            raise InvalidOption(
                "merge is 'auto', and in the Simple profile nobody says that it splits",
                hint="use merge=pairs where the sender splits",
            )
        self._check_security()
        self._check_carriage()

    @property
    def parities_on_ports(self) -> bool:
        """Whether forward error correction has ports of its own, two and four above the media's."""
        if self.fec is None or self.profile == "advanced":
            return False
        if self.profile == "simple" or self.fec.carriage == "ports":
            return True
        guards = (self.secret, self.username, self.users, self.dtls)
        return self.fec.carriage == "auto" and all(guard is None for guard in guards)

    def _check_carriage(self) -> None:
        carriage = "auto" if self.fec is None else self.fec.carriage
        if carriage == "auto":
            return
        if carriage == "tunnel" and self.profile == "simple":
            raise InvalidOption(
                "fec carriage is 'tunnel', and the Simple profile has none", hint="leave it out"
            )
        if carriage == "ports" and self.profile == "advanced":
            raise InvalidOption(
                "fec carriage is 'ports', and in the Advanced profile parities are control messages",
                hint="leave it out",
            )
        if carriage == "ports" and self.dtls is not None:
            raise InvalidOption(
                "fec carriage is 'ports', and would give away in the clear what dtls protects",
                hint="use carriage:tunnel",
            )

    def _check_profile(self) -> None:
        if self.profile in ("advanced", "auto"):
            return
        for name in _ADVANCED_ONLY:
            if getattr(self, name) != getattr(attrs.fields(type(self)), name).default:
                raise InvalidOption(
                    f"{name} is {getattr(self, name)!r}, and exists in the Advanced profile only",
                    hint="use profile=advanced",
                )

    def _check_security(self) -> None:
        wanted = [
            name for name in ("secret", "username", "password", "users") if getattr(self, name) is not None
        ]
        wanted += ["use_key_as_passphrase"] if self.use_key_as_passphrase else []
        if wanted and self.profile == "simple":
            raise InvalidOption(
                f"{wanted[0]} does not exist in the Simple profile",
                hint="use profile=main: Simple neither encrypts nor authenticates",
            )
        if self.secret is not None and not 0 < len(self.secret.encode()) <= MAX_SECRET:
            raise InvalidOption(f"secret has {len(self.secret.encode())} bytes, must have 1 to {MAX_SECRET}")
        if self.aes_type is not None and self.secret is None and not self.use_key_as_passphrase:
            raise InvalidOption("aes_type is set and secret is not", hint="set secret at both ends")
        if (self.username is None) != (self.password is None):
            raise InvalidOption("username and password go together, and one of them is missing")
        if self.users is not None and self.username is not None:
            raise InvalidOption(
                "users and username are both set", hint="a file of users for a listener, a name for a caller"
            )
        if self.use_key_as_passphrase and self.secret is not None:
            raise InvalidOption("use_key_as_passphrase and secret are both set, and only one can be the key")
        if self.use_key_as_passphrase and self.users is None and self.username is None:
            raise InvalidOption("use_key_as_passphrase needs a login", hint="set username or users")
        if self.dtls is not None:
            if self.profile in ("simple", "auto"):
                raise InvalidOption("dtls does not exist in the Simple profile", hint="use profile=main")
            if self.one_way:
                raise InvalidOption("dtls needs both ways of one port", hint="leave out one_way")
        if self.one_way and (self.users is not None or self.username is not None):
            raise InvalidOption("one_way leaves no way to log in", hint="use a secret instead")


class RistKnobs(TypedDict, total=False):
    """The same knobs as keywords of ``open_rist_sender`` and its siblings; see `RistOptions` for each."""

    profile: Profile
    buffer: float
    """Sets ``buffer_min`` and ``buffer_max`` alike."""
    buffer_min: float
    buffer_max: float
    reorder_buffer: float
    rtt_min: float
    rtt_max: float
    rtt_multiplier: int
    min_retries: int
    max_retries: int
    bandwidth: int
    return_bandwidth: int
    congestion_control: CongestionControl
    timing_mode: TimingMode
    nack_type: NackType
    one_way: bool
    fast_start: bool
    secret: str | None
    aes_type: int | None
    key_rotation: int
    username: str | None
    password: str | None
    users: str | None
    srp_compat: SrpCompat
    use_key_as_passphrase: bool
    virt_dst_port: int
    virt_src_port: int
    null_packet_deletion: bool
    sequence_extension: bool
    mtu: int
    cipher: Cipher
    compression: bool
    fragment_size: int | None
    recovery_depth: int | None
    advanced_start: AdvancedStart
    gre_substrate: bool
    quirks: Quirks | str | None
    advanced_flow_id: int | None
    dtls: RistDtls | bool | None
    fec: RistFec | str | None
    split: Split
    merge: Merge
    adaptation: RistAdaptation | str | None
    cname: str
    session_timeout: float
    connect_timeout: float | None
    reconnect: Reconnection | None
    keepalive_interval: float
    payload_size: int
    rtp_ptype: int
    flow_id: int | None
    interface: str | None
    ttl: int | None
    tos: int | None
    multicast_loop: bool
    source: str | None
    local_port: int
    weight: int
    recovery_priority: int
    reweight: bool
    reflector: bool
    merge_callers: bool
    tick: float | None
    delivery_limit: int
