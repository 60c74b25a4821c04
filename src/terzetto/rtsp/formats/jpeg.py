"""Motion JPEG (RFC 2435): pictures without their headers, which a receiver makes anew.

::

    type-specific:8 | offset:24 | type:8 | Q:8 | width / 8 | height / 8
    type 64 to 127:           restart interval:16 | F L count:14
    Q 128 to 255, offset 0:   zero:8 | precision:8 | length:16 | quantisation tables
"""

from __future__ import annotations

from typing import ClassVar, Final

from attrs import field, frozen

from terzetto.errors import MalformedPacket
from terzetto.rtsp.formats.contract import AccessUnit, Assembler, Packetizer, Payload
from terzetto.rtsp.formats.jpeg_tables import HUFFMAN_TABLES, scaled_tables

__all__ = ["JpegAssembler", "JpegPacketizer"]

_SOI, _EOI, _SOS, _DQT, _DHT, _DRI, _SOF0 = 0xD8, 0xD9, 0xDA, 0xDB, 0xC4, 0xDD, 0xC0
_OTHER_FRAMES: Final = frozenset(
    {*range(0xC1, 0xC4), *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0)}
)
_HEADER_SIZE: Final = 8
_OWN_TABLES: Final = 255
_RESTART_TYPES: Final = range(64, 128)


@frozen
class _Picture:
    """What a JPEG file says, as far as it travels."""

    width: int
    height: int
    type: int
    tables: bytes = field(repr=False)
    """Luminance and chrominance, 64 bytes each (or 128)."""
    precision: int
    restart_interval: int
    scan: bytes = field(repr=False)


def _segments(data: bytes) -> list[tuple[int, bytes]]:
    """Markers and what they hold; behind SOS the rest of the file."""
    if data[:2] != bytes((0xFF, _SOI)):
        raise ValueError("there is no JPEG picture")
    segments: list[tuple[int, bytes]] = []
    at = 2
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            raise ValueError("the JPEG picture is damaged")
        if data[at + 1] == 0xFF:
            at += 1
            continue
        marker, size = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if size < 2 or at + 2 + size > len(data):
            raise ValueError("the JPEG picture is damaged")
        segments.append((marker, data[at + 4 : at + 2 + size]))
        at += 2 + size
        if marker == _SOS:
            segments.append((_EOI, data[at:]))
            return segments
    raise ValueError("the JPEG picture has no scan")


def _parse(data: bytes) -> _Picture:
    """Take a picture apart; ValueError for what a receiver could not know."""
    tables: dict[int, bytes] = {}
    precision = restart = 0
    frame = scan = b""
    for marker, body in _segments(data):
        if marker in _OTHER_FRAMES:
            raise ValueError("only baseline JPEG travels by RTP, not progressive")
        if marker == _DQT:
            at = 0
            while at < len(body):
                size = 128 if body[at] >> 4 else 64
                number = body[at] & 0x0F
                precision |= (1 << number) if body[at] >> 4 else 0
                tables[number] = body[at + 1 : at + 1 + size]
                at += 1 + size
        elif marker == _DHT and any(each not in HUFFMAN_TABLES for each in _huffman_tables(body)):
            raise ValueError("only JPEG with the standard Huffman tables travels by RTP")
        elif marker == _DRI:
            restart = int.from_bytes(body[:2], "big")
        elif marker == _SOF0:
            frame = body
        elif marker == _EOI:
            scan = body
    if len(frame) < 15 or frame[5] != 3 or frame[0] != 8:
        raise ValueError("only JPEG with three components of eight bits travels by RTP")
    height, width = int.from_bytes(frame[1:3], "big"), int.from_bytes(frame[3:5], "big")
    if not (0 < width <= 2040 and 0 < height <= 2040):
        raise ValueError(f"the JPEG picture has {width}x{height}, at most 2040x2040 travel by RTP")
    kind = {(0x21, 0x11, 0x11): 0, (0x22, 0x11, 0x11): 1}.get((frame[7], frame[10], frame[13]))
    if kind is None:
        raise ValueError("only JPEG with 4:2:2 or 4:2:0 sampling travels by RTP")
    used = (frame[8], frame[11])
    if any(number not in tables for number in used):
        raise ValueError("the JPEG picture lacks a quantisation table")
    wide = sum(1 << index for index, number in enumerate(used) if precision >> number & 1)
    return _Picture(width, height, kind, tables[used[0]] + tables[used[1]], wide, restart, scan)


def _huffman_tables(body: bytes) -> list[bytes]:
    tables = []
    at = 0
    while at + 17 <= len(body):
        end = at + 17 + sum(body[at + 1 : at + 17])
        tables.append(body[at:end])
        at = end
    return tables


