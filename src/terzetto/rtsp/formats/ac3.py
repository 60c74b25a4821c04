"""AC-3 (RFC 4184).

::

    zero:6 FT:2 | number of frames, or of fragments:8        FT 0 whole, 1 and 2 first fragment, 3 another
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Final

from terzetto.errors import MalformedPacket
from terzetto.rtsp.formats.contract import AccessUnit, Assembler, Packetizer, Payload, cut

__all__ = ["Ac3Assembler", "Ac3Packetizer", "frame_size"]

_WHOLE, _FIRST_MOST, _FIRST_LESS, _ANOTHER = 0, 1, 2, 3
_KILOBITS: Final = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640)
_RATES: Final = (48_000, 44_100, 32_000)
_SAMPLES: Final = 1536


def frame_size(data: bytes) -> int:
    """How long a frame is that begins so; MalformedPacket when none does."""
    if len(data) < 5 or data[:2] != b"\x0b\x77":
        raise MalformedPacket("AC-3 frame has no sync word")
    rate, code = data[4] >> 6, data[4] & 0x3F
    if rate == 3 or code >= 2 * len(_KILOBITS):
        raise MalformedPacket("AC-3 header makes no sense")
    words = _KILOBITS[code // 2] * 96_000 // _RATES[rate]
    return 2 * (words + (code & 1 if rate == 1 else 0))


class Ac3Packetizer(Packetizer):
    """Whole frames together, as many as fit; a frame that does not is cut."""

    def pack(self, unit: AccessUnit) -> list[Payload]:
        payloads: list[Payload] = []
        gathered: list[bytes] = []
        first = 0
        for index, frame in enumerate(unit.parts):
            if gathered and 2 + sum(map(len, gathered)) + len(frame) > self._size:
                payloads.append(self._gathered(gathered, unit.timestamp + first * _SAMPLES))
                gathered = []
            if 2 + len(frame) > self._size:
                payloads += self._fragments(frame, unit.timestamp + index * _SAMPLES)
                continue
            first = first if gathered else index
            gathered.append(frame)
        if gathered:
            payloads.append(self._gathered(gathered, unit.timestamp + first * _SAMPLES))
        return payloads

    @staticmethod
    def _gathered(frames: list[bytes], timestamp: int) -> Payload:
        return Payload(bytes((_WHOLE, len(frames))) + b"".join(frames), timestamp & 0xFFFF_FFFF, True)

    def _fragments(self, frame: bytes, timestamp: int) -> Iterator[Payload]:
        pieces = cut(frame, self._size - 2)
        for index, piece in enumerate(pieces):
            kind = _ANOTHER
            if not index:
                kind = _FIRST_MOST if len(piece) * 8 >= len(frame) * 5 else _FIRST_LESS
            data = bytes((kind, len(pieces))) + piece
            yield Payload(data, timestamp & 0xFFFF_FFFF, index == len(pieces) - 1)


class Ac3Assembler(Assembler):
    """Frames one by one, each with its own time."""

    limit: ClassVar[int] = 1 << 16
    part_limit: ClassVar[int] = 256

    def take(self, payload: Payload) -> None:
        if len(payload.data) < 3:
            raise MalformedPacket("AC-3 payload is truncated")
        kind, data = payload.data[0] & 0x03, payload.data[2:]
        if kind == _WHOLE:
            self._take_whole(data, payload.timestamp)
            return
        # Some senders have the two kinds of first fragment the wrong way round: both are just that.
        if kind == _ANOTHER and not self.is_under_way:
            raise MalformedPacket("AC-3 frame without a beginning")
        if kind != _ANOTHER and self.is_under_way:
            raise MalformedPacket("AC-3 frame was not finished")
        self.add(data)
        if payload.marker:
            self.end_without_marker()

    def _take_whole(self, data: bytes, timestamp: int) -> None:
        index = 0
        while data:
            size = frame_size(data)
            if size > len(data):
                raise MalformedPacket("AC-3 frame is truncated")
            lost, self._lost = self._lost, False
            moment = timestamp + index * _SAMPLES & 0xFFFF_FFFF
            self._done.append(AccessUnit((data[:size],), moment, True, lost))
            data, index = data[size:], index + 1

    def end_without_marker(self) -> None:
        frame = b"".join(self._parts)
        try:
            is_whole = frame_size(frame) == len(frame)
        except MalformedPacket:
            is_whole = False
        if not is_whole:
            self._give_up("AC-3 frame was not finished")
            return
        self._parts[:] = [frame]
        self.finish()
