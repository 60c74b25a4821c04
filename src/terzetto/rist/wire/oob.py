"""Out-of-band data: whole packets of another protocol beside the stream, named by their EtherType.

IPv4 is what libRIST calls out-of-band data; it drops types it does not know. Nothing is repeated, ordered or
buffered, and nothing is routed: bytes go from one application to the other.

`Ipv4Packet` builds and reads the header that libRIST's tools put before their text, so that a text arrives as a
text. It is a convenience for applications, no part of the tunnel.
"""

from __future__ import annotations

from ipaddress import IPv4Address
from struct import Struct
from typing import Final, NamedTuple, Self

from terzetto.errors import MalformedPacket
from terzetto.primitives.datagrams import Buffer
from terzetto.rist.wire.gre import EAPOL, KEEPALIVE, REDUCED, VSF

__all__ = ["LIBRIST_PROTOCOL", "Ipv4Packet", "is_out_of_band_type"]

LIBRIST_PROTOCOL: Final = 252
"""The IP protocol number, free for experiments, of libRIST's texts."""

_LIBRIST_IDENTIFICATION: Final = 54321
_VERSION_AND_LENGTH: Final = 0x45
_DO_NOT_FRAGMENT: Final = 0x4000
_TIME_TO_LIVE: Final = 64
_HEADER: Final = Struct("!BBHHHBBH4s4s")
_SMALLEST_ETHERTYPE: Final = 0x0600
_OURS: Final = frozenset({REDUCED, KEEPALIVE, EAPOL, VSF})


def is_out_of_band_type(ether_type: int) -> bool:
    """Whether data of that type may travel beside the stream: an EtherType that RIST does not use itself."""
    return _SMALLEST_ETHERTYPE <= ether_type <= 0xFFFF and ether_type not in _OURS


class Ipv4Packet(NamedTuple):
    """An IPv4 packet without options."""

    payload: bytes
    source: str = "0.0.0.0"
    destination: str = "0.0.0.0"
    protocol: int = LIBRIST_PROTOCOL
    identification: int = _LIBRIST_IDENTIFICATION

    def encode(self) -> bytes:
        """The packet, its checksum included."""
        length = _HEADER.size + len(self.payload)
        if length > 0xFFFF:
            raise ValueError(f"an IPv4 packet holds {0xFFFF - _HEADER.size} bytes, not {len(self.payload)}")
        fields = (
            _VERSION_AND_LENGTH,
            0,
            length,
            self.identification,
            _DO_NOT_FRAGMENT,
            _TIME_TO_LIVE,
            self.protocol,
        )
        addresses = IPv4Address(self.source).packed, IPv4Address(self.destination).packed
        checksum = _checksum(_HEADER.pack(*fields, 0, *addresses))
        return _HEADER.pack(*fields, checksum, *addresses) + self.payload

    @classmethod
    def decode(cls, data: Buffer) -> Self:
        """Read a packet, its options skipped and its checksum not looked at; MalformedPacket where it is none.

        libRIST 0.2.12 sets neither checksum nor length right, so the payload is all that follows the header.
        """
        if len(data) < _HEADER.size:
            raise MalformedPacket("IPv4 header is truncated")
        first, _tos, _length, identification, _flags, _ttl, protocol, _sum, source, destination = (
            _HEADER.unpack_from(data)
        )
        size = 4 * (first & 0x0F)
        if first >> 4 != 4 or not _HEADER.size <= size <= len(data):
            raise MalformedPacket("not an IPv4 packet")
        return cls(
            bytes(data[size:]),
            str(IPv4Address(source)),
            str(IPv4Address(destination)),
            protocol,
            identification,
        )


def _checksum(header: bytes) -> int:
    """The Internet checksum of RFC 1071."""
    total = sum(int.from_bytes(header[at : at + 2], "big") for at in range(0, len(header), 2))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF
