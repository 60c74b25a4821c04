"""Every RTCP packet, both ways: golden bytes, then whatever Hypothesis makes of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terzetto.errors import MalformedPacket
from terzetto.rtp.app import App
from terzetto.rtp.bye import Bye
from terzetto.rtp.extended_report import (
    DelaySinceLastReceiverReport,
    ExtendedReport,
    ReceiverDelay,
    ReceiverReferenceTime,
    UnknownBlock,
)
from terzetto.rtp.feedback import GenericNack, NackMask
from terzetto.rtp.framing import RtcpPacket
from terzetto.rtp.receiver_report import ReceiverReport
from terzetto.rtp.sdes import CNAME, NAME, TOOL, SdesChunk, SdesItem, SourceDescription
from terzetto.rtp.sender_report import ReportBlock, SenderReport
from tests.strategies import rtcp_packets

GOLDEN: dict[str, tuple[str, RtcpPacket]] = {
    "sender report": (
        "80c80006 12345678 83aa7e80 40000000 00015180 00000100 00002000",
        SenderReport(
            ssrc=0x12345678, ntp=0x83AA7E80_40000000, rtp_timestamp=86400, packet_count=256, octet_count=8192
        ),
    ),
    "sender report of gst-rtsp-server": (
        "80c800060920c8bbeeab6af5d4b61fe2b1bcf3a40000000f00003c00",
        SenderReport(
            ssrc=0x0920C8BB,
            ntp=0xEEAB6AF5_D4B61FE2,
            rtp_timestamp=0xB1BCF3A4,
            packet_count=15,
            octet_count=15360,
        ),
    ),
    "sender report of ffmpeg before its first packet": (
        "80c80006565893e3eeab6a6fed0e56049a27fb880000000000000000",
        SenderReport(ssrc=0x565893E3, ntp=0xEEAB6A6F_ED0E5604, rtp_timestamp=0x9A27FB88),
    ),
    "empty receiver report": ("80c90001 deadbeef", ReceiverReport(0xDEADBEEF)),
    "hole punch": ("80c9000100000000", ReceiverReport(0)),
    "receiver report": (
        "81c90007 00000001 cafebabe 10000102 00010003 00000020 7e804000 00010000",
        ReceiverReport(
            1,
            (
                ReportBlock(
                    ssrc=0xCAFEBABE,
                    fraction_lost=0x10,
                    cumulative_lost=0x102,
                    extended_highest_sequence=0x00010003,
                    jitter=32,
                    last_sr=0x7E804000,
                    delay_since_last_sr=65536,
                ),
            ),
        ),
    ),
    "receiver report of one duplicate": (
        "81c90007230e383d0920c8bb00ffffff000031dc000000026af5d4b6000115e9",
        ReceiverReport(
            0x230E383D,
            (
                ReportBlock(
                    ssrc=0x0920C8BB,
                    cumulative_lost=-1,
                    extended_highest_sequence=12764,
                    jitter=2,
                    last_sr=0x6AF5D4B6,
                    delay_since_last_sr=71145,
                ),
            ),
        ),
    ),
    "receiver report of libRIST, stale SSRC": (
        "81c900071c61921481ca00040000000000000000000000006a606a43000018df",
        ReceiverReport(
            0x1C619214, (ReportBlock(ssrc=0x81CA0004, last_sr=0x6A606A43, delay_since_last_sr=0x18DF),)
        ),
    ),
    "SDES with four zeros": (
        "81ca0004 11223344 0106 72697374676f 00000000",
        SourceDescription.of(0x11223344, "ristgo"),
    ),
    "SDES with one zero": ("81ca0003 11223344 0105 6162636465 00", SourceDescription.of(0x11223344, "abcde")),
    "SDES of libRIST": (
        "81ca00046b848f70010674786e616d6500000000",
        SourceDescription.of(0x6B848F70, "txname"),
    ),
    "SDES of GStreamer": (
        "81ca000c8ceca1ad011c757365723239303335323035333840686f73742d323836396234303606094753747265616d6572000000",
        SourceDescription(
            (
                SdesChunk(
                    0x8CECA1AD,
                    (SdesItem(CNAME, "user2903520538@host-2869b406"), SdesItem(TOOL, "GStreamer")),
                ),
            )
        ),
    ),
    "BYE": ("82cb0002 00000001 00000002", Bye((1, 2))),
    "BYE with a reason": ("81cb0003 00000001 05 6c61746572 0000", Bye((1,), "later")),
    "APP": ("85cc0003 00000007 74657374 01020304", App(5, 7, b"test", b"\1\2\3\4")),
    "generic NACK 1000, 1001, 1003": (
        "81cd0003 00000000 0000cafe 03e80005",
        GenericNack(0, 0xCAFE, (NackMask(1000, 0b101),)),
    ),
    "generic NACK of GStreamer": (
        "81cd0004 05cdbf74 8b900a86 000c2a80 00210000",
        GenericNack(0x05CDBF74, 0x8B900A86, (NackMask(12, 0x2A80), NackMask(33, 0))),
    ),
    "XR RRTR of libRIST 0.2.7": (
        "80cf0004 920efe9b 04000002 83aa82d3e8a49970",
        ExtendedReport(0x920EFE9B, (ReceiverReferenceTime(0x83AA82D3_E8A49970),)),
    ),
    "XR DLRR": (
        "80cf0005 00000001 05000003 00000002 00000003 00000004",
        ExtendedReport(1, (DelaySinceLastReceiverReport((ReceiverDelay(2, 3, 4),)),)),
    ),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_bytes_and_values_are_the_same_thing(name: str) -> None:
    encoded, value = GOLDEN[name]
    assert type(value).decode(bytes.fromhex(encoded)) == value
    assert value.encode() == bytes.fromhex(encoded)


def test_type_77_is_read_as_an_extended_report() -> None:
    data = bytes.fromhex("804d0004 f77648b1 04000002 83aa8485166304b6")
    assert ExtendedReport.decode(data) == ExtendedReport(
        0xF77648B1, (ReceiverReferenceTime(0x83AA8485_166304B6),)
    )


def test_a_description_without_its_ending_zero_is_accepted() -> None:
    assert SourceDescription.decode(bytes.fromhex("81ca0002 00000001 01026162")).cname == "ab"


def test_each_chunk_of_a_description_starts_on_a_word() -> None:
    chunks = (SdesChunk(1, (SdesItem(CNAME, "a"), SdesItem(NAME, "bc"))), SdesChunk(2), SdesChunk(3, ()))
    encoded = SourceDescription(chunks).encode()
    assert encoded.hex() == "83ca000700000001010161020262630000000002000000000000000300000000"
    assert SourceDescription.decode(encoded) == SourceDescription(chunks)


def test_a_description_of_nobody_has_no_name() -> None:
    assert SourceDescription().cname is None
    assert SourceDescription((SdesChunk(1, (SdesItem(TOOL, "x"),)),)).cname is None


def test_text_that_is_no_utf8_is_shown_as_such() -> None:
    assert SourceDescription.decode(bytes.fromhex("81ca0002 00000001 0102ff61")).cname == "\ufffda"


@pytest.mark.parametrize(
    "packet",
    [
        SourceDescription.of(1, "x" * 256),
        SourceDescription((SdesChunk(1, (SdesItem(0, "x"),)),)),
        Bye((1,), "x" * 256),
        Bye(tuple(range(32))),
        App(0, 0, b"RIS", b""),
        App(32, 0, b"RIST", b""),
        App(0, 0, b"RIST", b"abc"),
        ExtendedReport(1, (UnknownBlock(9, 0, b"abc"),)),
    ],
)
def test_what_no_field_can_hold_is_a_mistake_of_the_caller(packet: RtcpPacket) -> None:
    with pytest.raises(ValueError, match=r"."):
        packet.encode()


def test_losses_beyond_24_bits_are_sent_as_the_nearest() -> None:
    many = ReceiverReport(1, (ReportBlock(ssrc=2, cumulative_lost=1 << 30),))
    assert ReceiverReport.decode(many.encode()).blocks[0].cumulative_lost == (1 << 23) - 1


def test_a_time_block_of_another_length_is_kept_unread() -> None:
    data = bytes.fromhex("80cf0003 00000001 04000001 83aa82d3")
    assert ExtendedReport.decode(data).blocks == (UnknownBlock(4, 0, bytes.fromhex("83aa82d3")),)


@pytest.mark.parametrize(
    ("kind", "data", "reason"),
    [
        (SenderReport, "80c90001deadbeef", "RTCP packet is of another type"),
        (ReceiverReport, "80c90001deadbeef00", "RTCP packet is followed by other bytes"),
        (ReceiverReport, "40c90001deadbeef", "RTCP version is not 2"),
        (ReceiverReport, "80c90002deadbeef", "RTCP packet is truncated"),
        (ReceiverReport, "80c90000", "receiver report is truncated"),
        (ReceiverReport, "81c90001deadbeef", "RTCP report blocks are truncated"),
        (ReceiverReport, "a0c90001deadbe05", "RTCP padding is longer than the packet"),
        (ReceiverReport, "a0c90000", "RTCP padding is longer than the packet"),
        (SenderReport, "80c80001deadbeef", "sender report is truncated"),
        (SourceDescription, "82ca0002000000010100 0000", "SDES chunk is truncated"),
        (SourceDescription, "81ca0002000000010103 6162", "SDES item is truncated"),
        (Bye, "82cb000100000001", "BYE is truncated"),
        (Bye, "80cb000104000001", "reason of a BYE is truncated"),
        (App, "80cc000100000001", "APP packet is truncated"),
        (GenericNack, "81cd000100000001", "generic NACK is truncated"),
        (GenericNack, "8fcd00020000000100000001", "transport feedback is no generic NACK"),
        (ExtendedReport, "80cf0000", "extended report is truncated"),
        (ExtendedReport, "80cf00020000000104000002", "extended report block is truncated"),
    ],
)
def test_what_does_not_fit_is_malformed(kind: type[RtcpPacket], data: str, reason: str) -> None:
    with pytest.raises(MalformedPacket) as caught:
        kind.decode(bytes.fromhex(data))
    assert caught.value.reason == reason


def test_padding_is_taken_off() -> None:
    assert ReceiverReport.decode(bytes.fromhex("a0c90002deadbeef00000004")) == ReceiverReport(0xDEADBEEF)


@given(rtcp_packets)
def test_every_packet_survives_the_wire(packet: RtcpPacket) -> None:
    encoded = packet.encode()
    assert len(encoded) % 4 == 0
    assert type(packet).decode(memoryview(encoded)) == packet


@given(rtcp_packets)
def test_every_prefix_of_a_packet_is_malformed(packet: RtcpPacket) -> None:
    encoded = packet.encode()
    for size in range(len(encoded)):
        with pytest.raises(MalformedPacket):
            type(packet).decode(encoded[:size])


KINDS: list[type[RtcpPacket]] = [
    SenderReport,
    ReceiverReport,
    SourceDescription,
    Bye,
    App,
    GenericNack,
    ExtendedReport,
]


@given(st.sampled_from(KINDS), st.integers(0, 31), st.booleans(), st.binary(max_size=64))
def test_a_strangers_bytes_are_understood_or_malformed(
    kind: type[RtcpPacket], count: int, padded: bool, body: bytes
) -> None:
    body += bytes(-len(body) % 4)
    header = bytes((0x80 | padded << 5 | count, kind.packet_types[0])) + (len(body) // 4).to_bytes(2, "big")
    try:
        packet = kind.decode(header + body)
    except MalformedPacket:
        return
    assert isinstance(packet, kind)


@given(st.sampled_from(KINDS), st.binary(max_size=64))
def test_random_bytes_are_understood_or_malformed(kind: type[RtcpPacket], data: bytes) -> None:
    try:
        packet = kind.decode(data)
    except MalformedPacket:
        return
    assert isinstance(packet, kind)
