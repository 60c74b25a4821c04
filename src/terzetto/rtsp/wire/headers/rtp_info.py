"""RTP-Info: the first packet after a PLAY, for each media.

::

    RTP-Info: url=U;seq=N;rtptime=N[, url=U;...]

URLs may be quoted, relative, and in odd cameras hold commas and semicolons, so entries are cut only where
``url=`` follows. Many servers send zeros, or the values of the packet before: a hint, never a requirement.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from attrs import frozen

from terzetto.errors import MalformedPacket

__all__ = ["RtpInfo", "format_rtp_info", "parse_rtp_info"]

_ENTRY: Final = re.compile(r",\s*(?=url\s*=)", re.IGNORECASE)
_URL: Final = re.compile(
    r'url\s*=\s*(?:"([^"]*)"|(.*?))\s*(?:;\s*(?=(?:seq|rtptime|ssrc)\s*=)|;?\s*$)', re.IGNORECASE
)
_NUMBER: Final = re.compile(r"(?:^|;)\s*(seq|rtptime)\s*=\s*\"?(\d{1,10})\"?\s*(?=;|$)", re.IGNORECASE)


@frozen(kw_only=True)
class RtpInfo:
    """One media's entry; what is None was not said, or makes no sense."""

    url: str
    sequence: int | None = None
    timestamp: int | None = None

    def __str__(self) -> str:
        parts = [f"url={self.url}"]
        if self.sequence is not None:
            parts.append(f"seq={self.sequence}")
        if self.timestamp is not None:
            parts.append(f"rtptime={self.timestamp}")
        return ";".join(parts)


def parse_rtp_info(text: str) -> list[RtpInfo]:
    """Every entry that has a URL; MalformedPacket when there is none."""
    entries: list[RtpInfo] = []
    for part in _ENTRY.split(text.strip().rstrip(",")):
        entry = part.strip()
        numbers = {key.lower(): int(value) for key, value in _NUMBER.findall(entry) if value.isascii()}
        start = entry.lower().find("url")
        match = _URL.match(entry, start) if start >= 0 else None
        if match is None:
            continue
        url = match[1] if match[1] is not None else match[2]
        sequence, timestamp = numbers.get("seq"), numbers.get("rtptime")
        entries.append(
            RtpInfo(
                url=url,
                sequence=sequence if sequence is not None and sequence <= 0xFFFF else None,
                timestamp=timestamp if timestamp is not None and timestamp <= 0xFFFF_FFFF else None,
            )
        )
    if not entries:
        raise MalformedPacket("RTP-Info names no URL")
    return entries


def format_rtp_info(entries: Sequence[RtpInfo]) -> str:
    """The header's value."""
    return ",".join(map(str, entries))
