"""Which formats go into a transport stream and come out of one, and how each is written on either side."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Final

from terzetto.errors import MalformedPacket
from terzetto.rtsp.formats.aac import AacConfig
from terzetto.rtsp.formats.adts import adts_header, config_of_adts, split_adts
from terzetto.rtsp.formats.contract import AccessUnit
from terzetto.rtsp.formats.h264 import H264Parameters
from terzetto.rtsp.formats.h265 import H265Parameters
from terzetto.rtsp.formats.nal_units import split_annex_b
from terzetto.rtsp.formats.picture_order import reorder_depth
from terzetto.rtsp.wire.description import Format

__all__ = ["TO_RTP", "TO_TRANSPORT_STREAM", "Writing", "format_for", "parts_for", "writing_for"]

TO_TRANSPORT_STREAM: Final = {
    "h264": "h264",
    "h265": "hevc",
    "mpv": "mpeg2video",
    "mp4v-es": "mpeg4",
    "mpeg4-generic": "aac",
    "mpa": "mp3",
    "ac3": "ac3",
    "smpte336m": "klv",
}
"""Encodings of RTP, in lower case -> names of libavcodec, for what a transport stream can carry."""

TO_RTP: Final = {
    "h264": "H264",
    "hevc": "H265",
    "mpeg1video": "MPV",
    "mpeg2video": "MPV",
    "aac": "mpeg4-generic",
    "mp1": "MPA",
    "mp2": "MPA",
    "mp3": "MPA",
    "ac3": "AC3",
}
"""The other way; what is not here stays out."""

_START: Final = b"\0\0\0\1"
_SETS: Final = {"h264": frozenset({7, 8}), "h265": frozenset({32, 33, 34})}
_DELIMITER: Final = {"h264": 9, "h265": 35}
_STATIC: Final = {"MPV": 32, "MPA": 14}


class Writing(ABC):
    """Turns the units of one format into what a transport stream holds."""

    reorder_depth: int | None = 0
    """Pictures by which the orders of decoding and of showing differ; None as long as nobody said."""
    waits_for_key: ClassVar[bool] = False
    """Whether there is no use in what comes before the first unit where decoding may begin."""

    @abstractmethod
    def write(self, unit: AccessUnit) -> bytes:
        """The bytes of *unit*; MalformedPacket where it cannot be carried."""


class _Plain(Writing):
    def write(self, unit: AccessUnit) -> bytes:
        return unit.data


class _Pictures(_Plain):
    """Pictures between which one at most is shown earlier than it is decoded."""

    reorder_depth = 1
    waits_for_key = True


class _NalUnits(Writing):
    """Start codes between the units, and parameter sets before every key picture, even where only the SDP has them."""

    waits_for_key = True

    def __init__(self, codec: str, described: Sequence[bytes]) -> None:
        self._codec = codec
        self._sets = {self._key(part): part for part in described}
        self.reorder_depth = reorder_depth(codec, described)

    def write(self, unit: AccessUnit) -> bytes:
        parts: Sequence[bytes] = unit.parts
        kinds = _SETS[self._codec]
        own = {self._key(part): part for part in parts if _kind(self._codec, part) in kinds}
        if own and any(self._sets.get(key) != part for key, part in own.items()):
            self._sets.update(own)
            depth = reorder_depth(self._codec, parts)
            self.reorder_depth = self.reorder_depth if depth is None else depth
        if unit.is_key and not own:
            parts = (*(self._sets[key] for key in sorted(self._sets)), *parts)
        return _START + _START.join(parts)

    def _key(self, part: bytes) -> tuple[int, int]:
        # Streams have one set of each kind, or a few whose identifiers stand in the first bytes.
        return _kind(self._codec, part), part[1 if self._codec == "h264" else 2] if len(part) > 2 else 0


class _Aac(Writing):
    """A header that tells the configuration before every frame."""

    def __init__(self, config: AacConfig) -> None:
        self._config = config

    def write(self, unit: AccessUnit) -> bytes:
        return b"".join(adts_header(self._config, len(part)) + part for part in unit.parts)


def writing_for(media_format: Format) -> Writing | None:
    """How units of *media_format* are written into a transport stream; None where one has no place for them."""
    match media_format.codec:
        case "h264":
            h264 = H264Parameters.from_format(media_format)
            return _NalUnits("h264", (*h264.sps, *h264.pps))
        case "h265":
            h265 = H265Parameters.from_format(media_format)
            return _NalUnits("h265", (*h265.vps, *h265.sps, *h265.pps))
        case "mpeg4-generic":
            config = AacConfig.from_format(media_format)
            return None if config is None else _Aac(config)
        case "mpv" | "mp4v-es":
            return _Pictures()
        case codec:
            return _Plain() if codec in TO_TRANSPORT_STREAM else None


def format_for(
    name: str, payload_type: int, extradata: bytes, first: bytes, rate: int, channels: int
) -> Format:
    """How a description speaks of a stream that libavcodec calls *name*; MalformedPacket where it makes no sense."""
    encoding = TO_RTP[name]
    match name:
        case "h264":
            units = split_annex_b(extradata) if extradata else []
            sps = tuple(unit for unit in units if _kind("h264", unit) == 7)
            pps = tuple(unit for unit in units if _kind("h264", unit) == 8)
            return H264Parameters(sps, pps).to_format(payload_type)
        case "hevc":
            units = split_annex_b(extradata) if extradata else []
            sets = (tuple(unit for unit in units if _kind("h265", unit) == kind) for kind in (32, 33, 34))
            return H265Parameters(*sets).to_format(payload_type)
        case "aac":
            return config_of_adts(first).to_format(payload_type)
        case "ac3":
            return Format(
                payload_type=payload_type, encoding=encoding, clock_rate=rate, channels=channels or None
            )
        case _:
            return Format(payload_type=_STATIC[encoding], encoding=encoding, clock_rate=90_000)


def parts_for(codec: str, data: bytes) -> tuple[bytes, ...]:
    """The parts of a unit, as the packetizer of *codec* wants them, of what a transport stream held."""
    if codec in _DELIMITER:
        unwanted = _DELIMITER[codec]
        return tuple(part for part in split_annex_b(data) if _kind(codec, part) != unwanted)
    if codec == "mpeg4-generic":
        return tuple(split_adts(data))
    return (data,)


def _kind(codec: str, part: bytes) -> int:
    if not part:
        raise MalformedPacket("NAL unit is empty")
    return part[0] & 0x1F if codec == "h264" else part[0] >> 1 & 0x3F