class JpegPacketizer(Packetizer):
    """A picture's scan in pieces, its own tables with the first."""

    def pack(self, unit: AccessUnit) -> list[Payload]:
        picture = _parse(unit.data)
        kind = picture.type + (64 if picture.restart_interval else 0)
        restart = (
            picture.restart_interval.to_bytes(2, "big") + b"\xff\xff" if picture.restart_interval else b""
        )
        first = bytes((0, picture.precision)) + len(picture.tables).to_bytes(2, "big") + picture.tables
        dimensions = bytes(((picture.width + 7) // 8, (picture.height + 7) // 8))
        payloads: list[bytes] = []
        offset = 0
        while offset < len(picture.scan) or not payloads:
            head = offset.to_bytes(4, "big") + bytes((kind, _OWN_TABLES)) + dimensions + restart
            if not offset:
                head += first
            room = self._size - len(head)
            if room < 1:
                raise ValueError(f"payloads of {self._size} bytes are too small for JPEG's tables")
            payloads.append(head + picture.scan[offset : offset + room])
            offset += room
        last = len(payloads) - 1
        return [Payload(data, unit.timestamp, index == last) for index, data in enumerate(payloads)]


class JpegAssembler(Assembler):
    """Pictures as files, from the first piece to the marker; tables that came once are remembered."""

    limit: ClassVar[int] = 8 << 20
    part_limit: ClassVar[int] = 1 << 16

    def __init__(self, *, width: int = 0, height: int = 0) -> None:
        super().__init__()
        self._dimensions = (width, height)
        self._known: dict[int, tuple[int, bytes]] = {}
        self._head = b""

    def take(self, payload: Payload) -> None:
        data = payload.data
        if len(data) < _HEADER_SIZE:
            raise MalformedPacket("JPEG payload is truncated")
        offset = int.from_bytes(data[1:4], "big")
        kind, q = data[4], data[5]
        at = _HEADER_SIZE
        restart = 0
        if kind in _RESTART_TYPES:
            restart, at = int.from_bytes(data[at : at + 2], "big"), at + 4
        if not offset:
            tables, precision = b"", 0
            if q >= 128:
                tables, precision, at = self._tables(data, at, q)
            elif q:
                tables = scaled_tables(q)
            else:
                raise MalformedPacket("JPEG payload names no quantisation tables")
            self._begin(kind, data[6] * 8, data[7] * 8, tables, precision, restart)
        elif not self.is_under_way:
            raise MalformedPacket("JPEG picture without a beginning")
        elif offset != self._size - len(self._head):
            raise MalformedPacket("JPEG picture has a gap")
        self.add(data[at:])
        if payload.marker:
            self.finish()

    def end_without_marker(self) -> None:
        self._give_up("JPEG picture was not finished")

    def finish(self) -> None:
        picture = b"".join(self._parts)
        if not picture.endswith(bytes((0xFF, _EOI))):
            picture += bytes((0xFF, _EOI))
        self._parts[:] = [picture]
        super().finish()

    def _tables(self, data: bytes, at: int, q: int) -> tuple[bytes, int, int]:
        if at + 4 > len(data):
            raise MalformedPacket("JPEG payload is truncated")
        precision, size = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        at += 4
        if size:
            tables = data[at : at + size]
            wanted = sum(128 if precision >> index & 1 else 64 for index in range(2))
            if len(tables) != size or size < wanted:
                raise MalformedPacket("JPEG quantisation tables are truncated")
            if q != _OWN_TABLES:
                self._known[q] = (precision, tables)
            return tables, precision, at + size
        if q not in self._known:
            raise MalformedPacket("JPEG quantisation tables are not known yet")
        precision, tables = self._known[q]
        return tables, precision, at

    def _begin(self, kind: int, width: int, height: int, tables: bytes, precision: int, restart: int) -> None:
        if self.is_under_way:
            raise MalformedPacket("JPEG picture was not finished")
        base = kind - 64 if kind in _RESTART_TYPES else kind
        if base not in (0, 1):
            raise MalformedPacket(f"JPEG type {kind} is not known")
        width, height = width or self._dimensions[0], height or self._dimensions[1]
        if not width or not height:
            raise MalformedPacket("JPEG payload names no dimensions")
        self._head = _head(base, width, height, tables, precision, restart)
        self.add(self._head)


def _segment(marker: int, body: bytes) -> bytes:
    return bytes((0xFF, marker)) + (len(body) + 2).to_bytes(2, "big") + body


def _head(kind: int, width: int, height: int, tables: bytes, precision: int, restart: int) -> bytes:
    """A file's beginning, up to the scan."""
    parts = [bytes((0xFF, _SOI))]
    at = 0
    for number in range(2):
        wide = precision >> number & 1
        size = 128 if wide else 64
        parts.append(_segment(_DQT, bytes((wide << 4 | number,)) + tables[at : at + size]))
        at += size
    sampling = 0x22 if kind else 0x21
    frame = bytes((8,)) + height.to_bytes(2, "big") + width.to_bytes(2, "big")
    frame += bytes((3, 1, sampling, 0, 2, 0x11, 1, 3, 0x11, 1))
    if restart:
        parts.append(_segment(_DRI, restart.to_bytes(2, "big")))
    parts.append(_segment(_SOF0, frame))
    parts += [_segment(_DHT, table) for table in HUFFMAN_TABLES]
    parts.append(_segment(_SOS, bytes((3, 1, 0x00, 2, 0x11, 3, 0x11, 0, 63, 0))))
    return b"".join(parts)
