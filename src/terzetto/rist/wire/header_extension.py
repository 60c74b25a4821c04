"""RIST's RTP header extension: which null packets were taken out, and the upper half of the sequence.

::

     0                   1                   2                   3
     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |         "RI" = 0x5249         |           length = 1          |
    |N|E|Size |0 0 0|T|  NPD bits   |  upper half of the sequence   |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+

N: the NPD bits are valid, the highest of the seven standing for the first TS packet. E: the upper half is
valid. T: TS packets of 204 bytes. Size: TS packets in the original payload, 1 to 7, or 0 where the receiver
must work it out.
"""

from __future__ import annotations

from struct import Struct
from typing import Final, NamedTuple, Self

from terzetto.errors import MalformedPacket
from terzetto.rtp.header import HeaderExtension

__all__ = ["RIST_EXTENSION_PROFILE", "RistHeaderExtension"]

RIST_EXTENSION_PROFILE: Final = 0x5249

_DATA: Final = Struct("!BBH")


class RistHeaderExtension(NamedTuple):
    """What the extension says; a part that is absent is None.

    ``deleted`` holds the seven NPD bits as a number, the first TS packet in bit 6; ``original_count`` is 0
    where the sender leaves it to the receiver.
    """

    deleted: int | None = None
    original_count: int = 0
    wide_packets: bool = False
    sequence_high: int | None = None

    def encode(self) -> HeaderExtension:
        """The extension to hand to `terzetto.rtp.header.RtpPacket`."""
        first = self.original_count << 3
        second = 0x80 if self.wide_packets else 0
        if self.deleted is not None:
            first |= 0x80
            second |= self.deleted
        if self.sequence_high is not None:
            first |= 0x40
        return HeaderExtension(RIST_EXTENSION_PROFILE, _DATA.pack(first, second, self.sequence_high or 0))

    @classmethod
    def decode(cls, extension: HeaderExtension) -> Self | None:
        """Read an extension: None where it is somebody else's, MalformedPacket where it is too short."""
        if extension.profile != RIST_EXTENSION_PROFILE:
            return None
        if len(extension.data) < _DATA.size:
            raise MalformedPacket("RIST header extension is truncated")
        first, second, high = _DATA.unpack_from(extension.data)
        return cls(
            deleted=second & 0x7F if first & 0x80 else None,
            original_count=first >> 3 & 7,
            wide_packets=second >= 0x80,
            sequence_high=high if first & 0x40 else None,
        )
