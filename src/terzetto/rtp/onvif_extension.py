"""The RTP header extension of recordings that are replayed (ONVIF Streaming Specification, section 6.3).

::

    0xABAC | 3 words | wall clock, NTP format:64 | C E D T zero:4 | CSeq:8 | zero:16

It stands on the first packet of each picture or frame of sound.
"""

from __future__ import annotations

from struct import Struct
from typing import Final, NamedTuple, Self

from terzetto.errors import MalformedPacket
from terzetto.primitives.datagrams import Buffer
from terzetto.primitives.time import Micros
from terzetto.rtp.header import EXTENSION_BIT, HeaderExtension, RtpPacket
from terzetto.rtp.ntp import ntp_from_unix, unix_from_ntp

__all__ = ["ONVIF_PROFILE", "OnvifExtension"]

ONVIF_PROFILE: Final = 0xABAC

_DATA: Final = Struct("!QBBxx")
_CLEAN, _END, _GAP, _LAST = 0x80, 0x40, 0x20, 0x10


class OnvifExtension(NamedTuple):
    """When something was recorded, and where it stands in the recording."""

    recorded_at: Micros
    """Wall clock, microseconds since 1970."""
    is_clean_point: bool = False
    """Decoding may begin here (C)."""
    is_end: bool = False
    """The recording stops here for a while (E)."""
    is_discontinuous: bool = False
    """What comes is not what followed in the recording: another place was asked for, or packets were left out (D)."""
    is_last: bool = False
    """Nothing more comes of this media (T)."""
    request_number: int = 0
    """The lower eight bits of the CSeq of the PLAY that this answers."""

    def encode(self) -> HeaderExtension:
        """The extension, for a packet's header."""
        flags = (
            (_CLEAN if self.is_clean_point else 0)
            | (_END if self.is_end else 0)
            | (_GAP if self.is_discontinuous else 0)
            | (_LAST if self.is_last else 0)
        )
        return HeaderExtension(
            ONVIF_PROFILE, _DATA.pack(ntp_from_unix(self.recorded_at), flags, self.request_number & 0xFF)
        )

    @classmethod
    def decode(cls, extension: HeaderExtension) -> Self:
        """Read it; MalformedPacket is the only way to fail."""
        if extension.profile != ONVIF_PROFILE or len(extension.data) < _DATA.size:
            raise MalformedPacket("header extension is none of a replay")
        ntp, flags, number = _DATA.unpack_from(extension.data)
        return cls(
            unix_from_ntp(ntp),
            flags & _CLEAN != 0,
            flags & _END != 0,
            flags & _GAP != 0,
            flags & _LAST != 0,
            number,
        )

    @classmethod
    def of(cls, packet: Buffer) -> Self | None:
        """The one that an RTP packet carries, if it carries one that makes sense."""
        if not packet or not packet[0] & EXTENSION_BIT:
            return None
        try:
            extension = RtpPacket.decode(packet).extension
            return cls.decode(extension) if extension is not None else None
        except MalformedPacket:
            return None

    def put_on(self, packet: Buffer) -> bytes:
        """*packet* with this extension, instead of any other; MalformedPacket where it is no RTP."""
        return RtpPacket.decode(packet)._replace(extension=self.encode()).encode()
