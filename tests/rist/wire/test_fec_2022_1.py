from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terzetto.errors import MalformedPacket
from terzetto.primitives.fec import Decoder, Encoder, Layout, Line, Parity
from terzetto.primitives.sequence import Circle
from terzetto.rist.wire.fec_2022_1 import decode_fec, encode_fec
from terzetto.rist.wire.fec_packet import FecPacket
from terzetto.rtp.header import RtpPacket

# Four packets of payload type 33 across the wrap of the sequence numbers.
MEDIA = [
    (0xFFFE, 1000, bytes.fromhex("00112233")),
    (0xFFFF, 1090, bytes.fromhex("4455")),
    (0x10000, 1180, bytes.fromhex("66778899")),
    (0x10001, 1270, bytes.fromhex("aabbccdd")),
]

COLUMN = "fffe0006 80000000 000007c0 00010400 88886677"
ROW = "fffe0006 80000000 000007c0 40010400 88886677"


def encode_line(layout: Layout) -> Parity:
    encoder = Encoder(layout, first=0xFFFE)
    (parity,) = [
        parity
        for sequence, timestamp, payload in MEDIA
        for parity in encoder.feed(sequence, payload, 33 << 32 | timestamp)
    ]
    return parity


@pytest.mark.parametrize(
    ("layout", "is_row", "text"),
    [
        (Layout(columns=1, rows=4, has_rows=False, has_columns=True), False, COLUMN),
        (Layout(columns=4), True, ROW),
    ],
)
def test_four_packets_across_the_wrap_make_the_known_parity(layout: Layout, is_row: bool, text: str) -> None:
    parity = encode_line(layout)
    packet = FecPacket(
        base=parity.line.base,
        offset=parity.line.step,
        number=parity.line.size,
        timestamp=parity.fields & 0xFFFF_FFFF,
        length=parity.length,
        body=parity.body,
        is_row=is_row,
        header=parity.fields >> 32,
    )
    assert encode_fec(packet) == bytes.fromhex(text)
    assert decode_fec(bytes.fromhex(text)) == packet


def test_a_header_without_the_extension_bit_is_read_all_the_same() -> None:
    assert decode_fec(bytes.fromhex(ROW.replace(" 80", " 00", 1))) == decode_fec(bytes.fromhex(ROW))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("fffe0006 80000000 000007c0 400104", "truncated"),
        (ROW.replace("40010400", "48010400"), "XOR"),
        (ROW.replace("80000000", "80000001"), "mask"),
        (ROW.replace("40010400", "40020400"), "row"),
        (ROW.replace("40010400", "40010300"), "row"),
        (ROW.replace("40010400", "40011500"), "row"),
        (COLUMN.replace("00010400", "00000400"), "column"),
        (COLUMN.replace("00010400", "00010300"), "column"),
        (COLUMN.replace("00010400", "00010000"), "column"),
        (COLUMN.replace("00010400", "00150400"), "column"),
        (COLUMN.replace("00010400", "000b0a00"), "column"),
    ],
)
def test_geometry_beyond_the_standard_is_malformed(text: str, reason: str) -> None:
    with pytest.raises(MalformedPacket, match=reason):
        decode_fec(bytes.fromhex(text))


@given(st.binary(max_size=60))
def test_strangers_bytes_are_read_or_malformed(data: bytes) -> None:
    try:
        packet = decode_fec(data)
    except MalformedPacket:
        return
    assert decode_fec(encode_fec(packet)) == packet


def ffmpegs_packets() -> dict[str, list[RtpPacket]]:
    packets: dict[str, list[RtpPacket]] = {}
    text = (Path(__file__).parent / "data" / "ffmpeg_5_1_prompeg_4x4.hex").read_text()
    for line in text.splitlines():
        kind, data = line.split()
        packets.setdefault(kind, []).append(RtpPacket.decode(bytes.fromhex(data)))
    return packets


def test_a_matrix_of_ffmpegs_prompeg_gives_back_half_of_its_packets() -> None:
    packets = ffmpegs_packets()
    circle = Circle(24)
    first = packets["media"][0].sequence
    decoder = Decoder(window=300, longest=1500)
    # The whole third row is lost, and of the others one packet each.
    lost = {first + each for each in (1, 5, 8, 9, 10, 11, 15)}
    for media in packets["media"]:
        if media.sequence not in lost:
            decoder.take(media.sequence, media.payload, media.timestamp)
    found = {}
    for each in packets["row"] + packets["column"]:
        fec = decode_fec(each.payload)
        line = Line(circle.unwrap(fec.base, first), fec.offset, fec.number)
        for rebuilt in decoder.take_parity(Parity(line, fec.timestamp, fec.length, fec.body)):
            found[rebuilt.sequence] = rebuilt
    assert found.keys() == lost
    for media in packets["media"]:
        if media.sequence in lost:
            assert found[media.sequence].payload == media.payload
            assert found[media.sequence].fields == media.timestamp


def test_our_matrix_is_ffmpegs_to_the_byte() -> None:
    packets = ffmpegs_packets()
    encoder = Encoder(Layout(columns=4, rows=4, has_columns=True), first=packets["media"][0].sequence)
    ours: dict[str, list[bytes]] = {"row": [], "column": []}
    for media in packets["media"][:16]:
        for parity in encoder.feed(media.sequence, media.payload, media.payload_type << 32 | media.timestamp):
            is_row = parity.line.step == 1
            ours["row" if is_row else "column"].append(
                encode_fec(
                    FecPacket(
                        base=parity.line.base,
                        offset=parity.line.step,
                        number=parity.line.size,
                        timestamp=parity.fields & 0xFFFF_FFFF,
                        length=parity.length,
                        body=parity.body,
                        is_row=is_row,
                        header=parity.fields >> 32,
                    )
                )
            )
    assert ours["row"] == [bytes(each.payload) for each in packets["row"]]
    assert ours["column"] == [bytes(each.payload) for each in packets["column"]]
