from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terzetto.errors import MalformedPacket
from terzetto.primitives.datagrams import Buffer
from terzetto.rist.core.advanced_pieces import (
    LARGEST_UNIT,
    Piece,
    UnitAssembler,
    compress,
    decompress,
    fragment,
)
from terzetto.rist.core.counters import AdvancedCounters
from terzetto.rist.events import OutOfBandReceived, RistPacket
from terzetto.rist.wire.advanced_header import Flag, PayloadType


def packets(payloads: list[Buffer], lost: set[int] = frozenset()) -> list[RistPacket]:  # type: ignore[assignment]
    """What leaves the recovery buffer when those sequences never came."""
    told: list[RistPacket] = []
    missing = 0
    for sequence, payload in enumerate(payloads):
        if sequence in lost:
            missing += 1
            continue
        kept = payload if isinstance(payload, bytes) else bytes(payload)
        told.append(RistPacket(kept, sequence, 0.0, 2, 0, missing))
        missing = 0
    return told


def test_blocks_of_lz4_are_as_other_implementations_write_them() -> None:
    text = b"hello hello hello hello world world world world!!!"
    assert decompress(bytes.fromhex("6e68656c6c6f2006005c776f726c640600506c64212121")) == text
    assert decompress(bytes.fromhex("1f470100ff78504747474747")) == b"\x47" * 400
    packed = compress(text)
    assert isinstance(packed, Piece)
    assert packed.is_compressed
    assert len(packed) < len(text)
    assert decompress(packed) == text


def test_what_does_not_shrink_is_sent_as_it_is() -> None:
    noise = Random(1).randbytes(1316)
    assert compress(noise) is noise


def test_a_bomb_is_refused() -> None:
    packed = compress(bytes(100_000))
    with pytest.raises(MalformedPacket):
        decompress(packed)
    assembler = UnitAssembler(Counter(), AdvancedCounters())
    assert assembler.take(packets([Piece(compress(bytes(LARGEST_UNIT + 1)), is_compressed=True)])) == []


@given(st.binary(max_size=200))
def test_noise_is_refused_or_bounded(data: bytes) -> None:
    try:
        assert len(decompress(data)) <= 10_000
    except MalformedPacket:
        pass


@given(st.binary(min_size=1, max_size=400), st.integers(1, 60), st.booleans())
def test_fragments_make_the_payload_again(payload: bytes, size: int, is_compressed: bool) -> None:
    unit = compress(payload * 3) if is_compressed else payload
    pieces = fragment(unit, size)
    assert all(len(piece) <= size for piece in pieces)
    (whole,) = UnitAssembler(Counter(), AdvancedCounters()).take(packets(pieces))
    assert whole.payload == (payload * 3 if is_compressed else payload)
    assert type(whole.payload) is bytes


def test_a_hole_costs_the_unit_it_is_in_and_no_other() -> None:
    units = [bytes([n]) * 30 for n in range(6)]
    pieces = [piece for unit in units for piece in fragment(unit, 10)]
    for lost in range(len(pieces)):
        dropped: Counter[str] = Counter()
        whole = UnitAssembler(dropped, AdvancedCounters()).take(packets(pieces, {lost}))
        assert [packet.payload for packet in whole] == [
            unit for number, unit in enumerate(units) if number != lost // 3
        ]
        assert sum(packet.lost_before for packet in whole) == (1 if lost < 15 else 0)
        assert dropped.total() == (0 if lost == 17 else 2)


def test_whole_packets_between_fragments_come_through() -> None:
    first, middle, _ = fragment(bytes(30), 10)
    dropped: Counter[str] = Counter()
    whole = UnitAssembler(dropped, AdvancedCounters()).take(
        packets([first, middle, b"whole", middle, first, *fragment(b"x" * 20, 10)])
    )
    assert [packet.payload for packet in whole] == [b"whole", b"x" * 20]
    assert dropped.total() == 4


def test_a_unit_that_never_ends_is_given_up() -> None:
    dropped: Counter[str] = Counter()
    assembler = UnitAssembler(dropped, AdvancedCounters())
    first, middle, last = fragment(bytes(3000), 1000)
    for _ in range(1000):
        assert assembler.take(packets([first, *[middle] * 100])) == []
        assert assembler._size <= LARGEST_UNIT
    assert assembler.take(packets([first, middle, last]))[0].payload == bytes(3000)


def test_what_is_no_media_comes_out_beside_it_in_order() -> None:
    assembler = UnitAssembler(Counter(), AdvancedCounters())
    ipv4 = Piece(b"\x45...", kind=PayloadType.IPV4)
    gre = Piece(b"\0\0\x12\x34inside", kind=PayloadType.GRE)
    summed = Piece(b"\x80\0\x12\x34sum!inside", kind=PayloadType.GRE)
    halves = [
        Piece(b"\x60", fragment=Flag.FIRST, kind=PayloadType.IPV6),
        Piece(b"..", fragment=Flag.LAST, kind=PayloadType.IPV6),
    ]
    control = Piece(b"", kind=PayloadType.CONTROL)
    datagram = [
        Piece(b"\x07\xb0\x07\xb3me", fragment=Flag.FIRST, kind=PayloadType.REDUCED_UDP),
        Piece(b"dia", fragment=Flag.LAST, kind=PayloadType.REDUCED_UDP),
    ]
    whole = assembler.take(packets([b"media", ipv4, gre, summed, *halves, control, *datagram]))
    assert [packet.payload for packet in whole] == [b"media", b"media"]
    assert assembler.out_of_band == [
        OutOfBandReceived(0x0800, b"\x45..."),
        OutOfBandReceived(0x1234, b"inside"),
        OutOfBandReceived(0x1234, b"inside"),
        OutOfBandReceived(0x86DD, b"\x60.."),
    ]
