"""pcapng blocks are what the format says, checked with a reader that shares no code with the writer."""

from __future__ import annotations

import struct
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terzetto.primitives.datagrams import Address
from terzetto.primitives.pcapng import interface_block, packet_block, section_header, udp_packet


class Block(NamedTuple):
    kind: int
    body: bytes


def read_blocks(data: bytes) -> list[Block]:
    blocks = []
    at = 0
    while at < len(data):
        kind, length = struct.unpack_from("<II", data, at)
        assert length % 4 == 0
        assert struct.unpack_from("<I", data, at + length - 4) == (length,)
        blocks.append(Block(kind, data[at + 8 : at + length - 4]))
        at += length
    return blocks


def read_options(data: bytes) -> dict[int, str]:
    options = {}
    at = 0
    while at < len(data):
        code, length = struct.unpack_from("<HH", data, at)
        if code == 0:
            break
        options[code] = data[at + 4 : at + 4 + length].decode()
        at += 4 + length + -length % 4
    return options


def sums_to_zero(data: bytes) -> bool:
    total = 0
    for at in range(0, len(data) - 1, 2):
        total += data[at] << 8 | data[at + 1]
    total += (data[-1] << 8) if len(data) % 2 else 0
    return total % 0xFFFF == 0


def test_a_file_opens_with_a_section_and_its_interfaces() -> None:
    section, interface = read_blocks(section_header("tests") + interface_block("a -> b"))
    assert section.kind == 0x0A0D0D0A
    assert struct.unpack_from("<IHHq", section.body) == (0x1A2B3C4D, 1, 0, -1)
    assert read_options(section.body[16:]) == {4: "tests"}
    assert interface.kind == 1
    assert struct.unpack_from("<HHI", interface.body) == (101, 0, 0)
    assert read_options(interface.body[8:]) == {2: "a -> b"}


@pytest.mark.parametrize("comment", ["", "lost", "über"])
def test_a_packet_carries_time_length_and_comment(comment: str) -> None:
    at = 1_767_225_600_123_456
    [block] = read_blocks(packet_block(3, at, b"12345", comment))
    interface, high, low, captured, original = struct.unpack_from("<IIIII", block.body)
    assert (block.kind, interface, high << 32 | low, captured, original) == (6, 3, at, 5, 5)
    assert block.body[20:28] == b"12345\0\0\0"
    assert read_options(block.body[28:]) == ({1: comment} if comment else {})


@given(st.binary(max_size=200), st.integers(0, 65535), st.integers(0, 65535))
def test_ipv4_packets_have_right_lengths_and_checksums(data: bytes, sport: int, dport: int) -> None:
    packet = udp_packet(Address("10.0.0.1", sport), Address("192.0.2.255", dport), data)
    assert packet[0] == 0x45
    assert struct.unpack_from("!H", packet, 2) == (len(packet),)
    assert packet[9] == 17
    assert packet[12:20] == bytes([10, 0, 0, 1, 192, 0, 2, 255])
    assert sums_to_zero(packet[:20])
    assert struct.unpack_from("!HHH", packet, 20) == (sport, dport, 8 + len(data))
    assert sums_to_zero(packet[12:20] + struct.pack("!HH", 17, 8 + len(data)) + packet[20:])
    assert packet[26:28] != b"\0\0"
    assert packet[28:] == data


@given(st.binary(max_size=200))
def test_ipv6_packets_have_right_lengths_and_checksums(data: bytes) -> None:
    packet = udp_packet(Address("fe80::1%eth0", 7), Address("2001:db8::2", 8), data)
    assert packet[0] >> 4 == 6
    assert struct.unpack_from("!HB", packet, 4) == (8 + len(data), 17)
    assert sums_to_zero(packet[8:40] + struct.pack("!II", 8 + len(data), 17) + packet[40:])
    assert packet[48:] == data


def test_families_do_not_mix() -> None:
    with pytest.raises(ValueError, match="not of one family"):
        udp_packet(Address("10.0.0.1", 1), Address("::1", 1), b"")
