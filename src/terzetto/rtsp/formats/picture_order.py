"""How many pictures may be decoded before one that is shown earlier, as parameter sets tell it.

RTP tells when a picture is shown, a transport stream wants to know when it is decoded as well. The two orders differ
by at most this many pictures.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from terzetto.errors import MalformedPacket
from terzetto.rtsp.formats.bits import BitReader, without_emulation

__all__ = ["reorder_depth"]

_H264_SPS: Final = 7
_H265_VPS: Final = 32
_TYPE_H264: Final = 0x1F
_MOST: Final = 16
# Profiles whose parameter sets tell of chroma and scaling lists.
_HIGH_PROFILES: Final = frozenset({44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244})
_BASELINE: Final = 66
_EXTENDED_ASPECT: Final = 255


def reorder_depth(codec: str, parts: Iterable[bytes]) -> int | None:
    """What the parameter sets among the NAL units *parts* say; None where there are none, or they do not say."""
    for part in parts:
        try:
            if codec == "h264" and part and part[0] & _TYPE_H264 == _H264_SPS:
                return _of_h264(BitReader(without_emulation(part)[1:]))
            if codec == "h265" and part and part[0] >> 1 & 0x3F == _H265_VPS:
                return _of_h265(BitReader(without_emulation(part)[2:]))
        except MalformedPacket:
            continue
    return None


def _of_h265(bits: BitReader) -> int:
    bits.take(4 + 2 + 6)  # identifier, base layer, layers
    levels = bits.take(3)
    bits.take(1 + 16 + 88 + 8)  # nesting, reserved, general profile, general level
    _skip_sub_layers(bits, levels)
    tells_all = bits.flag()
    depth = 0
    for _ in range(levels + 1 if tells_all else 1):
        bits.unsigned()
        depth = bits.unsigned()
        bits.unsigned()
    return min(depth, _MOST)


def _skip_sub_layers(bits: BitReader, levels: int) -> None:
    present = [(bits.flag(), bits.flag()) for _ in range(levels)]
    if levels:
        bits.take(2 * (8 - levels))
    for profile, level in present:
        bits.take((88 if profile else 0) + (8 if level else 0))


def _of_h264(bits: BitReader) -> int | None:
    profile = bits.take(8)
    bits.take(16)
    bits.unsigned()
    if profile in _HIGH_PROFILES:
        _skip_chroma(bits)
    bits.unsigned()
    order_type = bits.unsigned()
    if order_type == 0:
        bits.unsigned()
    elif order_type == 1:
        bits.flag()
        bits.signed()
        bits.signed()
        for _ in range(min(bits.unsigned(), 255)):
            bits.signed()
    bits.unsigned()
    bits.flag()
    bits.unsigned()
    bits.unsigned()
    if not bits.flag():  # fields
        bits.flag()
    bits.flag()
    if bits.flag():  # cropping
        for _ in range(4):
            bits.unsigned()
    depth = _of_usability(bits) if bits.flag() else None
    if depth is None and (order_type == 2 or profile == _BASELINE):
        depth = 0
    return depth


def _skip_chroma(bits: BitReader) -> None:
    chroma = bits.unsigned()
    if chroma == 3:
        bits.flag()
    bits.unsigned()
    bits.unsigned()
    bits.flag()
    if bits.flag():
        for index in range(8 if chroma != 3 else 12):
            if bits.flag():
                _skip_scaling_list(bits, 16 if index < 6 else 64)


def _skip_scaling_list(bits: BitReader, size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + bits.signed()) % 256
        last = following or last


def _of_usability(bits: BitReader) -> int | None:
    """The video usability information, whose end tells what we want."""
    if bits.flag() and bits.take(8) == _EXTENDED_ASPECT:
        bits.take(32)
    if bits.flag():
        bits.flag()
    if bits.flag():
        bits.take(4)
        if bits.flag():
            bits.take(24)
    if bits.flag():
        bits.unsigned()
        bits.unsigned()
    if bits.flag():
        bits.take(65)
    has_delays = [_skip_reference_decoder(bits) for _ in range(2) if bits.flag()]
    if has_delays:
        bits.flag()
    bits.flag()
    if not bits.flag():
        return None
    bits.flag()
    for _ in range(4):
        bits.unsigned()
    return min(bits.unsigned(), _MOST)


def _skip_reference_decoder(bits: BitReader) -> bool:
    count = bits.unsigned() + 1
    bits.take(8)
    for _ in range(min(count, 32)):
        bits.unsigned()
        bits.unsigned()
        bits.flag()
    bits.take(20)
    return True
