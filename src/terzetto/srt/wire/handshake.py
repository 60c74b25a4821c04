"""The fixed part of a handshake; `terzetto.srt.wire.extensions` reads what follows it.

::

     0                   1                   2                   3
     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
    +---------------------------------------------------------------+
    |                            version                            |
    +-------------------------------+-------------------------------+
    |           encryption          |           extension           |
    +-------------------------------+-------------------------------+
    |                 initial packet sequence number                |
    +---------------------------------------------------------------+
    |                 maximum transmission unit size                |
    +---------------------------------------------------------------+
    |                    maximum flow window size                   |
    +---------------------------------------------------------------+
    |                         handshake type                        |
    +---------------------------------------------------------------+
    |                         SRT socket id                         |
    +---------------------------------------------------------------+
    |                           SYN cookie                          |
    +---------------------------------------------------------------+
    |                                                               |
    +                  peer IP address (four words)                 +
    |                                                               |
    +---------------------------------------------------------------+
    |                        extension blocks ...                   |
"""

from __future__ import annotations

import ipaddress
import struct
from enum import IntFlag
from typing import Final

import attrs

from terzetto.errors import MalformedPacket
from terzetto.primitives.datagrams import Buffer
from terzetto.srt.wire.numbers import SEQUENCE_MASK

__all__ = [
    "AGREEMENT",
    "CONCLUSION",
    "DATAGRAMS",
    "HANDSHAKE_SIZE",
    "INDUCTION",
    "LARGEST_MSS",
    "MAGIC",
    "REJECTION_BASE",
    "SMALLEST_MSS",
    "WAVEAHAND",
    "BlockFlag",
    "Handshake",
    "decode_peer_ip",
    "encode_peer_ip",
]

_FIXED: Final = struct.Struct("!IHHIIIiII16s")
HANDSHAKE_SIZE: Final = _FIXED.size

MAGIC: Final = 0x4A17
"""In a version 5 listener's induction answer: "I speak SRT, not plain UDT"."""

WAVEAHAND: Final = 0
INDUCTION: Final = 1
CONCLUSION: Final = -1
AGREEMENT: Final = -2
DATAGRAMS: Final = 2
"""The extension field of version 4, and of every induction: "this is UDT's datagram mode", for there was another."""

REJECTION_BASE: Final = 1000
"""Handshake types from here on are refusals: this plus the reason."""

SMALLEST_MSS: Final = 76
LARGEST_MSS: Final = 65_535


class BlockFlag(IntFlag):
    """Which extension blocks follow, in the extension field of a conclusion."""

    CAPABILITIES = 1
    KEY_MATERIAL = 2
    CONFIGURATION = 4


@attrs.frozen(kw_only=True)
class Handshake:
    """One handshake packet's control information."""

    version: int = 5
    encryption: int = 0
    """Key length in eight-byte units (2, 3, 4), or 0 for no opinion."""
    extension: int = 0
    """`BlockFlag` bits in a conclusion, `MAGIC` in a listener's induction, else `DATAGRAMS`."""
    initial_sequence: int
    mss: int = 1500
    flow_window: int
    kind: int
    socket_id: int
    cookie: int = 0
    peer_ip: bytes = bytes(16)
    """As it travels, each word byte-reversed; information only, behind a NAT it is wrong."""
    blocks: bytes = b""

    @classmethod
    def decode(cls, body: Buffer) -> Handshake:
        """Parse a CIF; `MalformedPacket` is the only way to fail."""
        if len(body) < HANDSHAKE_SIZE:
            raise MalformedPacket("handshake is truncated")
        version, encryption, extension, isn, mss, window, kind, socket_id, cookie, ip = _FIXED.unpack_from(
            body
        )
        if version < 4:
            raise MalformedPacket("handshake version is below 4")
        # 0x7FFFFFFF is a legal sequence number, but not one to begin with.
        if isn >= SEQUENCE_MASK:
            raise MalformedPacket("initial sequence number is out of range")
        if not SMALLEST_MSS <= mss <= LARGEST_MSS:
            raise MalformedPacket("maximum segment size is out of range")
        if not 2 <= window <= SEQUENCE_MASK:
            raise MalformedPacket("flow window is out of range")
        return cls(
            version=version,
            encryption=encryption,
            extension=extension,
            initial_sequence=isn,
            mss=mss,
            flow_window=window,
            kind=kind,
            socket_id=socket_id,
            cookie=cookie,
            peer_ip=ip,
            blocks=bytes(body[HANDSHAKE_SIZE:]),
        )

    def encode(self) -> bytes:
        """The CIF with its blocks."""
        fixed = _FIXED.pack(
            self.version,
            self.encryption,
            self.extension,
            self.initial_sequence,
            self.mss,
            self.flow_window,
            self.kind,
            self.socket_id,
            self.cookie,
            self.peer_ip,
        )
        return fixed + self.blocks

    @property
    def is_rejection(self) -> bool:
        """Whether this says no; the reason is ``kind - REJECTION_BASE``."""
        return self.kind >= REJECTION_BASE


def encode_peer_ip(host: str) -> bytes:
    """A numeric address in the handshake's spelling: little-endian words, IPv4 in the first."""
    packed = ipaddress.ip_address(host.partition("%")[0]).packed
    return b"".join(packed[i : i + 4][::-1] for i in range(0, len(packed), 4)).ljust(16, b"\0")


def decode_peer_ip(raw: bytes) -> str:
    """The numeric address; what looks like IPv4 is taken for it."""
    packed = b"".join(raw[i : i + 4][::-1] for i in range(0, 16, 4))
    return str(ipaddress.ip_address(packed if any(packed[4:]) else packed[:4]))
