"""H.265 (RFC 7798)."""

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

__all__ = ["H265Assembler", "H265Packetizer", "H265Parameters"]

_AGGREGATION, _FRAGMENT = 48, 49
_IRAP: Final = range(16, 24)
_TYPE: Final = 0x3F
_SETS: Final = ("vps", "sps", "pps")


def _kind(unit: bytes) -> int:
    return unit[0] >> 1 & _TYPE


@frozen
class H265Parameters:
    """The parameter sets that a decoder needs before the first picture."""

    vps: tuple[bytes, ...] = ()
    sps: tuple[bytes, ...] = ()
    pps: tuple[bytes, ...] = ()

    @classmethod
    def from_format(cls, media_format: Format) -> H265Parameters:
        """Those of a description; what makes no sense is left out, for the stream may bring them too."""
        found: dict[str, tuple[bytes, ...]] = {}
        for name in _SETS:
            sets: list[bytes] = []
            for text in media_format.parameters.get(f"sprop-{name}", "").split(","):
                try:
                    sets += split_annex_b(b64decode(text, validate=True))
                except (binascii.Error, ValueError):
                    continue
            found[name] = tuple(each for each in sets if len(each) > 2)
        return cls(**found)

    def to_format(self, payload_type: int = 96) -> Format:
        """How a description says it."""
        parameters = {
            f"sprop-{name}": ",".join(b64encode(each).decode() for each in sets)
            for name, sets in zip(_SETS, (self.vps, self.sps, self.pps), strict=True)
            if sets
        }
        return Format(payload_type=payload_type, encoding="H265", clock_rate=90_000, parameters=parameters)


class H265Packetizer(NalPacketizer):
    """Units alone, in aggregation packets, or in fragments."""

    header_size: ClassVar[int] = 2

    def aggregation_header(self, parts: Sequence[bytes]) -> bytes:
        layer_and_level = min(int.from_bytes(part[:2], "big") & 0x01FF for part in parts)
        return (_AGGREGATION << 9 | layer_and_level).to_bytes(2, "big")

    def fragment_header(self, part: bytes) -> tuple[bytes, int]:
        return bytes((part[0] & 0x81 | _FRAGMENT << 1, part[1])), _kind(part)


class H265Assembler(NalAssembler):
    """Pictures from payloads; with *has_order* each unit carries its decoding order, which is skipped."""

    header_size: ClassVar[int] = 2
    part_limit: ClassVar[int] = 128

    def __init__(self, *, has_order: bool = False) -> None:
        super().__init__()
        self._order_size = 2 if has_order else 0

    def take(self, payload: Payload) -> None:
        data = payload.data
        if len(data) < 3:
            raise MalformedPacket("H.265 payload is truncated")
        kind = _kind(data)
        if kind == _AGGREGATION:
            # The first has two bytes of order, the others one.
            order = self._order_size
            self.add_aggregated(data[2 + order :] if not order else b"\0" + data[2 + order :], order // 2)
        elif kind == _FRAGMENT:
            header = bytes((data[0] & 0x81 | (data[2] & _TYPE) << 1, data[1]))
            start = 3 + (self._order_size if data[2] & 0x80 else 0)
            self.add_fragment(data[2], header, data[start:])
        elif kind < _AGGREGATION:
            self.add_unit(data[:2] + data[2 + self._order_size :])
        else:
            raise MalformedPacket(f"H.265 payload is of type {kind}, which nobody speaks")
        self.finish_at(payload.marker)

    def is_key(self, parts: Sequence[bytes]) -> bool:
        return any(_kind(part) in _IRAP for part in parts)
