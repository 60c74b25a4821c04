"""The header that stands before each frame of AAC where nothing else describes it (ISO/IEC 13818-7, ADTS).

::

    sync:12 ID:1 layer:2 no CRC:1 | profile:2 rate:4 private:1 channels:3 ... length:13 fullness:11 blocks:2
"""

from __future__ import annotations

from typing import Final

from terzetto.errors import MalformedPacket
from terzetto.rtsp.formats.aac import AacConfig

__all__ = ["ADTS_HEADER_SIZE", "adts_header", "config_of_adts", "split_adts"]

ADTS_HEADER_SIZE: Final = 7
_CHECKSUM_SIZE: Final = 2
_LONGEST: Final = (1 << 13) - 1
_MAIN, _SBR, _PARAMETRIC = 1, 5, 29
_LTP: Final = 4


def adts_header(config: AacConfig, size: int) -> bytes:
    """What stands before a frame of *size* bytes; MalformedPacket where ADTS has no words for it."""
    bits = int.from_bytes(config.data.ljust(4, b"\0")[:4], "big")
    kind, rate, channels = bits >> 27, bits >> 23 & 0x0F, bits >> 19 & 0x0F
    if kind in (_SBR, _PARAMETRIC):
        # The extension is found by decoders themselves; what is told is the core, which follows.
        kind = bits >> 10 & 0x1F
    length = ADTS_HEADER_SIZE + size
    if not _MAIN <= kind <= _LTP or rate > 12 or not 1 <= channels <= 7 or length > _LONGEST:
        raise MalformedPacket("AAC configuration does not fit ADTS")
    words = 0xFFF1 << 40 | (kind - 1) << 38 | rate << 34 | channels << 30 | length << 13 | 0x7FF << 2
    return words.to_bytes(ADTS_HEADER_SIZE, "big")


def config_of_adts(frame: bytes) -> AacConfig:
    """The configuration that a frame's header stands for; MalformedPacket where there is none."""
    if len(frame) < ADTS_HEADER_SIZE or frame[0] != 0xFF or frame[1] & 0xF6 != 0xF0:
        raise MalformedPacket("AAC frame has no ADTS header")
    kind, rate = (frame[2] >> 6) + 1, frame[2] >> 2 & 0x0F
    channels = (frame[2] & 1) << 2 | frame[3] >> 6
    return AacConfig.parse((kind << 11 | rate << 7 | channels << 3).to_bytes(2, "big"))


def split_adts(data: bytes) -> list[bytes]:
    """The bare frames of *data*, which is frames with headers; what is damaged ends it."""
    frames = []
    while len(data) > ADTS_HEADER_SIZE and data[0] == 0xFF and data[1] & 0xF6 == 0xF0:
        length = int.from_bytes(data[3:6], "big") >> 5 & _LONGEST
        start = ADTS_HEADER_SIZE + (0 if data[1] & 1 else _CHECKSUM_SIZE)
        if not start < length <= len(data):
            break
        frames.append(data[start:length])
        data = data[length:]
    return frames
