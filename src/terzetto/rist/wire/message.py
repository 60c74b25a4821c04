"""What the RIST messages carried in RTCP APP packets have in common: the name "RIST" and a subtype."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar, Final, Self

from terzetto.errors import MalformedPacket
from terzetto.rtp.app import App
from terzetto.rtp.framing import RtcpPacket

__all__ = ["RIST_NAME", "RistMessage"]

RIST_NAME: Final = b"RIST"


class RistMessage(RtcpPacket):
    """A message that RIST defines on top of APP."""

    __slots__ = ()

    packet_types: ClassVar[tuple[int, ...]] = (204,)
    subtype: ClassVar[int]

    @classmethod
    @abstractmethod
    def from_data(cls, ssrc: int, data: bytes) -> Self:
        """Parse what follows the name; MalformedPacket is the only way to fail."""

    @abstractmethod
    def to_app(self) -> App:
        """The APP packet that carries this message."""

    def encode(self) -> bytes:
        """The packet, header included, as it goes on the wire."""
        return self.to_app().encode()

    @classmethod
    def from_body(cls, count: int, body: memoryview) -> Self:
        """Parse what follows the header of the APP packet."""
        app = App.from_body(count, body)
        if app.name != RIST_NAME or app.subtype != cls.subtype:
            raise MalformedPacket("APP packet is another message")
        return cls.from_data(app.ssrc, app.data)
