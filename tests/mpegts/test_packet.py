from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terzetto.errors import MalformedPacket
from terzetto.mpegts.packet import (
    NULL_PID,
    PACKET_SIZE,
    AdaptationField,
    TsHeader,
    is_null_packet,
    null_packet,
    pack_header,
    pack_pcr_packet,
    read_pid,
)


def packet(start: str) -> bytes:
    return bytes.fromhex(start).ljust(PACKET_SIZE, b"\xff")


def test_the_header_of_a_packet_with_payload() -> None:
    header = TsHeader.decode(packet("47 4100 17"))
    assert header == TsHeader(pid=0x100, unit_start=True, continuity=7, has_payload=True)
    assert header.payload_offset == 4


def test_error_priority_and_scrambling_are_read() -> None:
    header = TsHeader.decode(packet("47 a100 d0"))
    assert (header.transport_error, header.priority, header.scrambling) == (True, True, 3)


def test_a_clock_reference_is_read_to_the_tick() -> None:
    # Base 0x1_0000_0001, extension 299: the highest bits of both parts are used.
    header = TsHeader.decode(packet("47 0100 30 07 90 80000000 ff 2b"))
    assert header.adaptation == AdaptationField(8, discontinuity=True, pcr=0x1_0000_0001 * 300 + 299)
    assert header.payload_offset == 12


def test_an_empty_adaptation_field_is_one_byte_of_stuffing() -> None:
    header = TsHeader.decode(packet("47 0100 30 00"))
    assert header.adaptation == AdaptationField(1)
    assert header.payload_offset == 5


def test_random_access_without_a_clock() -> None:
    assert TsHeader.decode(packet("47 0100 30 01 40")).adaptation == AdaptationField(2, random_access=True)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (packet("47 0100 10")[:-1], "TS packet is truncated"),
        (packet("46 0100 10"), "TS packet has no sync byte"),
        (packet("47 0100 30 b7"), "TS adaptation field is longer than the packet"),
        (packet("47 0100 20 b8"), "TS adaptation field is longer than the packet"),
        (packet("47 0100 30 06 10"), "TS adaptation field is too short for its PCR"),
    ],
)
def test_what_does_not_fit_is_malformed(data: bytes, reason: str) -> None:
    with pytest.raises(MalformedPacket) as caught:
        TsHeader.decode(data)
    assert caught.value.reason == reason


def test_an_adaptation_field_may_fill_the_packet() -> None:
    assert TsHeader.decode(packet("47 0100 20 b7 00")).payload_offset == PACKET_SIZE
    assert TsHeader.decode(packet("47 0100 30 b6 00")).payload_offset == PACKET_SIZE - 1


def test_a_null_packet_is_known_by_its_first_three_bytes() -> None:
    assert null_packet() == bytes.fromhex("471fff10") + b"\xff" * 184
    assert is_null_packet(null_packet())
    assert is_null_packet(memoryview(b"x" + null_packet()), 1)
    assert read_pid(null_packet()) == NULL_PID


@pytest.mark.parametrize("start", ["47 5fff 10", "47 9fff 10", "47 3fff 10", "47 1ffe 10"])
def test_a_null_packet_with_any_flag_is_left_alone(start: str) -> None:
    assert not is_null_packet(packet(start))


@given(st.integers(0, 0x1FFF), st.integers(0, 15), st.integers(0, (1 << 33) * 300 - 1), st.booleans())
def test_clock_packets_survive(pid: int, continuity: int, pcr: int, discontinuity: bool) -> None:
    encoded = pack_pcr_packet(pid, continuity, pcr, discontinuity=discontinuity)
    assert len(encoded) == PACKET_SIZE
    header = TsHeader.decode(encoded)
    assert (header.pid, header.continuity, header.has_payload) == (pid, continuity, False)
    assert header.adaptation == AdaptationField(184, discontinuity=discontinuity, pcr=pcr)


@given(st.integers(0, 0x1FFF), st.integers(0, 15), st.booleans())
def test_headers_survive(pid: int, continuity: int, unit_start: bool) -> None:
    encoded = pack_header(pid, continuity, unit_start=unit_start) + bytes(184)
    assert TsHeader.decode(encoded) == TsHeader(pid, unit_start, continuity, has_payload=True)
    assert read_pid(encoded) == pid


@given(st.binary(max_size=24), st.booleans())
def test_strange_packets_are_read_or_malformed(data: bytes, whole: bool) -> None:
    data = (b"\x47" + data).ljust(PACKET_SIZE, b"\x00") if whole else data
    try:
        header = TsHeader.decode(data)
    except MalformedPacket:
        return
    assert 4 <= header.payload_offset <= PACKET_SIZE - header.has_payload
