"""A datagram of RTCP into RIST's own messages, beside the ordinary reports."""

from __future__ import annotations

from typing import Final

from terzetto.errors import MalformedPacket
from terzetto.primitives.datagrams import Buffer
from terzetto.rist.wire.echo import EchoRequest, EchoResponse
from terzetto.rist.wire.extseq import ExtendedSequence
from terzetto.rist.wire.message import RIST_NAME, RistMessage
from terzetto.rist.wire.range_nack import RangeNack
from terzetto.rtp.app import App
from terzetto.rtp.framing import RtcpPacket
from terzetto.rtp.rtcp import Compound, decode_compound

__all__ = ["decode_rist_compound"]

_KINDS: Final[tuple[type[RistMessage], ...]] = (RangeNack, ExtendedSequence, EchoRequest, EchoResponse)
_BY_SUBTYPE: Final = {kind.subtype: kind for kind in _KINDS}


def decode_rist_compound(data: Buffer) -> Compound:
    """Everything in *data* that can be understood, RIST's APP packets as the messages they are; never raises.

    APP packets of another name, and subtypes of RIST that we do not know, are counted as unknown.
    """
    plain = decode_compound(data)
    packets: list[RtcpPacket] = []
    unknown, fault = plain.unknown, plain.fault
    for packet in plain.packets:
        if not isinstance(packet, App):
            packets.append(packet)
            continue
        kind = _BY_SUBTYPE.get(packet.subtype) if packet.name == RIST_NAME else None
        if kind is None:
            unknown += 1
            continue
        try:
            packets.append(kind.from_data(packet.ssrc, packet.data))
        except MalformedPacket as exc:
            fault = fault or exc.reason
    return Compound(tuple(packets), unknown, fault)
