"""pcapng files, as Wireshark reads them: whole IP packets around UDP datagrams, with comments.

Only what a capture of ours needs: one section, an interface for each link, enhanced packet blocks with
microsecond stamps. Blocks are `IETF draft-ietf-opsawg-pcapng`'s; every one is padded to 32 bits and says its length
at both ends.
"""

from __future__ import annotations

import struct
from ipaddress import ip_address
from typing import Final

from terzetto.primitives.datagrams import Address, Buffer
from terzetto.primitives.time import Micros

__all__ = [
    "interface_block",
    "internet_checksum",
    "packet_block",
    "section_header",
    "udp_packet",
]

_SECTION_HEADER: Final = 0x0A0D0D0A
_INTERFACE: Final = 1
_ENHANCED_PACKET: Final = 6

_BYTE_ORDER_MAGIC: Final = 0x1A2B3C4D
_UNKNOWN_LENGTH: Final = -1
_LINKTYPE_RAW_IP: Final = 101

_END_OF_OPTIONS: Final = 0
_COMMENT: Final = 1
_IF_NAME: Final = 2
_USER_APPLICATION: Final = 4

_UDP: Final = 17
_HOPS: Final = 64


def section_header(application: str = "terzetto") -> bytes:
    """What every file begins with."""
    fixed = struct.pack("<IHHq", _BYTE_ORDER_MAGIC, 1, 0, _UNKNOWN_LENGTH)
    return _block(_SECTION_HEADER, fixed + _options((_USER_APPLICATION, application)))


def interface_block(name: str) -> bytes:
    """Declares the next interface; packets name interfaces by the order of their blocks."""
    # Microseconds and no limit on length are what the format assumes where nothing is said.
    return _block(_INTERFACE, struct.pack("<HHI", _LINKTYPE_RAW_IP, 0, 0) + _options((_IF_NAME, name)))


def packet_block(interface: int, at: Micros, packet: bytes, comment: str = "") -> bytes:
    """One packet, *at* microseconds since the Unix epoch."""
    fixed = struct.pack("<IIIII", interface, at >> 32, at & 0xFFFFFFFF, len(packet), len(packet))
    options = _options((_COMMENT, comment)) if comment else b""
    return _block(_ENHANCED_PACKET, fixed + _padded(packet) + options)


def udp_packet(source: Address, destination: Address, datagram: Buffer) -> bytes:
    """The IPv4 or IPv6 packet around *datagram*, checksums and all."""
    here, there = ip_address(_without_zone(source.host)), ip_address(_without_zone(destination.host))
    if here.version != there.version:
        raise ValueError(f"{source} and {destination} are not of one family")
    length = 8 + len(datagram)
    udp = struct.pack("!HHHH", source.port, destination.port, length, 0) + bytes(datagram)
    pseudo = here.packed + there.packed + struct.pack("!II", length, _UDP)
    # An all-zero checksum means "none", so a computed zero is sent as its other spelling.
    checksum = internet_checksum(pseudo + udp) or 0xFFFF
    udp = udp[:6] + struct.pack("!H", checksum) + udp[8:]
    if here.version == 6:
        header = struct.pack("!IHBB", 6 << 28, length, _UDP, _HOPS)
        return header + here.packed + there.packed + udp
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + length, 0, 0x4000, _HOPS, _UDP, 0)
    header += here.packed + there.packed
    header = header[:10] + struct.pack("!H", internet_checksum(header)) + header[12:]
    return header + udp


def internet_checksum(data: bytes) -> int:
    """RFC 1071: the one's complement of the one's-complement sum of all 16-bit words."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def _block(kind: int, body: bytes) -> bytes:
    length = struct.pack("<I", 12 + len(body))
    return struct.pack("<I", kind) + length + body + length


def _options(*options: tuple[int, str]) -> bytes:
    encoded = b""
    for code, text in options:
        value = text.encode()[:0xFFFF]
        encoded += struct.pack("<HH", code, len(value)) + _padded(value)
    return encoded + struct.pack("<HH", _END_OF_OPTIONS, 0)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)


def _without_zone(host: str) -> str:
    return host.partition("%")[0]
