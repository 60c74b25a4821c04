"""RTCP compounds to and from the vocabulary: the Simple and Main profiles say their feedback this way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from terzetto.primitives.datagrams import Buffer
from terzetto.rist.core import vocabulary as say
from terzetto.rist.options import NackType
from terzetto.rist.wire.compound import decode_rist_compound
from terzetto.rist.wire.echo import EchoRequest, EchoResponse
from terzetto.rist.wire.extseq import ExtendedSequence
from terzetto.rist.wire.link_quality import LinkQuality
from terzetto.rist.wire.nack_records import expand, generic_nacks, range_nacks, split_by_high
from terzetto.rist.wire.range_nack import RangeNack
from terzetto.rtp.bye import Bye
from terzetto.rtp.extended_report import (
    DelaySinceLastReceiverReport,
    ExtendedReport,
    ReceiverDelay,
    ReceiverReferenceTime,
)
from terzetto.rtp.feedback import GenericNack
from terzetto.rtp.framing import RtcpPacket
from terzetto.rtp.receiver_report import ReceiverReport
from terzetto.rtp.rtcp import encode_compound
from terzetto.rtp.sdes import SourceDescription
from terzetto.rtp.sender_report import ReportBlock, SenderReport

__all__ = ["NackType", "compound_from_feedback", "feedback_from_compound"]

# Nothing longer comes back as an echo, however long the request: a probe of the path's MTU fits, a flood does not.
_LONGEST_ECHO_PADDING: Final = 1400


def feedback_from_compound(data: Buffer, dropped: Counter[str]) -> list[say.Feedback]:
    """What a compound says; parts that cannot be understood are counted in *dropped*."""
    compound = decode_rist_compound(data)
    if compound.fault is not None:
        dropped[compound.fault] += 1
    said: list[say.Feedback] = []
    high: int | None = None
    for packet in compound.packets:
        if isinstance(packet, ExtendedSequence):
            high = packet.high
        elif isinstance(packet, (RangeNack, GenericNack)):
            sequences, truncated = expand(packet, high=high)
            if truncated:
                dropped["request for too many packets, cut short"] += 1
            said.append(say.RepeatRequest(packet.media_ssrc, sequences, 16 if high is None else 32))
        else:
            said += _heard(packet)
    return said


def _heard(packet: RtcpPacket) -> list[say.Feedback]:
    match packet:
        case SenderReport():
            return [
                say.SourceReport(
                    packet.ssrc, packet.ntp, packet.rtp_timestamp, packet.packet_count, packet.octet_count
                )
            ]
        case ReceiverReport(blocks=[block, *_]):
            return [
                *_heard_quality(packet),
                say.ReceptionReport(
                    packet.ssrc,
                    block.ssrc,
                    block.fraction_lost,
                    block.cumulative_lost,
                    block.extended_highest_sequence,
                    block.jitter,
                    block.last_sr,
                    block.delay_since_last_sr,
                ),
            ]
        case ReceiverReport():
            return _heard_quality(packet) or [say.ReceptionReport(packet.ssrc)]
        case SourceDescription():
            ssrc = packet.chunks[0].ssrc if packet.chunks else 0
            return [say.Description(ssrc, packet.cname or "")]
        case EchoRequest():
            return [say.EchoRequest(packet.ssrc, packet.timestamp, packet.padding[:_LONGEST_ECHO_PADDING])]
        case EchoResponse():
            return [say.EchoResponse(packet.ssrc, packet.timestamp, packet.delay)]
        case ExtendedReport():
            return _heard_extended(packet)
        case Bye(ssrcs=[ssrc, *_]):
            return [say.Goodbye(ssrc)]
        case _:
            return []


def _heard_quality(report: ReceiverReport) -> list[say.Feedback]:
    quality = LinkQuality.from_report(report)
    return [] if quality is None else [say.LinkQualityReport(report.ssrc, quality)]


def _heard_extended(report: ExtendedReport) -> list[say.Feedback]:
    said: list[say.Feedback] = []
    for block in report.blocks:
        if isinstance(block, ReceiverReferenceTime):
            said.append(say.ReceiverTime(report.ssrc, block.ntp))
        elif isinstance(block, DelaySinceLastReceiverReport):
            said += [
                say.ReceiverTimeAnswer(report.ssrc, delay.ssrc, delay.last_rr, delay.delay_since_last_rr)
                for delay in block.delays[:1]
            ]
    return said


def compound_from_feedback(said: Sequence[say.Feedback], *, nack_type: NackType) -> bytes:
    """One compound that says all of it."""
    packets: list[RtcpPacket] = []
    for thing in said:
        packets += _spoken(thing, nack_type)
    return encode_compound(packets)


def _spoken(thing: say.Feedback, nack_type: NackType) -> Sequence[RtcpPacket]:
    match thing:
        case say.SourceReport(ssrc, ntp, timestamp, packets, octets):
            return [
                SenderReport(
                    ssrc=ssrc, ntp=ntp, rtp_timestamp=timestamp, packet_count=packets, octet_count=octets
                )
            ]
        case say.ReceptionReport(ssrc, None):
            return [ReceiverReport(ssrc=ssrc)]
        case say.ReceptionReport(ssrc, source, fraction, lost, highest, jitter, last, since):
            assert source is not None
            block = ReportBlock(
                ssrc=source,
                fraction_lost=fraction,
                cumulative_lost=lost,
                extended_highest_sequence=highest,
                jitter=jitter,
                last_sr=last,
                delay_since_last_sr=since,
            )
            return [ReceiverReport(ssrc, (block,))]
        case say.LinkQualityReport(ssrc, quality):
            return [quality.to_report(ssrc)]
        case say.Description(ssrc, cname):
            return [SourceDescription.of(ssrc, cname)]
        case say.RepeatRequest(ssrc, sequences, 32):
            return [
                packet
                for high, lows in split_by_high(sequences)
                for packet in (ExtendedSequence(ssrc, high), *_nacks(ssrc, lows, nack_type))
            ]
        case say.RepeatRequest(ssrc, sequences):
            return _nacks(ssrc, sequences, nack_type)
        case say.EchoRequest(ssrc, token, padding):
            return [EchoRequest(ssrc, token, padding)]
        case say.EchoResponse(ssrc, token, held_for, padding):
            return [EchoResponse(ssrc, token, held_for, padding)]
        case say.ReceiverTime(ssrc, ntp):
            return [ExtendedReport(ssrc, (ReceiverReferenceTime(ntp),))]
        case say.ReceiverTimeAnswer(ssrc, source, last, since):
            delay = DelaySinceLastReceiverReport((ReceiverDelay(source, last, since),))
            return [ExtendedReport(ssrc, (delay,))]
        case say.Goodbye(ssrc):
            return [Bye((ssrc,))]
        case say.Hello():
            return []


def _nacks(ssrc: int, sequences: Sequence[int], nack_type: NackType) -> Sequence[RtcpPacket]:
    if nack_type == "bitmask":
        return generic_nacks(0, ssrc, sequences)
    return range_nacks(ssrc, sequences)
