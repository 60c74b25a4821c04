"""Echo: a peer sends a time stamp, the other sends it back, and the first knows the round-trip time.

::

     0                   1                   2                   3
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |V=2|P|subt. 2/3|   PT = 204    |            length             |
    |                    SSRC, echoed as it came                    |
    |                           "RIST"                              |
    |             time stamp, upper half, echoed as it came         |
    |             time stamp, lower half, echoed as it came         |
    |  response: microseconds between request and response          |
    |  padding, whole words, echoed as it came ...                  |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+

The time stamp is a token of the requester's own; the responder must not read it. The delay word of a
*request* is not read either: libRIST 0.2.7 leaves in it whatever its memory held.
"""

from __future__ import annotations

from struct import Struct
from typing import ClassVar, Final, Self

from attrs import frozen

from terzetto.errors import MalformedPacket
from terzetto.primitives.time import Micros
from terzetto.rist.wire.message import RIST_NAME, RistMessage
from terzetto.rtp.app import App

__all__ = ["EchoRequest", "EchoResponse"]

_DATA: Final = Struct("!QI")
_MAX_DELAY: Final = 0xFFFF_FFFF


@frozen
class EchoRequest(RistMessage):
    """Asks the peer to send ``timestamp`` back at once."""

    subtype: ClassVar[int] = 2

    ssrc: int
    timestamp: int
    padding: bytes = b""

    def response(self, delay: Micros = 0) -> EchoResponse:
        """The answer, *delay* microseconds after the request came; never longer than the request."""
        return EchoResponse(self.ssrc, self.timestamp, max(0, min(_MAX_DELAY, delay)), self.padding)

    def to_app(self) -> App:
        """The APP packet that carries this message."""
        return App(self.subtype, self.ssrc, RIST_NAME, _DATA.pack(self.timestamp, 0) + self.padding)

    @classmethod
    def from_data(cls, ssrc: int, data: bytes) -> Self:
        """Parse what follows the name."""
        timestamp, _stale, padding = _decode(data)
        return cls(ssrc, timestamp, padding)


@frozen
class EchoResponse(RistMessage):
    """Brings back the time stamp of a request; the round-trip time is ``now - timestamp - delay``."""

    subtype: ClassVar[int] = 3

    ssrc: int
    timestamp: int
    delay: Micros = 0
    padding: bytes = b""

    def to_app(self) -> App:
        """The APP packet that carries this message."""
        return App(self.subtype, self.ssrc, RIST_NAME, _DATA.pack(self.timestamp, self.delay) + self.padding)

    @classmethod
    def from_data(cls, ssrc: int, data: bytes) -> Self:
        """Parse what follows the name."""
        return cls(ssrc, *_decode(data))


def _decode(data: bytes) -> tuple[int, int, bytes]:
    if len(data) < _DATA.size:
        raise MalformedPacket("echo is truncated")
    timestamp, delay = _DATA.unpack_from(data)
    return timestamp, delay, data[_DATA.size :]
