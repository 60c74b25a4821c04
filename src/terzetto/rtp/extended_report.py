"""XR: the extended report of RFC 3611, with the two blocks by which a receiver learns the round-trip time.

::

     0                   1                   2                   3
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |V=2|P|reserved |   PT = 207    |            length             |
    |                  SSRC of whoever reports                      |
    |  block type   | type-specific |  block length, 32-bit words   |
    |  block ...                                                    |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+

    block 4, RRTR:  NTP time stamp, 64 bits
    block 5, DLRR:  for each receiver its SSRC, LRR (middle of its RRTR's time stamp), DLRR (1/65536 s since)
"""

from __future__ import annotations

from struct import Struct
from typing import ClassVar, Final, NamedTuple, Self, TypeAlias

from attrs import frozen

from terzetto.errors import MalformedPacket
from terzetto.rtp.framing import RtcpPacket, pack_frame

__all__ = [
    "DelaySinceLastReceiverReport",
    "ExtendedReport",
    "ReceiverDelay",
    "ReceiverReferenceTime",
    "UnknownBlock",
    "XrBlock",
]

_SSRC: Final = Struct("!I")
_BLOCK_HEADER: Final = Struct("!BBH")
_NTP: Final = Struct("!Q")
_DELAY: Final = Struct("!III")

_RRTR: Final = 4
_DLRR: Final = 5


class ReceiverReferenceTime(NamedTuple):
    """RRTR: the reporter's clock when it sent this, for the other side to send back in a DLRR."""

    ntp: int


class ReceiverDelay(NamedTuple):
    """What a DLRR says to one receiver."""

    ssrc: int
    last_rr: int
    delay_since_last_rr: int


class DelaySinceLastReceiverReport(NamedTuple):
    """DLRR: which RRTR came last from each receiver, and how long ago."""

    delays: tuple[ReceiverDelay, ...]


class UnknownBlock(NamedTuple):
    """A block of another type, kept as it came."""

    block_type: int
    type_specific: int
    data: bytes


XrBlock: TypeAlias = ReceiverReferenceTime | DelaySinceLastReceiverReport | UnknownBlock


@frozen
class ExtendedReport(RtcpPacket):
    """Extended report blocks of one reporter.

    libRIST 0.2.8 to 0.2.16 writes type 77 where the report is not the first of its compound (207 with its
    highest bit lost), so 77 is read as 207.
    """

    packet_types: ClassVar[tuple[int, ...]] = (207, 77)

    ssrc: int
    blocks: tuple[XrBlock, ...] = ()

    def encode(self) -> bytes:
        """The packet as it goes on the wire."""
        return pack_frame(0, 207, b"".join((_SSRC.pack(self.ssrc), *map(_encode_block, self.blocks))))

    @classmethod
    def from_body(cls, count: int, body: memoryview) -> Self:
        """Parse what follows the header; the count is reserved and may hold anything."""
        del count
        if len(body) < _SSRC.size:
            raise MalformedPacket("extended report is truncated")
        (ssrc,) = _SSRC.unpack_from(body)
        blocks: list[XrBlock] = []
        position = _SSRC.size
        while position < len(body):
            if position + _BLOCK_HEADER.size > len(body):
                raise MalformedPacket("extended report block is truncated")
            block_type, specific, words = _BLOCK_HEADER.unpack_from(body, position)
            start = position + _BLOCK_HEADER.size
            position = start + 4 * words
            if position > len(body):
                raise MalformedPacket("extended report block is truncated")
            blocks.append(_decode_block(block_type, specific, body[start:position]))
        return cls(ssrc, tuple(blocks))


def _encode_block(block: XrBlock) -> bytes:
    if isinstance(block, ReceiverReferenceTime):
        block_type, specific, data = _RRTR, 0, _NTP.pack(block.ntp)
    elif isinstance(block, DelaySinceLastReceiverReport):
        block_type, specific = _DLRR, 0
        data = b"".join(_DELAY.pack(*delay) for delay in block.delays)
    else:
        block_type, specific, data = block
    if len(data) % 4:
        raise ValueError("an extended report block is made of whole 32-bit words")
    return _BLOCK_HEADER.pack(block_type, specific, len(data) // 4) + data


def _decode_block(block_type: int, specific: int, data: memoryview) -> XrBlock:
    if block_type == _RRTR and len(data) == _NTP.size:
        return ReceiverReferenceTime(*_NTP.unpack(data))
    if block_type == _DLRR and len(data) % _DELAY.size == 0:
        return DelaySinceLastReceiverReport(
            tuple(ReceiverDelay(*delay) for delay in _DELAY.iter_unpack(data))
        )
    return UnknownBlock(block_type, specific, bytes(data))
