"""What a session description means to whoever sends or receives its packets: medias, formats, clocks, controls.

::

    Description
      └─ Media      one SETUP, one pair of ports or channels
           └─ Format    one payload type, with its encoding and clock

A media that makes no sense stays in the list as a generic one, so that numbering agrees with the peer's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final, Self

from attrs import evolve, field, frozen

from terzetto.errors import MalformedPacket
from terzetto.rtsp.wire.sdp.connection import Connection
from terzetto.rtsp.wire.sdp.fmtp import format_fmtp, parse_fmtp
from terzetto.rtsp.wire.sdp.lines import Line
from terzetto.rtsp.wire.sdp.media_line import MediaLine
from terzetto.rtsp.wire.sdp.rtpmap import RtpMap
from terzetto.rtsp.wire.sdp.session import MediaSection, SessionDescription

__all__ = ["MPEG_TS_PAYLOAD_TYPE", "Description", "Format", "Media"]

MPEG_TS_PAYLOAD_TYPE: Final = 33

# RFC 3551, tables 4 and 5: encoding and clock of the payload types that need no rtpmap.
_STATIC: Final[Mapping[int, tuple[str, int]]] = {
    0: ("PCMU", 8000),
    2: ("G726-32", 8000),
    3: ("GSM", 8000),
    4: ("G723", 8000),
    5: ("DVI4", 8000),
    6: ("DVI4", 16000),
    7: ("LPC", 8000),
    8: ("PCMA", 8000),
    9: ("G722", 8000),
    10: ("L16", 44100),
    11: ("L16", 44100),
    12: ("QCELP", 8000),
    13: ("CN", 8000),
    14: ("MPA", 90000),
    15: ("G728", 8000),
    16: ("DVI4", 11025),
    17: ("DVI4", 22050),
    18: ("G729", 8000),
    25: ("CelB", 90000),
    26: ("JPEG", 90000),
    28: ("nv", 90000),
    31: ("H261", 90000),
    32: ("MPV", 90000),
    33: ("MP2T", 90000),
    34: ("H263", 90000),
}
_STATIC_CHANNELS: Final = {10: 2, 11: 1}
_MAX_FORMATS: Final = 32
# TP-Link and Mercury write this where the payload type belongs.
_SMART: Final = re.compile(r"smart/\d+/\d+", re.IGNORECASE)


@frozen(kw_only=True)
class Format:
    """One payload type of a media."""

    payload_type: int
    encoding: str = ""
    """As the rtpmap writes it; compare in lower case."""
    clock_rate: int = 0
    """0 where unknown: such packets pass, without times and reports."""
    channels: int | None = None
    parameters: Mapping[str, str] = field(factory=dict, hash=False)
    """The fmtp, keys in lower case."""

    @property
    def codec(self) -> str:
        """The encoding in lower case, for comparison."""
        return self.encoding.lower()

    @property
    def is_mpeg_ts(self) -> bool:
        """Whether the payload is an MPEG transport stream."""
        return self.payload_type == MPEG_TS_PAYLOAD_TYPE or self.codec == "mp2t"

    @classmethod
    def mpeg_ts(cls) -> Self:
        """An MPEG transport stream in RTP."""
        return cls(payload_type=MPEG_TS_PAYLOAD_TYPE, encoding="MP2T", clock_rate=90000)


@frozen(kw_only=True)
class Media:
    """One stream of packets that is set up by itself."""

    kind: str = "video"
    formats: tuple[Format, ...] = ()
    control: str | None = None
    """The control attribute as written; None where there is none."""
    protocol: str = "RTP/AVP"
    is_back_channel: bool = False
    """Whether the client is the one who sends."""
    connection: Connection | None = None
    section: MediaSection | None = field(default=None, eq=False, repr=False)
    """The lines this came from, for everything we have no name for."""
    fault: str | None = None
    """Why this media is not understood, where it is not."""
    key_management: str | None = field(default=None, repr=False)
    """What our own description says of the media's SRTP key; a peer's is found by `attributes`."""

    @property
    def is_secure(self) -> bool:
        """Whether its packets are SRTP."""
        return "SAVP" in self.protocol.upper()

    def format_of(self, payload_type: int) -> Format | None:
        """The format with that payload type."""
        for each in self.formats:
            if each.payload_type == payload_type:
                return each
        return None

    def attribute(self, name: str) -> str | None:
        """An attribute of the media's section, where it came from a description."""
        return self.section.attribute(name) if self.section is not None else None

    def attributes(self, name: str) -> list[str]:
        """Every attribute of that name in the media's section, where it came from a description."""
        return self.section.attributes(name) if self.section is not None else []


