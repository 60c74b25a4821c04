"""Which packets may start a clock: those whose picture is shown when it is decoded.

With B-frames the timestamps of a video stream jump back and forth, so jitter and the start of a track's time go by
pictures that nothing overtakes. For all codecs but these two, that is every packet.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from terzetto.primitives.datagrams import Buffer

__all__ = ["Test", "starts_clock_test"]

Test = Callable[[Buffer], bool]

_H264_TYPES: Final = frozenset({5, 7, 8})
_H265_TYPES: Final = frozenset({19, 20, 21, 32, 33, 34})


def starts_clock_test(codec: str) -> Test | None:
    """The test for payloads of *codec* (in lower case); None where every packet passes."""
    return {"h264": _h264, "h265": _h265}.get(codec)


def _h264(payload: Buffer) -> bool:
    if not payload:
        return False
    kind = payload[0] & 0x1F
    if kind == 24:
        return any(nal & 0x1F in _H264_TYPES for nal in _aggregated(payload, 1))
    if kind == 28:
        return len(payload) > 1 and payload[1] & 0x80 != 0 and payload[1] & 0x1F in _H264_TYPES
    return kind in _H264_TYPES


def _h265(payload: Buffer) -> bool:
    if len(payload) < 2:
        return False
    kind = payload[0] >> 1 & 0x3F
    if kind == 48:
        return any(nal >> 1 & 0x3F in _H265_TYPES for nal in _aggregated(payload, 2))
    if kind == 49:
        return len(payload) > 2 and payload[2] & 0x80 != 0 and payload[2] & 0x3F in _H265_TYPES
    return kind in _H265_TYPES


def _aggregated(payload: Buffer, position: int) -> list[int]:
    """The first bytes of the units of an aggregation packet."""
    firsts: list[int] = []
    while position + 3 <= len(payload):
        size = payload[position] << 8 | payload[position + 1]
        firsts.append(payload[position + 2])
        position += 2 + size
    return firsts
