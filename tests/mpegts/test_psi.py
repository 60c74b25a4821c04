from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terzetto.errors import MalformedPacket
from terzetto.mpegts.packet import PACKET_SIZE
from terzetto.mpegts.psi import (
    ElementaryStream,
    ProgramAssociation,
    ProgramMap,
    crc32_mpeg,
    pack_section,
    unpack_section,
)
from tests.strategies import u16

pids = st.integers(0, 0x1FFF)
descriptors = st.binary(max_size=20)
associations = st.builds(
    ProgramAssociation, u16, st.lists(st.tuples(u16, pids), max_size=20).map(tuple), st.integers(0, 31)
)
maps = st.builds(
    ProgramMap,
    u16,
    pids,
    st.lists(st.builds(ElementaryStream, st.integers(0, 255), pids, descriptors), max_size=4).map(tuple),
    descriptors,
    st.integers(0, 31),
)


def test_the_check_value_of_crc_32_mpeg_2() -> None:
    assert crc32_mpeg(b"123456789") == 0x0376E6E7


def test_the_pat_that_ffmpeg_writes() -> None:
    section = bytes.fromhex("00b00d0001c100000001f0002ab104b2")
    assert ProgramAssociation.decode(section) == ProgramAssociation(1, ((1, 0x1000),))
    assert ProgramAssociation(1, ((1, 0x1000),)).encode() == section


def test_the_pmt_that_ffmpeg_writes_for_h264_video() -> None:
    section = bytes.fromhex("02b0120001c10000e100f0001be100f00015bd4d56")
    assert ProgramMap.decode(section) == ProgramMap(1, 0x100, (ElementaryStream(0x1B, 0x100),))
    assert ProgramMap(1, 0x100, (ElementaryStream(0x1B, 0x100),)).encode() == section


@given(associations)
def test_every_pat_survives(table: ProgramAssociation) -> None:
    section = table.encode()
    assert ProgramAssociation.decode(section) == table
    assert unpack_section(pack_section(section, 0, 5)) == section


@given(maps)
def test_every_pmt_survives(table: ProgramMap) -> None:
    section = table.encode()
    assert ProgramMap.decode(memoryview(section)) == table
    assert unpack_section(pack_section(section, 0x1000, 5)) == section


@given(st.one_of(associations, maps), st.data())
def test_prefixes_and_flipped_bits_are_malformed(
    table: ProgramAssociation | ProgramMap, data: st.DataObject
) -> None:
    section = table.encode()
    for size in range(len(section)):
        with pytest.raises(MalformedPacket):
            table.decode(section[:size])
    bit = data.draw(st.integers(0, 8 * len(section) - 1))
    broken = bytearray(section)
    broken[bit // 8] ^= 1 << bit % 8
    with pytest.raises(MalformedPacket):
        table.decode(bytes(broken))


@given(st.sampled_from([ProgramAssociation, ProgramMap]), st.binary(max_size=60))
def test_sections_with_a_right_checksum_and_strange_contents_are_read_or_malformed(
    kind: type[ProgramAssociation | ProgramMap], body: bytes
) -> None:
    head = bytes((kind.TABLE_ID,)) + (0xB000 | 9 + len(body)).to_bytes(2, "big") + bytes.fromhex("0001c10000")
    section = head + body + crc32_mpeg(head + body).to_bytes(4, "big")
    try:
        table = kind.decode(section)
    except MalformedPacket:
        return
    assert len(table.encode()) == len(section)


@given(st.binary(max_size=PACKET_SIZE))
def test_strange_packets_hold_a_section_or_are_malformed(data: bytes) -> None:
    packet = (b"\x47" + data).ljust(PACKET_SIZE, b"\xff")[:PACKET_SIZE]
    try:
        section = unpack_section(packet)
    except MalformedPacket:
        return
    assert 3 <= len(section) <= PACKET_SIZE


def test_a_section_too_long_for_a_packet_is_refused() -> None:
    with pytest.raises(ValueError, match="does not fit one packet"):
        pack_section(bytes(184), 0, 0)
    with pytest.raises(ValueError, match="at most 1021 bytes"):
        ProgramAssociation(1, ((1, 1),) * 300).encode()


def test_a_packet_in_which_no_section_begins_is_malformed() -> None:
    packet = b"\x47\x00\x00\x10".ljust(PACKET_SIZE, b"\xff")
    with pytest.raises(MalformedPacket, match="no section begins"):
        unpack_section(packet)
