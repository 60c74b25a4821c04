"""The one vocabulary into which every RIST profile is translated.

Senders and receivers speak these values and never ask which profile is on the wire.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

from terzetto.primitives.datagrams import Address, Buffer
from terzetto.primitives.time import Micros
from terzetto.rist.wire.link_quality import LinkQuality

__all__ = [
    "Description",
    "EchoRequest",
    "EchoResponse",
    "Feedback",
    "FeedbackArrival",
    "Goodbye",
    "Hello",
    "LinkQualityReport",
    "Media",
    "MediaArrival",
    "ParityArrival",
    "ReceiverTime",
    "ReceiverTimeAnswer",
    "ReceptionReport",
    "RepeatRequest",
    "SourceReport",
    "narrowed",
]


Media: TypeAlias = tuple[int, int, bytes, bool]
"""One media packet as it came off the wire: sequence and timestamp, still circular, payload, is it a repeat.

A plain tuple, because one is made for every packet: a named one would cost as much as everything else together.
"""


class MediaArrival(NamedTuple):
    """Consecutive media packets of one flow from one peer."""

    peer: Address
    path: int
    local: str | None
    flow_id: int
    packets: list[Media]
    clock_rate: int
    """Ticks a second of the packets' timestamps."""
    sequence_bits: int = 16
    """Where the packets' sequences go round."""
    is_rebuilt: bool = False
    """They never came: forward error correction made them of others."""
    expedited: Sequence[Media] = ()
    """What to hand out at once, if it is new; *packets* then only hold their places in the order."""


def narrowed(arrival: MediaArrival) -> MediaArrival:
    """The same with the lower halves of its sequences alone, for who counts in 16 bits."""
    packets = [
        (sequence & 0xFFFF, timestamp, payload, is_retransmission)
        for sequence, timestamp, payload, is_retransmission in arrival.packets
    ]
    return arrival._replace(packets=packets, sequence_bits=16)


class ParityArrival(NamedTuple):
    """Parities of forward error correction from one peer, each an RTP packet, where they come as media does."""

    peer: Address
    path: int
    local: str | None
    packets: list[Buffer]


class SourceReport(NamedTuple):
    """A media sender says which wall-clock moment its RTP timestamps stand for (RTCP SR)."""

    ssrc: int
    ntp: int
    timestamp: int
    packets: int
    octets: int


class ReceptionReport(NamedTuple):
    """A media receiver says what arrived, and enough to compute a round trip (RTCP RR).

    With ``source`` None it is the empty report that only opens a compound.
    """

    ssrc: int
    source: int | None = None
    fraction_lost: int = 0
    cumulative_lost: int = 0
    highest_sequence: int = 0
    jitter: int = 0
    last_report: int = 0
    """Middle 32 bits of the NTP time in the last SR, 0 for none (LSR)."""
    since_last_report: int = 0
    """Time since that SR in 1/65536 s (DLSR)."""


class Description(NamedTuple):
    """The name a peer gives itself (RTCP SDES CNAME)."""

    ssrc: int
    cname: str


class EchoRequest(NamedTuple):
    """Send this token back at once."""

    ssrc: int
    token: int
    padding: bytes = b""


class EchoResponse(NamedTuple):
    """The token comes back, with the time it was held."""

    ssrc: int
    token: int
    held_for: Micros
    padding: bytes = b""


class ReceiverTime(NamedTuple):
    """A receiver's clock (XR RRTR), for round trips where echo is not spoken."""

    ssrc: int
    ntp: int


class ReceiverTimeAnswer(NamedTuple):
    """The answer to `ReceiverTime` (XR DLRR), naming whom it answers."""

    ssrc: int
    source: int
    last_receiver_time: int
    since_last: int


class RepeatRequest(NamedTuple):
    """A receiver asks for these sequences again (a NACK of either kind); circular numbers, as on the wire."""

    ssrc: int
    sequences: list[int]
    sequence_bits: int = 16
    """Where these go round; 16 where the upper half was not said."""


class LinkQualityReport(NamedTuple):
    """A media receiver says how its link did lately (LQM), so that the source can adapt."""

    ssrc: int
    quality: LinkQuality


class Goodbye(NamedTuple):
    """The peer is leaving (RTCP BYE)."""

    ssrc: int


class Hello(NamedTuple):
    """The peer is there, and says so in a way that needs no name (a keepalive of the Advanced profile)."""

    ssrc: int


Feedback: TypeAlias = (
    SourceReport
    | ReceptionReport
    | Description
    | EchoRequest
    | EchoResponse
    | ReceiverTime
    | ReceiverTimeAnswer
    | RepeatRequest
    | LinkQualityReport
    | Goodbye
    | Hello
)


class FeedbackArrival(NamedTuple):
    """What one peer said in one control datagram, in its order."""

    peer: Address
    path: int
    local: str | None
    said: list[Feedback]
