"""Range NACK: a receiver asks for lost packets, a run of them in each record.

::

     0                   1                   2                   3
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |V=2|P|subtype=0|   PT = 204    |            length             |
    |                      SSRC of the media                        |
    |                           "RIST"                              |
    |  first lost packet            |  how many more after it       |
    |  ...                                                          |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+

The SSRC may name the flow in either form, that of originals (lowest bit 0) or of retransmissions (1). TR-06-1
allows 16 records; libRIST sends as many as 200 sequence numbers need, so the decoder sets no limit of its
own: whoever acts on the message does, with `terzetto.rist.wire.nack_records`.
"""

from __future__ import annotations

from struct import Struct
from typing import ClassVar, Final, NamedTuple, Self

from attrs import frozen

from terzetto.errors import MalformedPacket
from terzetto.rist.wire.message import RIST_NAME, RistMessage
from terzetto.rtp.app import App

__all__ = ["NackRange", "RangeNack"]

_RECORD: Final = Struct("!HH")


class NackRange(NamedTuple):
    """Lost packets from ``start`` to ``start + extra``, both included, around the end of the 16 bits."""

    start: int
    extra: int = 0


@frozen
class RangeNack(RistMessage):
    """A request for lost packets of one flow."""

    subtype: ClassVar[int] = 0

    media_ssrc: int
    ranges: tuple[NackRange, ...] = ()

    def to_app(self) -> App:
        """The APP packet that carries this message."""
        data = b"".join(_RECORD.pack(*record) for record in self.ranges)
        return App(self.subtype, self.media_ssrc, RIST_NAME, data)

    @classmethod
    def from_data(cls, ssrc: int, data: bytes) -> Self:
        """Parse what follows the name."""
        if len(data) % _RECORD.size:
            raise MalformedPacket("range NACK is truncated")
        return cls(ssrc, tuple(NackRange(*record) for record in _RECORD.iter_unpack(data)))
