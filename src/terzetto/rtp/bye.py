"""BYE: a source leaves.

::

     0                   1                   2                   3
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |V=2|P|   SC    |   PT = 203    |            length             |
    |  SC times the SSRC of one that leaves                         |
    |  length       |  reason, zeros to the next boundary (optional)|
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
"""

from __future__ import annotations

from struct import Struct, pack
from typing import ClassVar, Final, Self

from attrs import frozen

from terzetto.errors import MalformedPacket
from terzetto.rtp.framing import RtcpPacket, pack_frame

__all__ = ["Bye"]

_SSRC: Final = Struct("!I")
_MAX_TEXT: Final = 255


@frozen
class Bye(RtcpPacket):
    """The sources that leave, and why, where they say it."""

    packet_types: ClassVar[tuple[int, ...]] = (203,)

    ssrcs: tuple[int, ...] = ()
    reason: str = ""

    def encode(self) -> bytes:
        """The packet as it goes on the wire; ValueError for a reason of more than 255 bytes."""
        body = pack(f"!{len(self.ssrcs)}I", *self.ssrcs)
        if self.reason:
            raw = self.reason.encode()
            if len(raw) > _MAX_TEXT:
                raise ValueError(f"the reason of a BYE holds {_MAX_TEXT} bytes, not {len(raw)}")
            body += bytes((len(raw),)) + raw
            body += bytes(-len(body) % 4)
        return pack_frame(len(self.ssrcs), 203, body)

    @classmethod
    def from_body(cls, count: int, body: memoryview) -> Self:
        """Parse what follows the header."""
        end = count * _SSRC.size
        if end > len(body):
            raise MalformedPacket("BYE is truncated")
        ssrcs = tuple(ssrc for (ssrc,) in _SSRC.iter_unpack(body[:end]))
        rest = body[end:]
        if rest and rest[0] >= len(rest):
            raise MalformedPacket("reason of a BYE is truncated")
        reason = str(rest[1 : 1 + rest[0]], "utf-8", "replace") if rest else ""
        return cls(ssrcs, reason)
