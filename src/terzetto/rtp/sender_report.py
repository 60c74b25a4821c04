"""SR: what a source has sent, and how its RTP clock relates to the wall clock.

::

     0                   1                   2                   3
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |V=2|P|   RC    |   PT = 200    |            length             |
    |                        SSRC of the sender                     |
    |                 NTP time stamp, seconds since 1900            |
    |                 NTP time stamp, fraction                      |
    |                         RTP timestamp                         |
    |                      packets sent so far                      |
    |                   payload bytes sent so far                   |
    |  RC report blocks, 24 bytes each                              |
    |  profile-specific extension ...                               |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+

and the report block, which the receiver report has as well::

    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |                  SSRC of the source reported on               |
    | fraction lost |       packets lost in total (signed)          |
    |           highest sequence number received, extended          |
    |                      interarrival jitter                      |
    |       LSR: middle of the last SR's NTP time stamp, or 0       |
    |       DLSR: time since then in units of 1/65536 s             |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
"""

from __future__ import annotations

from struct import Struct
from typing import ClassVar, Final, Self

from attrs import frozen

from terzetto.errors import MalformedPacket
from terzetto.rtp.framing import RtcpPacket, pack_frame

__all__ = ["ReportBlock", "SenderReport", "decode_blocks"]

_SENDER: Final = Struct("!IQIII")
_BLOCK: Final = Struct("!IIIIII")

_MIN_LOST: Final = -(1 << 23)
_MAX_LOST: Final = (1 << 23) - 1


@frozen(kw_only=True)
class ReportBlock:
    """How one source is received.

    ``cumulative_lost`` is negative where duplicates outnumber losses: the field is a signed number of 24
    bits.
    """

    ssrc: int
    fraction_lost: int = 0
    cumulative_lost: int = 0
    extended_highest_sequence: int = 0
    jitter: int = 0
    last_sr: int = 0
    delay_since_last_sr: int = 0

    def encode(self) -> bytes:
        """The 24 bytes of the block; a loss that does not fit its field is sent as the nearest that does."""
        lost = max(_MIN_LOST, min(_MAX_LOST, self.cumulative_lost)) & 0xFFFFFF
        return _BLOCK.pack(
            self.ssrc,
            self.fraction_lost << 24 | lost,
            self.extended_highest_sequence,
            self.jitter,
            self.last_sr,
            self.delay_since_last_sr,
        )

    @classmethod
    def from_fields(cls, fields: tuple[int, int, int, int, int, int]) -> Self:
        """A block from its six words."""
        ssrc, losses, highest, jitter, last_sr, delay = fields
        # Adding and taking away half the range turns the unsigned 24 bits into a signed number.
        lost = ((losses & 0xFFFFFF) ^ 0x800000) - 0x800000
        return cls(
            ssrc=ssrc,
            fraction_lost=losses >> 24,
            cumulative_lost=lost,
            extended_highest_sequence=highest,
            jitter=jitter,
            last_sr=last_sr,
            delay_since_last_sr=delay,
        )


def decode_blocks(count: int, body: memoryview) -> tuple[tuple[ReportBlock, ...], bytes]:
    """*count* report blocks at the start of *body*, and whatever follows them."""
    end = count * _BLOCK.size
    if end > len(body):
        raise MalformedPacket("RTCP report blocks are truncated")
    blocks = tuple(ReportBlock.from_fields(fields) for fields in _BLOCK.iter_unpack(body[:end]))
    return blocks, bytes(body[end:])


@frozen(kw_only=True)
class SenderReport(RtcpPacket):
    """The report of a source that sends media."""

    packet_types: ClassVar[tuple[int, ...]] = (200,)

    ssrc: int
    ntp: int
    rtp_timestamp: int
    packet_count: int = 0
    octet_count: int = 0
    blocks: tuple[ReportBlock, ...] = ()
    extension: bytes = b""

    def encode(self) -> bytes:
        """The packet as it goes on the wire."""
        sender = _SENDER.pack(
            self.ssrc,
            self.ntp,
            self.rtp_timestamp,
            self.packet_count & 0xFFFFFFFF,
            self.octet_count & 0xFFFFFFFF,
        )
        body = b"".join((sender, *(block.encode() for block in self.blocks), self.extension))
        return pack_frame(len(self.blocks), 200, body)

    @classmethod
    def from_body(cls, count: int, body: memoryview) -> Self:
        """Parse what follows the header."""
        if len(body) < _SENDER.size:
            raise MalformedPacket("sender report is truncated")
        ssrc, ntp, rtp_timestamp, packets, octets = _SENDER.unpack_from(body)
        blocks, extension = decode_blocks(count, body[_SENDER.size :])
        return cls(
            ssrc=ssrc,
            ntp=ntp,
            rtp_timestamp=rtp_timestamp,
            packet_count=packets,
            octet_count=octets,
            blocks=blocks,
            extension=extension,
        )
