from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terzetto.errors import MalformedPacket
from terzetto.primitives.fec import Layout
from terzetto.rist.wire.fec_2022_5 import decode_fec, encode_fec
from terzetto.rist.wire.fec_packet import FecPacket
from tests.rist.wire.test_fec_2022_1 import encode_line

ROW = "0000fffe 000007c0 00060000 00400100 88886677"


def test_four_packets_across_the_wrap_make_the_known_parity() -> None:
    parity = encode_line(Layout(columns=4))
    packet = FecPacket(
        base=parity.line.base & 0xFFFF,
        offset=1,
        number=4,
        timestamp=parity.fields & 0xFFFF_FFFF,
        length=parity.length,
        body=parity.body,
        is_row=True,
        header=parity.fields >> 32,
    )
    assert encode_fec(packet) == bytes.fromhex(ROW)
    assert decode_fec(bytes.fromhex(ROW)) == packet


def test_every_field_stands_in_its_place() -> None:
    # Padding bit, CC of ten, marker, payload type 0x55; an offset of 0x2aa is beyond what a matrix this high allows.
    packet = FecPacket(
        base=0x1234,
        offset=0x2AA,
        number=0x155,
        timestamp=0xAABBCCDD,
        length=0x0102,
        body=b"",
        is_row=False,
        header=0x2AD5,
    )
    assert encode_fec(packet) == bytes.fromhex("2ad51234 aabbccdd 01020000 aa805540")
    with pytest.raises(MalformedPacket, match="column"):
        decode_fec(encode_fec(packet))


@pytest.mark.parametrize(
    ("offset", "number", "is_allowed"),
    [
        (1, 1020, True),
        (1, 3, False),
        (1, 1021, False),
        (1020, 5, True),
        (1020, 6, False),
        (20, 255, True),
        (20, 256, False),
        (20, 3, False),
        (0, 4, False),
    ],
)
def test_geometry_beyond_the_standard_is_malformed(offset: int, number: int, is_allowed: bool) -> None:
    data = encode_fec(FecPacket(7, offset, number, 0, 0, b"", False))
    if is_allowed:
        assert decode_fec(data)[1:3] == (offset, number)
    else:
        with pytest.raises(MalformedPacket):
            decode_fec(data)


@given(st.binary(max_size=60))
def test_strangers_bytes_are_read_or_malformed(data: bytes) -> None:
    try:
        packet = decode_fec(data)
    except MalformedPacket:
        return
    assert decode_fec(encode_fec(packet)) == packet
