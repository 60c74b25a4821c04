"""``m=<media> <port>[/<count>] <protocol> <format> ...``"""

from __future__ import annotations

import re
from typing import Final, NamedTuple, Self

from terzetto.errors import MalformedPacket

__all__ = ["MediaLine"]

# The port may be missing, which nobody could need in RTSP.
_MEDIA: Final = re.compile(r"(\S+)(?:\s+(\d{1,9}(?:/\d{1,9})?))?\s+([A-Za-z][^\s]*)((?:\s+\S+)*)\s*")


class MediaLine(NamedTuple):
    """One media as it is announced; formats are payload types, or what cameras make of them."""

    kind: str
    port: int
    protocol: str
    formats: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a line's value; MalformedPacket is the only way to fail."""
        match = _MEDIA.fullmatch(text.strip(" \t\x00"))
        if match is None:
            raise MalformedPacket("media line is malformed")
        port = int((match[2] or "0").partition("/")[0])
        return cls(match[1], port, match[3], tuple(match[4].split()))

    @property
    def is_secure(self) -> bool:
        """Whether the profile is one of SRTP's."""
        return "SAVP" in self.protocol.upper()

    def __str__(self) -> str:
        return " ".join((self.kind, str(self.port), self.protocol, *self.formats))
