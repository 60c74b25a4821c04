"""Units of every format, drawn at random but such as an encoder would make."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Final

from attrs import frozen

from terzetto.rtsp.formats.contract import AccessUnit
from terzetto.rtsp.formats.jpeg_tables import HUFFMAN_TABLES
from terzetto.rtsp.wire.description import Format

__all__ = ["KINDS", "Kind"]

Draw = Callable[[Random], tuple[bytes, ...]]


@frozen
class Kind:
    """A format, its units, and how far apart they are."""

    format: Format
    draw: Draw
    ticks: int = 3600
    splits: bool = False
    """Whether each part of a unit comes out as a unit of its own."""


def _bytes(chance: Random, low: int, high: int) -> bytes:
    # No zeros: start codes mean something to several formats.
    return bytes(chance.randrange(1, 256) for _ in range(chance.randint(low, high)))


def _several(make: Callable[[Random], bytes], most: int) -> Draw:
    return lambda chance: tuple(make(chance) for _ in range(chance.randint(1, most)))


def _one(make: Callable[[Random], bytes]) -> Draw:
    return lambda chance: (make(chance),)


def _h264(chance: Random) -> bytes:
    return bytes((chance.choice((0x65, 0x41, 0x67, 0x68, 0x06)),)) + _bytes(chance, 1, 700)


def _h265(chance: Random) -> bytes:
    return bytes((chance.choice((20, 1, 32, 33, 34)) << 1, 1)) + _bytes(chance, 1, 700)


def _obu(chance: Random) -> bytes:
    return bytes((chance.choice((1, 6, 3)) << 3,)) + _bytes(chance, 1, 500)


def _mpeg4(chance: Random) -> bytes:
    return b"\0\0\1\xb6" + bytes((chance.choice((0x10, 0x50)),)) + _bytes(chance, 1, 600)


def _mpeg2(chance: Random) -> bytes:
    head = b"\0\0\1\xb3" + _bytes(chance, 8, 8) if chance.random() < 0.3 else b""
    picture = b"\0\0\1\0" + bytes((0, chance.choice((0x08, 0x10, 0x18)), 0xFF, 0xFF, 0xFF))
    slices = b"".join(
        b"\0\0\1" + bytes((number,)) + _bytes(chance, 1, 300) for number in range(1, chance.randint(2, 6))
    )
    return head + picture + slices


def _jpeg(chance: Random) -> bytes:
    def segment(marker: int, body: bytes) -> bytes:
        return bytes((0xFF, marker)) + (len(body) + 2).to_bytes(2, "big") + body

    tables = [segment(0xDB, bytes((number,)) + _bytes(chance, 64, 64)) for number in range(2)]
    restart = [segment(0xDD, (4).to_bytes(2, "big"))] if chance.random() < 0.5 else []
    frame = segment(0xC0, bytes.fromhex("080010001003012200021101031101"))
    huffman = [segment(0xC4, table) for table in HUFFMAN_TABLES]
    scan = segment(0xDA, bytes.fromhex("03010002110311003f00"))
    return b"".join(
        [b"\xff\xd8", *tables, *restart, frame, *huffman, scan, _bytes(chance, 1, 900)[:-1] + b"\x01\xff\xd9"]
    )


def _mpeg_audio(chance: Random) -> bytes:
    return bytes.fromhex("fffb9064") + _bytes(chance, 413, 413)


def _ac3(chance: Random) -> bytes:
    return bytes.fromhex("0b77000000") + _bytes(chance, 123, 123)


def _klv(chance: Random) -> bytes:
    value = _bytes(chance, 1, 300)
    return bytes.fromhex("060e2b34020b01010e0103010100000082") + len(value).to_bytes(2, "big") + value


def _ts(chance: Random) -> bytes:
    return b"".join(b"\x47" + _bytes(chance, 187, 187) for _ in range(chance.randint(1, 9)))


def _format(encoding: str, rate: int = 90_000, channels: int | None = None, **parameters: str) -> Format:
    return Format(
        payload_type=96, encoding=encoding, clock_rate=rate, channels=channels, parameters=parameters
    )


KINDS: Final = {
    "H264": Kind(_format("H264"), _several(_h264, 6)),
    "H265": Kind(_format("H265"), _several(_h265, 6)),
    "VP8": Kind(_format("VP8"), _one(lambda chance: _bytes(chance, 1, 900))),
    "VP9": Kind(_format("VP9"), _one(lambda chance: _bytes(chance, 1, 900))),
    "AV1": Kind(_format("AV1"), _several(_obu, 5)),
    "MPEG-4 video": Kind(_format("MP4V-ES"), _one(_mpeg4)),
    "MPEG-2 video": Kind(_format("MPV"), _one(_mpeg2)),
    "JPEG": Kind(_format("JPEG"), _one(_jpeg)),
    "KLV": Kind(_format("SMPTE336M"), _one(_klv)),
    "AAC": Kind(
        _format(
            "mpeg4-generic", 48_000, 2, mode="AAC-hbr", sizelength="13", indexlength="3", indexdeltalength="3"
        ),
        _several(lambda chance: _bytes(chance, 1, 400), 5),
        1024 * 5,
        splits=True,
    ),
    "LATM": Kind(
        _format("MP4A-LATM", 48_000, 2, cpresent="0"),
        _several(lambda chance: _bytes(chance, 1, 400), 3),
        4096,
    ),
    "LATM with configuration": Kind(
        _format("MP4A-LATM", 90_000, 1, cpresent="1"), _one(lambda chance: _bytes(chance, 1, 600)), 4096
    ),
    "MPEG audio": Kind(_format("MPA"), _several(_mpeg_audio, 3), 90_000, splits=True),
    "AC-3": Kind(_format("AC3", 48_000, 2), _several(_ac3, 4), 1536 * 4, splits=True),
    "Vorbis": Kind(_format("VORBIS", 48_000, 2), _one(lambda chance: _bytes(chance, 1, 500)), 1024),
    "Opus": Kind(_format("opus", 48_000, 2), _one(lambda chance: b"\xfc" + _bytes(chance, 1, 90)), 960),
    "Speex": Kind(_format("speex", 16_000), _one(lambda chance: _bytes(chance, 1, 90)), 320),
    "G.726": Kind(_format("G726-32", 8000), _one(lambda chance: _bytes(chance, 1, 90)), 160),
    "transport stream": Kind(_format("MP2T"), _one(_ts)),
}


def unit_of(kind: Kind, chance: Random, number: int) -> AccessUnit:
    """Unit *number* of a stream."""
    return AccessUnit(kind.draw(chance), (1000 + number * kind.ticks) & 0xFFFF_FFFF)
