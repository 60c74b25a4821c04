"""How fast the timestamps of an RTP payload type run."""

from __future__ import annotations

from typing import Final

__all__ = ["clock_rate"]

_MPEG_TS: Final = 90_000

# The static types (RFC 3551) that are not 90 kHz, and libRIST's private type 21, whose timestamps are the upper
# bits of an NTP fraction. Whatever else comes counts in 90 kHz: the dynamic types of video do.
_OTHERS: Final = {
    **dict.fromkeys((0, 3, 4, 5, 7, 8, 9, 12, 13, 15, 18), 8000),
    6: 16_000,
    10: 44_100,
    11: 44_100,
    16: 11_025,
    17: 22_050,
    21: 65_536,
}


def clock_rate(payload_type: int) -> int:
    """Ticks a second."""
    return _OTHERS.get(payload_type, _MPEG_TS)
