"""A compound RTCP packet: several packets end to end in one datagram.

Reading is lenient, because deployed senders are not strict: the walk goes by each packet's length, steps over
types it does not know, and ends at the first length that does not fit. What was understood until then counts;
a broken or unknown packet never takes its neighbours with it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from terzetto.errors import MalformedPacket
from terzetto.primitives.datagrams import Buffer
from terzetto.rtp.app import App
from terzetto.rtp.bye import Bye
from terzetto.rtp.extended_report import ExtendedReport
from terzetto.rtp.feedback import GENERIC_NACK_FORMAT, GenericNack
from terzetto.rtp.framing import RtcpPacket, unpack_frame
from terzetto.rtp.receiver_report import ReceiverReport
from terzetto.rtp.sdes import SourceDescription
from terzetto.rtp.sender_report import SenderReport

__all__ = ["Compound", "decode_compound", "encode_compound"]

_KINDS: Final[tuple[type[RtcpPacket], ...]] = (
    SenderReport,
    ReceiverReport,
    SourceDescription,
    Bye,
    App,
    GenericNack,
    ExtendedReport,
)
_BY_TYPE: Final = {packet_type: kind for kind in _KINDS for packet_type in kind.packet_types}


class Compound(NamedTuple):
    """What a datagram of RTCP said.

    ``fault`` is the reason of the first thing that could not be read, fit to be the key of a counter;
    ``unknown`` counts well-formed packets of a type we do not read.
    """

    packets: tuple[RtcpPacket, ...] = ()
    unknown: int = 0
    fault: str | None = None


def decode_compound(data: Buffer) -> Compound:
    """Everything in *data* that can be understood; never raises for what a peer sent."""
    packets: list[RtcpPacket] = []
    unknown = 0
    fault: str | None = None if data else "RTCP header is truncated"
    position = 0
    while position < len(data):
        try:
            count, packet_type, body, size = unpack_frame(data, position)
        except MalformedPacket as exc:
            return Compound(tuple(packets), unknown, fault or exc.reason)
        position += size
        kind = _BY_TYPE.get(packet_type)
        if kind is None or (kind is GenericNack and count != GENERIC_NACK_FORMAT):
            unknown += 1
            continue
        try:
            packets.append(kind.from_body(count, body))
        except MalformedPacket as exc:
            fault = fault or exc.reason
    return Compound(tuple(packets), unknown, fault)


def encode_compound(packets: Iterable[RtcpPacket]) -> bytes:
    """*packets* end to end; the first should be an SR or RR."""
    return b"".join(packet.encode() for packet in packets)
