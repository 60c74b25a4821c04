from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terzetto.errors import MalformedPacket
from terzetto.rtp.header import (
    FIXED_HEADER,
    FIXED_HEADER_SIZE,
    MARKER_BIT,
    PAYLOAD_TYPE_MASK,
    PLAIN_FIRST_BYTE,
    HeaderExtension,
    RtpPacket,
    looks_like_rtcp,
    pack_header,
)
from tests.strategies import u7, u16, u32, words

packets = st.builds(
    RtpPacket,
    payload_type=u7,
    sequence=u16,
    timestamp=u32,
    ssrc=u32,
    payload=st.binary(max_size=40),
    marker=st.booleans(),
    csrcs=st.lists(u32, max_size=15).map(tuple),
    extension=st.none() | st.builds(HeaderExtension, u16, words()),
    padding=st.integers(0, 255),
)


def test_a_plain_media_packet_of_librist() -> None:
    packet = RtpPacket.decode(bytes.fromhex("80210000da93ef3309ba79de4700001052495354"))
    assert packet == RtpPacket(33, 0, 0xDA93EF33, 0x09BA79DE, bytes.fromhex("4700001052495354"))
    assert packet.encode().hex() == "80210000da93ef3309ba79de4700001052495354"


def test_a_retransmission_of_librist_differs_in_the_lowest_bit_of_the_ssrc() -> None:
    packet = RtpPacket.decode(bytes.fromhex("80210005dad7026140d93ec547000510"))
    assert (packet.sequence, packet.ssrc, bytes(packet.payload)) == (5, 0x40D93EC5, b"\x47\x00\x05\x10")


def test_a_packet_with_the_extension_of_null_packet_deletion() -> None:
    data = bytes.fromhex("90210000d978c2a8777dd1b8 52490001 80610000") + bytes(4 * 188)
    packet = RtpPacket.decode(data)
    assert packet.extension == HeaderExtension(0x5249, b"\x80\x61\x00\x00")
    assert packet.payload == bytes(4 * 188)


def test_a_hole_punch_has_an_empty_payload() -> None:
    assert RtpPacket.decode(bytes.fromhex("800000000000000000000000")) == RtpPacket(0, 0, 0, 0, b"")


def test_padding_is_no_part_of_the_payload() -> None:
    data = RtpPacket(96, 1, 2, 3, b"media", padding=3).encode()
    assert data[0] == 0xA0
    assert data.endswith(b"media\0\0\x03")
    assert RtpPacket.decode(data).payload == b"media"


def test_a_packet_may_be_nothing_but_padding() -> None:
    assert RtpPacket.decode(bytes.fromhex("a0600001000000020000000300000004")).payload == b""


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("", "RTP header is truncated"),
        ("8021000000000000000000", "RTP header is truncated"),
        ("402100000000000000000000", "RTP version is not 2"),
        ("8f21000000000000000000000000000100000002", "RTP CSRC list is truncated"),
        ("902100000000000000000000", "RTP header extension is truncated"),
        ("9021000000000000000000005249", "RTP header extension is truncated"),
        ("9021000000000000000000005249ffff00000000", "RTP header extension is truncated"),
        ("a02100000000000000000000", "RTP padding is longer than the payload"),
        ("a0210000000000000000000047474705", "RTP padding is longer than the payload"),
        ("a0210000000000000000000047474700", "RTP padding is longer than the payload"),
        # The count would be the last byte of the CSRC list.
        ("a121000000000000000000000000 0001", "RTP padding is longer than the payload"),
    ],
)
def test_lengths_beyond_the_datagram_are_refused(data: str, reason: str) -> None:
    with pytest.raises(MalformedPacket) as caught:
        RtpPacket.decode(bytes.fromhex(data))
    assert caught.value.reason == reason


def test_an_extension_of_broken_words_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="whole 32-bit words"):
        RtpPacket(96, 0, 0, 0, b"", extension=HeaderExtension(1, b"abc")).encode()


@given(packets)
def test_every_packet_survives_the_wire(packet: RtpPacket) -> None:
    encoded = packet.encode()
    assert RtpPacket.decode(encoded) == packet
    assert RtpPacket.decode(memoryview(encoded)).encode() == encoded


@given(packets)
def test_a_prefix_is_a_shorter_packet_or_malformed(packet: RtpPacket) -> None:
    encoded = packet.encode()
    headers = len(encoded) - len(packet.payload) - packet.padding
    for size in range(len(encoded)):
        if size < headers:
            with pytest.raises(MalformedPacket):
                RtpPacket.decode(encoded[:size])
        elif not packet.padding:
            assert RtpPacket.decode(encoded[:size]).payload == packet.payload[: size - headers]


@given(st.binary(max_size=80))
def test_a_strangers_bytes_decode_to_what_they_hold_or_are_malformed(data: bytes) -> None:
    try:
        packet = RtpPacket.decode(data)
    except MalformedPacket:
        return
    assert len(packet.encode()) == len(data)
    assert len(packet.payload) <= len(data) - 12


@given(u7, u16, u32, u32, st.booleans())
def test_the_fast_encoder_and_the_documented_short_path_agree_with_the_full_ones(
    payload_type: int, sequence: int, timestamp: int, ssrc: int, marker: bool
) -> None:
    header = pack_header(payload_type, sequence, timestamp, ssrc, marker=marker)
    assert header == RtpPacket(payload_type, sequence, timestamp, ssrc, b"", marker).encode()
    assert len(header) == FIXED_HEADER_SIZE
    first, second, *rest = FIXED_HEADER.unpack(header)
    assert first == PLAIN_FIRST_BYTE
    assert (second & PAYLOAD_TYPE_MASK, bool(second & MARKER_BIT)) == (payload_type, marker)
    assert rest == [sequence, timestamp, ssrc]


@pytest.mark.parametrize(
    ("data", "is_rtcp"),
    [("80c80006", True), ("81cd0003", True), ("8021", False), ("80a1", False), ("80", False), ("", False)],
)
def test_rtcp_is_told_from_rtp_by_the_second_byte(data: str, is_rtcp: bool) -> None:
    assert looks_like_rtcp(bytes.fromhex(data)) is is_rtcp
