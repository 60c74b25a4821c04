"""The four bytes that stand for an IP and UDP header in RIST's reduced overhead mode: two virtual ports.

Media goes to an even port and its reports to the odd one above. libRIST tells the two apart by looking at the
payload and ignores the numbers, so that is what to rely on; the ports distinguish streams of one tunnel.
"""

from __future__ import annotations

from struct import Struct
from typing import Final, NamedTuple, Self

from terzetto.errors import MalformedPacket
from terzetto.primitives.datagrams import Buffer

__all__ = [
    "DEFAULT_MEDIA_PORT",
    "DEFAULT_REPORT_SOURCE",
    "PORTS_SIZE",
    "VirtualPorts",
    "looks_like_report",
]

DEFAULT_MEDIA_PORT: Final = 1968
"""Where media goes; its reports go one above."""

DEFAULT_REPORT_SOURCE: Final = 0x8000
"""What libRIST's first peer sends reports from; its media comes from one above."""

PORTS_SIZE: Final = 4
_PORTS: Final = Struct("!HH")

# RTCP's types without their highest bit: an RTP payload type that nobody uses because of it (RFC 5761).
_REPORT_TYPES: Final = range(72, 80)


class VirtualPorts(NamedTuple):
    """Source and destination inside the tunnel."""

    source: int
    destination: int

    def encode(self) -> bytes:
        """The bytes before the RTP or RTCP packet."""
        return _PORTS.pack(*self)

    @classmethod
    def decode(cls, data: Buffer) -> Self:
        """Read them; what follows `PORTS_SIZE` is the packet. MalformedPacket is the only way to fail."""
        if len(data) < PORTS_SIZE:
            raise MalformedPacket("virtual ports are truncated")
        return cls(*_PORTS.unpack_from(data))

    @property
    def answer(self) -> Self:
        """The way back."""
        return type(self)(self.destination, self.source)


def looks_like_report(packet: Buffer) -> bool:
    """Whether a packet in the tunnel is RTCP rather than RTP."""
    return len(packet) > 1 and packet[0] & 0xC0 == 0x80 and packet[1] & 0x7F in _REPORT_TYPES
