"""H.264 (RFC 6184), in the non-interleaved mode that everybody speaks."""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from collections.abc import Sequence
from typing import ClassVar, Final

from attrs import frozen

from terzetto.errors import MalformedPacket
from terzetto.rtsp.formats.contract import Payload
from terzetto.rtsp.formats.nal_units import NalAssembler, NalPacketizer, split_annex_b
from terzetto.rtsp.wire.description import Format

__all__ = ["H264Assembler", "H264Packetizer", "H264Parameters"]

_IDR, _SPS, _PPS = 5, 7, 8
_STAP_A, _FU_A = 24, 28
_TYPE: Final = 0x1F
_IMPORTANCE: Final = 0x60


@frozen
class H264Parameters:
    """The parameter sets that a decoder needs before the first picture."""

    sps: tuple[bytes, ...] = ()
    pps: tuple[bytes, ...] = ()

    @classmethod
    def from_format(cls, media_format: Format) -> H264Parameters:
        """Those of a description; what makes no sense is left out, for the stream may bring them too."""
        sets: list[bytes] = []
        for text in media_format.parameters.get("sprop-parameter-sets", "").split(","):
            try:
                sets += split_annex_b(b64decode(text, validate=True))
            except (binascii.Error, ValueError):
                continue
        return cls(
            sps=tuple(each for each in sets if each and each[0] & _TYPE == _SPS and len(each) >= 4),
            pps=tuple(each for each in sets if each and each[0] & _TYPE == _PPS),
        )

    def to_format(self, payload_type: int = 96) -> Format:
        """How a description says it."""
        parameters = {"packetization-mode": "1"}
        if self.sps:
            sets = (*self.sps, *self.pps)
            parameters["sprop-parameter-sets"] = ",".join(b64encode(each).decode() for each in sets)
            parameters["profile-level-id"] = self.sps[0][1:4].hex().upper()
        return Format(payload_type=payload_type, encoding="H264", clock_rate=90_000, parameters=parameters)


class H264Packetizer(NalPacketizer):
    """Units alone, in STAP-A, or in FU-A."""

    header_size: ClassVar[int] = 1

    def aggregation_header(self, parts: Sequence[bytes]) -> bytes:
        return bytes((max(part[0] & _IMPORTANCE for part in parts) | _STAP_A,))

    def fragment_header(self, part: bytes) -> tuple[bytes, int]:
        return bytes((part[0] & ~_TYPE & 0xFF | _FU_A,)), part[0] & _TYPE


class H264Assembler(NalAssembler):
    """Pictures from payloads of any camera, whatever mode it announces."""

    header_size: ClassVar[int] = 1
    part_limit: ClassVar[int] = 128

    def take(self, payload: Payload) -> None:
        data = payload.data
        if not data:
            raise MalformedPacket("H.264 payload is empty")
        kind = data[0] & _TYPE
        if kind == _STAP_A:
            self.add_aggregated(data[1:])
        elif kind == _FU_A:
            if len(data) < 2:
                raise MalformedPacket("H.264 fragment is truncated")
            header = bytes((data[0] & ~_TYPE & 0xFF | data[1] & _TYPE,))
            self.add_fragment(data[1], header, data[2:])
        elif 1 <= kind <= 23:
            self.add_unit(data)
        else:
            raise MalformedPacket(f"H.264 payload is of type {kind}, which nobody speaks")
        self.finish_at(payload.marker)

    def is_key(self, parts: Sequence[bytes]) -> bool:
        return any(part[0] & _TYPE == _IDR for part in parts)
