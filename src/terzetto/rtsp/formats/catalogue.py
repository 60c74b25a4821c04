"""Which machine a description's format asks for."""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Callable
from typing import Final

from terzetto.errors import MalformedPacket
from terzetto.rtsp.formats.aac import AacConfig, AacDepacketizer, AacLayout, AacPacketizer
from terzetto.rtsp.formats.ac3 import Ac3Assembler, Ac3Packetizer
from terzetto.rtsp.formats.av1 import Av1Assembler, Av1Packetizer
from terzetto.rtsp.formats.chopped import ChoppedPacketizer, KlvAssembler, Mpeg4VideoAssembler
from terzetto.rtsp.formats.contract import PAYLOAD_SIZE, Depacketizer, Packetizer
from terzetto.rtsp.formats.h264 import H264Assembler, H264Packetizer
from terzetto.rtsp.formats.h265 import H265Assembler, H265Packetizer
from terzetto.rtsp.formats.jpeg import JpegAssembler, JpegPacketizer
from terzetto.rtsp.formats.latm import LatmAssembler, LatmPacketizer
from terzetto.rtsp.formats.mpeg_audio import MpegAudioDepacketizer, MpegAudioPacketizer
from terzetto.rtsp.formats.mpeg_ts import MpegTsDepacketizer, MpegTsPacketizer
from terzetto.rtsp.formats.mpeg_video import MpegVideoAssembler, MpegVideoPacketizer
from terzetto.rtsp.formats.vorbis import VorbisAssembler, VorbisPacketizer
from terzetto.rtsp.formats.vp8 import Vp8Assembler, Vp8Packetizer
from terzetto.rtsp.formats.vp9 import Vp9Assembler, Vp9Packetizer
from terzetto.rtsp.formats.whole import (
    OpusPacketizer,
    SamplePacketizer,
    WholeDepacketizer,
    WholePacketizer,
)
from terzetto.rtsp.wire.description import Format

__all__ = ["make_depacketizer", "make_packetizer", "sample_size"]

_SAMPLE_BYTES: Final = {"pcmu": 1, "pcma": 1, "l8": 1, "l16": 2, "l24": 3}
_G726: Final = frozenset(f"{prefix}g726-{rate}" for prefix in ("", "aal2-") for rate in (16, 24, 32, 40))


def make_packetizer(media_format: Format, payload_size: int = PAYLOAD_SIZE) -> Packetizer | None:
    """What cuts units of *media_format*; None for formats that pass as they are.

    MalformedPacket where the format's parameters make no sense.
    """
    codec = media_format.codec
    simple = _PACKETIZERS.get(codec)
    if simple is not None:
        return simple(payload_size)
    size = sample_size(media_format)
    if size is not None:
        per_tick = 2 if codec == "g722" else 1
        return SamplePacketizer(size, payload_size, samples_per_tick=per_tick)
    if codec == "mp4a-latm":
        return LatmPacketizer(payload_size, has_config=_latm_has_config(media_format))
    if codec == "vorbis":
        return VorbisPacketizer(_vorbis_ident(media_format), payload_size)
    return None


def make_depacketizer(media_format: Format) -> Depacketizer | None:
    """What puts units of *media_format* together; None for formats that pass as they are.

    MalformedPacket where the format's parameters make no sense.
    """
    codec = media_format.codec
    simple = _DEPACKETIZERS.get(codec)
    if simple is not None:
        return simple()
    size = sample_size(media_format)
    if size is not None:
        return WholeDepacketizer(size)
    if codec == "h265":
        return H265Assembler(has_order=_number(media_format, "sprop-max-don-diff") > 0)
    if codec == "mpeg4-generic":
        config = AacConfig.from_format(media_format)
        samples = config.samples if config is not None else 1024
        return AacDepacketizer(AacLayout.from_format(media_format), samples=samples)
    if codec == "mp4a-latm":
        return LatmAssembler(has_config=_latm_has_config(media_format))
    return None


_PACKETIZERS: Final[dict[str, Callable[[int], Packetizer]]] = {
    "h264": H264Packetizer,
    "h265": H265Packetizer,
    "vp8": Vp8Packetizer,
    "vp9": Vp9Packetizer,
    "av1": Av1Packetizer,
    "mp4v-es": ChoppedPacketizer,
    "smpte336m": ChoppedPacketizer,
    "mpv": MpegVideoPacketizer,
    "jpeg": JpegPacketizer,
    "mpeg4-generic": AacPacketizer,
    "mpa": MpegAudioPacketizer,
    "ac3": Ac3Packetizer,
    "opus": OpusPacketizer,
    "multiopus": OpusPacketizer,
    "speex": WholePacketizer,
    "mp2t": MpegTsPacketizer,
    **dict.fromkeys(_G726, WholePacketizer),
}

_DEPACKETIZERS: Final[dict[str, Callable[[], Depacketizer]]] = {
    "h264": H264Assembler,
    "vp8": Vp8Assembler,
    "vp9": Vp9Assembler,
    "av1": Av1Assembler,
    "mp4v-es": Mpeg4VideoAssembler,
    "smpte336m": KlvAssembler,
    "mpv": MpegVideoAssembler,
    "jpeg": JpegAssembler,
    "mpa": MpegAudioDepacketizer,
    "ac3": Ac3Assembler,
    "vorbis": VorbisAssembler,
    "opus": WholeDepacketizer,
    "multiopus": WholeDepacketizer,
    "speex": WholeDepacketizer,
    "mp2t": MpegTsDepacketizer,
    **dict.fromkeys(_G726, WholeDepacketizer),
}


def sample_size(media_format: Format) -> int | None:
    """Bytes of the samples of all channels at one moment; None where the format is not one of bare samples."""
    if media_format.codec == "g722":
        return 1
    size = _SAMPLE_BYTES.get(media_format.codec)
    return size * (media_format.channels or 1) if size is not None else None


def _latm_has_config(media_format: Format) -> bool:
    return _number(media_format, "cpresent", 1) != 0


def _vorbis_ident(media_format: Format) -> int:
    """What packets call their configuration: the name that it has in the description, or nought where there is none."""
    try:
        configuration = b64decode(media_format.parameters.get("configuration", ""))
    except binascii.Error:
        raise MalformedPacket("configuration is no base64") from None
    return int.from_bytes(configuration[4:7], "big")


def _number(media_format: Format, name: str, default: int = 0) -> int:
    text = media_format.parameters.get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise MalformedPacket(f"{name} is {text!r}")
    return int(text)
