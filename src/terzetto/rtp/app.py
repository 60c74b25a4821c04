"""APP: a packet whose meaning an application defines; RIST builds its own messages on it.

::

     0                   1                   2                   3
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |V=2|P| subtype |   PT = 204    |            length             |
    |                             SSRC                              |
    |                   name, four ASCII characters                 |
    |                   data of the application ...                 |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
"""

from __future__ import annotations

from struct import Struct
from typing import ClassVar, Final, Self

from attrs import frozen

from terzetto.errors import MalformedPacket
from terzetto.rtp.framing import RtcpPacket, pack_frame

__all__ = ["App"]

_HEAD: Final = Struct("!I4s")


@frozen
class App(RtcpPacket):
    """An application's own packet."""

    packet_types: ClassVar[tuple[int, ...]] = (204,)

    subtype: int
    ssrc: int
    name: bytes
    data: bytes = b""

    def encode(self) -> bytes:
        """The packet as it goes on the wire."""
        if len(self.name) != 4:
            raise ValueError(f"the name of an APP packet has four bytes: {self.name!r}")
        return pack_frame(self.subtype, 204, _HEAD.pack(self.ssrc, self.name) + self.data)

    @classmethod
    def from_body(cls, count: int, body: memoryview) -> Self:
        """Parse what follows the header."""
        if len(body) < _HEAD.size:
            raise MalformedPacket("APP packet is truncated")
        ssrc, name = _HEAD.unpack_from(body)
        return cls(count, ssrc, name, bytes(body[_HEAD.size :]))
