"""What happens to an RTSP client or server, in the user's words, and packets as the application sees them."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple, TypeAlias

from attrs import frozen

from terzetto.primitives.reconnection import ReconnectGivenUp, ReconnectScheduled
from terzetto.primitives.time import Micros
from terzetto.rtp.onvif_extension import OnvifExtension

__all__ = [
    "ClientEvent",
    "Connected",
    "Disconnected",
    "KeyframeWanted",
    "PacketsLost",
    "PacketsNotUnderstood",
    "PtsQuality",
    "ReconnectGivenUp",
    "ReconnectScheduled",
    "Redirected",
    "RtspPacket",
    "ServerNotice",
    "SourceChanged",
    "SourceLeft",
    "StateChanged",
    "TransportChanged",
]


class PtsQuality(Enum):
    """How much a packet's ``pts`` can be trusted across medias."""

    NONE = "none"
    """There is no time: the clock is unknown, or no picture began yet."""
    ARRIVAL = "arrival"
    """Medias are aligned by when they arrived: off by whatever the server buffered."""
    SENDER_REPORT = "sender report"
    """Medias are aligned by the sender's own clock."""


class RtspPacket(NamedTuple):
    """One RTP packet, in order, with what is known of it."""

    media: int
    """Index of the media in the description."""
    payload_type: int
    sequence: int
    """Extended: it does not wrap."""
    timestamp: int
    marker: bool
    ssrc: int
    data: bytes
    """The whole packet, as it came."""
    payload_start: int = 12
    payload_end: int | None = None
    lost_before: int = 0
    """Packets known to be missing just before this one."""
    pts: Micros | None = None
    """Presentation time, microseconds since the first packet, comparable across medias."""
    pts_quality: PtsQuality = PtsQuality.NONE
    ntp: Micros | None = None
    """The sender's wall clock, microseconds since 1970; None before its first report."""

    @property
    def payload(self) -> bytes:
        """What the packet carries: without header, extension and padding."""
        return self.data[self.payload_start : self.payload_end]

    @property
    def replay(self) -> OnvifExtension | None:
        """Where a packet of a recording stands in it; ONVIF has this on the first packet of each picture."""
        return OnvifExtension.of(self.data)


@frozen
class Connected:
    """The control connection is open."""

    peer: str


@frozen
class Disconnected:
    """The control connection ended."""

    reason: str


@frozen
class Redirected:
    """The server sent us elsewhere."""

    url: str


@frozen
class TransportChanged:
    """Media travels another way than was asked first."""

    transport: str
    reason: str


@frozen
class StateChanged:
    """The session moved on."""

    state: str


@frozen
class ServerNotice:
    """The server asked something of us; it was answered, and nothing else was done about it."""

    method: str
    body: bytes = b""


@frozen
class PacketsLost:
    """Packets of a media are missing, and were not made up for."""

    media: int
    count: int


@frozen
class PacketsNotUnderstood:
    """Packets of a media were dropped because they made no sense. Told at the first, second, fourth, eighth, ..."""

    media: int
    reason: str
    count: int
    """How many there have been, for this reason."""


@frozen
class SourceChanged:
    """Another source (SSRC) sends this media, or a format of it, now: a camera or encoder started anew.

    Formats of a media that have a source each are no change.
    """

    media: int
    ssrc: int


@frozen
class SourceLeft:
    """A source said goodbye (RTCP BYE); the session goes on."""

    media: int
    reason: str
    ssrc: int


@frozen
class KeyframeWanted:
    """A receiver asks for a new picture to start from (PLI or FIR)."""

    media: int


ClientEvent: TypeAlias = (
    Connected
    | Disconnected
    | Redirected
    | TransportChanged
    | ReconnectScheduled
    | ReconnectGivenUp
    | StateChanged
    | ServerNotice
    | PacketsLost
    | PacketsNotUnderstood
    | SourceChanged
    | SourceLeft
    | KeyframeWanted
)