@frozen(kw_only=True)
class Description:
    """The medias of a stream, and what is said about all of them."""

    medias: tuple[Media, ...]
    title: str = ""
    control: str | None = None
    sdp: SessionDescription | None = field(default=None, eq=False, repr=False)
    """The text this came from."""

    @classmethod
    def parse(cls, data: bytes | str) -> Self:
        """Read a session description; MalformedPacket when it has no media."""
        sdp = SessionDescription.parse(data)
        medias = [_media(section) for section in sdp.medias]
        default = Connection.parse(sdp.first("c") or "")
        medias = [media if media.connection else evolve(media, connection=default) for media in medias]
        if all(media.is_back_channel for media in medias):
            # Cameras that say sendonly everywhere mean themselves.
            medias = [evolve(media, is_back_channel=False) for media in medias]
        title = (sdp.first("s") or "").strip()
        return cls(medias=tuple(medias), title=title, control=sdp.attribute("control") or None, sdp=sdp)

    @classmethod
    def mpeg_ts(cls, title: str = "") -> Self:
        """One media, a transport stream."""
        return cls(medias=(Media(kind="video", formats=(Format.mpeg_ts(),)),), title=title)

    def with_controls(self) -> Self:
        """The same with a control of ours, ``trackID=N``, for each media."""
        medias = tuple(evolve(media, control=f"trackID={index}") for index, media in enumerate(self.medias))
        return evolve(self, medias=medias)

    def to_sdp(self, *, host: str = "0.0.0.0", include_back_channels: bool = False) -> SessionDescription:
        """The description as we write it; *host* is a group's address for multicast.

        Attributes of the original that we have no name for go along, addresses and controls do not.
        """
        has_back_channel = include_back_channels and any(media.is_back_channel for media in self.medias)
        family = "IP6" if ":" in host else "IP4"
        origin = "::1" if family == "IP6" else "127.0.0.1"
        lines = [
            Line("v", "0"),
            Line("o", f"- 0 0 IN {family} {origin}"),
            Line("s", _one_line(self.title) or " "),
            Line("c", f"IN {family} {host}"),
            Line("t", "0 0"),
        ]
        sections = tuple(
            _section(media, has_back_channel)
            for media in self.medias
            if include_back_channels or not media.is_back_channel
        )
        return SessionDescription(tuple(lines), sections)


def _one_line(text: str) -> str:
    return " ".join(text.split())


# Written anew, or true of the connection that the original came by only.
_NOT_COPIED: Final = frozenset(
    {"control", "rtpmap", "fmtp", "sendonly", "recvonly", "sendrecv", "inactive", "key-mgmt", "crypto"}
    | {"ssrc", "range", "rtcp", "rtcp-mux", "source-filter", "mid", "ts-refclk", "mediaclk"}
)


def _section(media: Media, has_back_channel: bool) -> MediaSection:
    payload_types = tuple(str(each.payload_type) for each in media.formats)
    lines = [Line("m", str(MediaLine(media.kind, 0, media.protocol, payload_types)))]
    if media.is_back_channel:
        lines.append(Line("a", "sendonly"))
    if media.control is not None:
        lines.append(Line("a", f"control:{media.control}"))
    if media.key_management is not None:
        lines.append(Line("a", f"key-mgmt:{media.key_management}"))
    for each in media.formats:
        known = _STATIC.get(each.payload_type)
        if each.encoding and known != (each.encoding, each.clock_rate):
            rtpmap = RtpMap(each.payload_type, each.encoding, each.clock_rate, each.channels)
            lines.append(Line("a", f"rtpmap:{rtpmap}"))
        if each.parameters:
            lines.append(Line("a", f"fmtp:{format_fmtp(each.payload_type, each.parameters)}"))
    if media.section is not None:
        others = (each for each in media.section.lines if each.letter == "a")
        lines += [Line("a", each.value) for each in others if each.attribute_name.lower() not in _NOT_COPIED]
    if has_back_channel and not media.is_back_channel:
        lines.append(Line("a", "recvonly"))
    return MediaSection(tuple(lines))


def _media(section: MediaSection) -> Media:
    try:
        line = MediaLine.parse(section.media)
    except MalformedPacket as exc:
        return Media(kind="application", section=section, fault=exc.reason)
    maps = _rtpmaps(section)
    parameters = _fmtps(section)
    formats = tuple(
        _format(payload_type, maps.get(payload_type), parameters.get(payload_type, {}))
        for payload_type in _payload_types(line.formats, maps)
    )
    directions = {each.attribute_name.lower() for each in section.lines if each.letter == "a"}
    return Media(
        kind=line.kind.lower(),
        formats=formats,
        control=section.attribute("control"),
        protocol=line.protocol,
        is_back_channel="sendonly" in directions,
        connection=Connection.parse(section.first("c") or ""),
        section=section,
        fault=None if formats else "media has no payload type",
    )


def _rtpmaps(section: MediaSection) -> dict[int, RtpMap]:
    maps: dict[int, RtpMap] = {}
    for value in section.attributes("rtpmap"):
        try:
            rtpmap = RtpMap.parse(value)
        except MalformedPacket:
            continue
        maps.setdefault(rtpmap.payload_type, rtpmap)
    return maps


def _fmtps(section: MediaSection) -> dict[int, dict[str, str]]:
    found: dict[int, dict[str, str]] = {}
    for value in section.attributes("fmtp"):
        try:
            payload_type, values = parse_fmtp(value)
        except MalformedPacket:
            continue
        found.setdefault(payload_type, {}).update(values)
    return found


def _payload_types(formats: Sequence[str], maps: Mapping[int, RtpMap]) -> list[int]:
    numbers = [int(text) for text in formats if text.isascii() and text.isdigit() and len(text) <= 3]
    if not numbers and any(_SMART.fullmatch(text) for text in formats):
        numbers = list(maps)
    return list(dict.fromkeys(number for number in numbers if number < 128))[:_MAX_FORMATS]


def _format(payload_type: int, rtpmap: RtpMap | None, parameters: Mapping[str, str]) -> Format:
    if rtpmap is not None:
        return Format(
            payload_type=payload_type,
            encoding=rtpmap.encoding,
            clock_rate=rtpmap.clock_rate,
            channels=rtpmap.channels,
            parameters=parameters,
        )
    encoding, clock_rate = _STATIC.get(payload_type, ("", 0))
    return Format(
        payload_type=payload_type,
        encoding=encoding,
        clock_rate=clock_rate,
        channels=_STATIC_CHANNELS.get(payload_type),
        parameters=parameters,
    )
