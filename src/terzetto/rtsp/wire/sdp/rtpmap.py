"""``a=rtpmap:<payload type> <encoding>/<clock>[/<channels>]``"""

from __future__ import annotations

import re
from typing import Final, NamedTuple, Self

from terzetto.errors import MalformedPacket

__all__ = ["RtpMap"]

_RTPMAP: Final = re.compile(r"(\d{1,3})\s+([^\s/]+)\s*(?:/\s*(\d{1,9})\s*(?:/\s*(\d{1,3}))?)?.*")


class RtpMap(NamedTuple):
    """What a payload type is; ``clock_rate`` 0 where the text does not say."""

    payload_type: int
    encoding: str
    clock_rate: int
    channels: int | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an attribute's value; MalformedPacket is the only way to fail."""
        match = _RTPMAP.fullmatch(text.strip())
        if match is None or not match[1].isascii() or int(match[1]) > 127:
            raise MalformedPacket("rtpmap is malformed")
        channels = int(match[4]) if match[4] else None
        return cls(int(match[1]), match[2], int(match[3] or 0), channels)

    def __str__(self) -> str:
        text = f"{self.payload_type} {self.encoding}/{self.clock_rate}"
        return text if self.channels is None else f"{text}/{self.channels}"
