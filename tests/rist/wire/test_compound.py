"""Whole datagrams of RTCP as libRIST 0.2.7 sends them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from terzetto.rist.wire.compound import decode_rist_compound
from terzetto.rist.wire.echo import EchoRequest, EchoResponse
from terzetto.rist.wire.range_nack import NackRange, RangeNack
from terzetto.rtp.app import App
from terzetto.rtp.extended_report import ExtendedReport, ReceiverReferenceTime
from terzetto.rtp.framing import RtcpPacket
from terzetto.rtp.receiver_report import ReceiverReport
from terzetto.rtp.rtcp import Compound, encode_compound
from terzetto.rtp.sdes import SourceDescription
from terzetto.rtp.sender_report import ReportBlock, SenderReport

FLOW = 0x6B848F70
TX = SourceDescription.of(FLOW, "txname")
RX = SourceDescription.of(FLOW, "rxname")


def check(encoded: str, *packets: RtcpPacket) -> None:
    """The datagram is understood whole and, written again, is the same bytes."""
    compound = decode_rist_compound(bytes.fromhex(encoded))
    assert compound == Compound(packets)
    assert encode_compound(compound.packets) == bytes.fromhex(encoded)


def test_a_sender_starts_with_a_report_and_its_name() -> None:
    check(
        "80c800066b848f70eeab6a80ba1fa8e3d97684cc0000000000000000 81ca00046b848f70010674786e616d6500000000",
        SenderReport(ssrc=FLOW, ntp=0xEEAB6A80_BA1FA8E3, rtp_timestamp=0xD97684CC),
        TX,
    )


def test_a_receiver_reports_names_itself_and_asks_for_the_round_trip() -> None:
    check(
        "81c900076b848f70000000000000000000000000000000000000000082f439f7"
        "81ca00046b848f70010672786e616d6500000000"
        "80cf0004bd18da990400000283aa82f439f778f2"
        "82cc0005bd18da995249535483aa82f439f7797700000000",
        ReceiverReport(FLOW, (ReportBlock(ssrc=0, delay_since_last_sr=0x82F439F7),)),
        RX,
        ExtendedReport(0xBD18DA99, (ReceiverReferenceTime(0x83AA82F4_39F778F2),)),
        EchoRequest(0xBD18DA99, 0x83AA82F4_39F77977),
    )


def test_a_sender_asks_for_the_round_trip() -> None:
    check(
        "80c900016b848f70 81ca00046b848f70010674786e616d6500000000"
        "82cc00056b848f705249535483aa82f439f907d300000000",
        ReceiverReport(FLOW),
        TX,
        EchoRequest(FLOW, 0x83AA82F4_39F907D3),
    )


def test_a_receiver_answers_it() -> None:
    check(
        "80c900016b848f70 81ca00046b848f70010672786e616d6500000000"
        "83cc00056b848f705249535483aa82f439f907d300000000",
        ReceiverReport(FLOW),
        RX,
        EchoResponse(FLOW, 0x83AA82F4_39F907D3),
    )


def test_a_receiver_asks_for_a_lost_packet() -> None:
    ssrc = 0x40D93EC4
    check(
        "80c9000140d93ec4 81ca000440d93ec4010672786e616d6500000000 80cc000340d93ec45249535400050000",
        ReceiverReport(ssrc),
        SourceDescription.of(ssrc, "rxname"),
        RangeNack(ssrc, (NackRange(5),)),
    )


def test_stale_memory_in_a_periodic_compound_does_no_harm() -> None:
    compound = decode_rist_compound(
        bytes.fromhex(
            "81c900071c61921481ca00040000000000000000000000006a606a43000018df"
            "81ca00041c619214010672786e616d6500000000"
            "82cc0005920efe9b5249535483aa82d402f2bdc882cc0005"
        )
    )
    assert compound.fault is None
    assert compound.packets == (
        ReceiverReport(
            0x1C619214, (ReportBlock(ssrc=0x81CA0004, last_sr=0x6A606A43, delay_since_last_sr=0x18DF),)
        ),
        SourceDescription.of(0x1C619214, "rxname"),
        EchoRequest(0x920EFE9B, 0x83AA82D4_02F2BDC8),
    )


def test_app_packets_nobody_knows_are_counted() -> None:
    strange = encode_compound([App(17, 1, b"RIST"), App(0, 1, b"TEST")])
    assert decode_rist_compound(strange) == ((), 2, None)


def test_a_broken_message_spoils_only_itself() -> None:
    data = encode_compound([ReceiverReport(1), App(2, 1, b"RIST", bytes(8)), TX])
    assert decode_rist_compound(data) == ((ReceiverReport(1), TX), 0, "echo is truncated")


def test_a_nack_too_short_for_its_name_spoils_only_itself() -> None:
    assert decode_rist_compound(bytes.fromhex("80cc000100000001")) == ((), 0, "APP packet is truncated")


@given(st.binary(max_size=120))
def test_random_bytes_never_raise(data: bytes) -> None:
    assert 4 * len(decode_rist_compound(data).packets) <= len(data)


@given(st.integers(0, 31), st.binary(max_size=40))
def test_random_messages_never_raise(subtype: int, data: bytes) -> None:
    encoded = App(subtype, 1, b"RIST", data + bytes(-len(data) % 4)).encode()
    packets, unknown, fault = decode_rist_compound(encoded)
    assert len(packets) + unknown + (fault is not None) == 1
