"""RR: how somebody who sends no media receives that of others.

::

     0                   1                   2                   3
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |V=2|P|   RC    |   PT = 201    |            length             |
    |                  SSRC of whoever reports                      |
    |  RC report blocks, 24 bytes each                              |
    |  profile-specific extension ...                               |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+

Without blocks it is the *empty RR* that opens a compound when there is nothing to report, and that punches
holes into firewalls.
"""

from __future__ import annotations

from struct import Struct
from typing import ClassVar, Final, Self

from attrs import frozen

from terzetto.errors import MalformedPacket
from terzetto.rtp.framing import RtcpPacket, pack_frame
from terzetto.rtp.sender_report import ReportBlock, decode_blocks

__all__ = ["ReceiverReport"]

_SSRC: Final = Struct("!I")


@frozen
class ReceiverReport(RtcpPacket):
    """The report of somebody who only receives."""

    packet_types: ClassVar[tuple[int, ...]] = (201,)

    ssrc: int
    blocks: tuple[ReportBlock, ...] = ()
    extension: bytes = b""

    def encode(self) -> bytes:
        """The packet as it goes on the wire."""
        body = b"".join((_SSRC.pack(self.ssrc), *(block.encode() for block in self.blocks), self.extension))
        return pack_frame(len(self.blocks), 201, body)

    @classmethod
    def from_body(cls, count: int, body: memoryview) -> Self:
        """Parse what follows the header."""
        if len(body) < _SSRC.size:
            raise MalformedPacket("receiver report is truncated")
        (ssrc,) = _SSRC.unpack_from(body)
        return cls(ssrc, *decode_blocks(count, body[_SSRC.size :]))
