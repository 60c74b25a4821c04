"""EXTSEQ: the upper half of 32-bit sequence numbers, for the NACKs that follow it in the same compound.

::

     0                   1                   2                   3
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |V=2|P|subtype=1|   PT = 204    |            length             |
    |                      SSRC of the media                        |
    |                           "RIST"                              |
    |  upper half of the sequence   |           zero                |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
"""

from __future__ import annotations

from struct import Struct
from typing import ClassVar, Final, Self

from attrs import frozen

from terzetto.errors import MalformedPacket
from terzetto.rist.wire.message import RIST_NAME, RistMessage
from terzetto.rtp.app import App

__all__ = ["ExtendedSequence"]

_DATA: Final = Struct("!Hxx")


@frozen
class ExtendedSequence(RistMessage):
    """The upper 16 bits of the sequence numbers in the NACKs after this message."""

    subtype: ClassVar[int] = 1

    media_ssrc: int
    high: int

    def to_app(self) -> App:
        """The APP packet that carries this message."""
        return App(self.subtype, self.media_ssrc, RIST_NAME, _DATA.pack(self.high))

    @classmethod
    def from_data(cls, ssrc: int, data: bytes) -> Self:
        """Parse what follows the name; words after the first are room for later editions, and passed over."""
        if len(data) < _DATA.size:
            raise MalformedPacket("EXTSEQ is truncated")
        return cls(ssrc, *_DATA.unpack_from(data))
