"""Generic NACK: the feedback message of RFC 4585 that asks for lost packets by bit mask.

::

     0                   1                   2                   3
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |V=2|P| FMT = 1 |   PT = 205    |            length             |
    |                  SSRC of whoever asks                         |
    |                  SSRC of the media                            |
    |  PID: a lost packet           |  BLP: others after it         |
    |  ...                                                          |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+

The lowest bit of BLP stands for the packet after PID, the highest for the sixteenth after it.
"""

from __future__ import annotations

from struct import Struct
from typing import ClassVar, Final, NamedTuple, Self

from attrs import frozen

from terzetto.errors import MalformedPacket
from terzetto.rtp.framing import RtcpPacket, pack_frame

__all__ = ["GENERIC_NACK_FORMAT", "GenericNack", "NackMask"]

GENERIC_NACK_FORMAT: Final = 1

_SSRCS: Final = Struct("!II")
_RECORD: Final = Struct("!HH")


class NackMask(NamedTuple):
    """One packet that is lost, and which of the sixteen after it are."""

    packet_id: int
    following: int


@frozen
class GenericNack(RtcpPacket):
    """A request for lost packets."""

    packet_types: ClassVar[tuple[int, ...]] = (205,)

    sender_ssrc: int
    media_ssrc: int
    masks: tuple[NackMask, ...] = ()

    def encode(self) -> bytes:
        """The packet as it goes on the wire."""
        body = _SSRCS.pack(self.sender_ssrc, self.media_ssrc)
        body += b"".join(_RECORD.pack(*mask) for mask in self.masks)
        return pack_frame(GENERIC_NACK_FORMAT, 205, body)

    @classmethod
    def from_body(cls, count: int, body: memoryview) -> Self:
        """Parse what follows the header."""
        if count != GENERIC_NACK_FORMAT:
            raise MalformedPacket("transport feedback is no generic NACK")
        if len(body) < _SSRCS.size or len(body) % 4:
            raise MalformedPacket("generic NACK is truncated")
        sender, media = _SSRCS.unpack_from(body)
        masks = tuple(NackMask(*record) for record in _RECORD.iter_unpack(body[_SSRCS.size :]))
        return cls(sender, media, masks)
