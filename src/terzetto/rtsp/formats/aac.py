"""AAC as mpeg4-generic (RFC 3640), in the modes AAC-hbr and AAC-lbr.

::

    length of the headers in bits:16 | size, index | size, index delta ... | frames
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from attrs import frozen

from terzetto.errors import MalformedPacket
from terzetto.rtsp.formats.contract import AccessUnit, Depacketizer, Packetizer, Payload, cut
from terzetto.rtsp.wire.description import Format

__all__ = ["AacConfig", "AacDepacketizer", "AacLayout", "AacPacketizer"]

_RATES: Final = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)
_FRAME_LIMIT: Final = 8192
"""Bytes of a frame: 768 for each of eight channels, and some more for those that break the rules."""
_FRAMES_LIMIT: Final = 128
_ADTS: Final = re.compile(rb"\xff[\xf0\xf1\xf8\xf9]")


class AacLayout(NamedTuple):
    """How many bits the headers have."""

    size_bits: int = 13
    index_bits: int = 3
    delta_bits: int = 3

    @classmethod
    def from_format(cls, media_format: Format) -> AacLayout:
        """What a description says; MalformedPacket when no payload can be read so."""
        parameters = media_format.parameters
        is_low = parameters.get("mode", "").lower().replace("_", "-") == "aac-lbr"
        defaults = cls(6, 2, 2) if is_low else cls()
        given = []
        for name, default in zip(("sizelength", "indexlength", "indexdeltalength"), defaults, strict=True):
            text = parameters.get(name, str(default) if name == "sizelength" or not parameters else "0")
            if not (text.isascii() and text.isdigit() and int(text) <= 32):
                raise MalformedPacket(f"{name} is {text!r}")
            given.append(int(text))
        if not given[0]:
            raise MalformedPacket("sizelength is 0")
        return cls(*given)


@frozen
class AacConfig:
    """The AudioSpecificConfig, as far as carrying needs to know it."""

    data: bytes
    rate: int
    channels: int
    samples: int = 1024
    """Of a frame."""

    @classmethod
    def parse(cls, data: bytes) -> AacConfig:
        """Read it; MalformedPacket is the only way to fail."""
        bits = int.from_bytes(data.ljust(8, b"\0")[:8], "big")
        at = 64

        def take(count: int) -> int:
            nonlocal at
            at -= count
            return bits >> at & (1 << count) - 1

        if len(data) < 2:
            raise MalformedPacket("AAC configuration is truncated")
        kind = take(5)
        if kind == 31:
            kind = 32 + take(6)

        def rate_of() -> int:
            index = take(4)
            if index == 15:
                return take(24)
            if index >= len(_RATES):
                raise MalformedPacket("AAC configuration has an unknown rate")
            return _RATES[index]

        rate = rate_of()
        channels = take(4)
        if kind in (5, 29):  # SBR: the clock is the extension's
            rate = rate_of()
            kind = take(5)
        samples = 960 if take(1) else 1024
        return cls(data, rate, {0: 0, 7: 8}.get(channels, channels), samples)

    @classmethod
    def from_format(cls, media_format: Format) -> AacConfig | None:
        """The one of a description, where there is one that makes sense."""
        try:
            return cls.parse(bytes.fromhex(media_format.parameters.get("config", "")))
        except (MalformedPacket, ValueError):
            return None

    def to_format(self, payload_type: int = 97) -> Format:
        """How a description says it."""
        return Format(
            payload_type=payload_type,
            encoding="mpeg4-generic",
            clock_rate=self.rate,
            channels=self.channels or None,
            parameters={
                "streamtype": "5",
                "mode": "AAC-hbr",
                "profile-level-id": "1",
                "config": self.data.hex(),
                "sizelength": "13",
                "indexlength": "3",
                "indexdeltalength": "3",
            },
        )


class AacPacketizer(Packetizer):
    """As many frames of a unit as fit; a frame that does not is cut, each piece telling the size of all."""

    def pack(self, unit: AccessUnit) -> list[Payload]:
        payloads: list[Payload] = []
        gathered: list[bytes] = []
        first = 0
        for index, frame in enumerate(unit.parts):
            if not 0 < len(frame) < 1 << 13:
                raise ValueError(f"an AAC frame has {len(frame)} bytes, must have 1 to 8191")
            if gathered and 2 + sum(map(len, gathered)) + len(frame) + 2 * len(gathered) + 2 > self._size:
                payloads.append(self._gathered(gathered, unit.timestamp + first * 1024))
                gathered = []
            if len(frame) + 4 > self._size:
                payloads += self._fragments(frame, unit.timestamp + index * 1024)
                continue
            if not gathered:
                first = index
            gathered.append(frame)
        if gathered:
            payloads.append(self._gathered(gathered, unit.timestamp + first * 1024))
        return payloads

    @staticmethod
    def _gathered(frames: list[bytes], timestamp: int) -> Payload:
        headers = b"".join((len(frame) << 3).to_bytes(2, "big") for frame in frames)
        data = (16 * len(frames)).to_bytes(2, "big") + headers + b"".join(frames)
        return Payload(data, timestamp & 0xFFFF_FFFF, True)

    def _fragments(self, frame: bytes, timestamp: int) -> list[Payload]:
        header = (16).to_bytes(2, "big") + (len(frame) << 3).to_bytes(2, "big")
        pieces = cut(frame, self._size - 4)
        last = len(pieces) - 1
        return [
            Payload(header + piece, timestamp & 0xFFFF_FFFF, index == last)
            for index, piece in enumerate(pieces)
        ]


class AacDepacketizer(Depacketizer):
    """Frames one by one, each with its own time."""

    def __init__(self, layout: AacLayout | None = None, *, samples: int = 1024) -> None:
        super().__init__()
        self._layout = layout or AacLayout()
        self._samples = samples
        self._pieces: list[bytes] = []
        self._wanted: int | None = None
        self._timestamp = 0
        self._lost = False
        self._all_have_adts: bool | None = None

    def push(self, payload: Payload) -> list[AccessUnit]:
        if self._pieces and (payload.lost_before or payload.timestamp != self._timestamp):
            self._give_up("AAC frame was not finished")
        self._lost = self._lost or payload.lost_before > 0
        try:
            return self._take(payload)
        except MalformedPacket as exc:
            self._give_up(exc.reason)
            return []

    def _take(self, payload: Payload) -> list[AccessUnit]:
        sizes, data = self._headers(payload.data)
        present = len(data)
        if self._pieces or (len(sizes) == 1 and (sizes[0] > present or not payload.marker)):
            return self._take_piece(sizes[0], data, payload)
        if sum(sizes) > present:
            raise MalformedPacket("AAC frames are truncated")
        units = []
        at = 0
        for index, size in enumerate(sizes):
            frame = data[at : at + size]
            at += size
            timestamp = payload.timestamp + index * self._samples & 0xFFFF_FFFF
            units.append(self._unit(frame, timestamp))
        return units

    def _take_piece(self, size: int, data: bytes, payload: Payload) -> list[AccessUnit]:
        """A frame over several packets; its size is that of the whole, or of the piece, as the sender likes it."""
        if not self._pieces:
            if payload.lost_before and size <= len(data):
                raise MalformedPacket("AAC frame without a beginning")
            self._timestamp = payload.timestamp
            self._wanted = size if size > len(data) else None
        self._pieces.append(data)
        so_far = sum(map(len, self._pieces))
        if so_far > _FRAME_LIMIT:
            raise MalformedPacket("AAC frame is larger than its format allows")
        if not payload.marker and (self._wanted is None or so_far < self._wanted):
            return []
        frame, wanted = b"".join(self._pieces), self._wanted
        self._pieces.clear()
        if wanted is not None and len(frame) != wanted:
            raise MalformedPacket("AAC frame was not finished")
        return [self._unit(frame, payload.timestamp)]

    def _headers(self, data: bytes) -> tuple[list[int], bytes]:
        if len(data) < 2:
            raise MalformedPacket("AAC payload is truncated")
        bits = int.from_bytes(data[:2], "big")
        start = 2 + (bits + 7) // 8
        if not bits or start > len(data):
            raise MalformedPacket("AAC payload is truncated")
        headers, left = int.from_bytes(data[2:start], "big") >> -bits % 8, bits
        size_bits, index_bits, delta_bits = self._layout
        sizes: list[int] = []
        while left > 0:
            more = delta_bits if sizes else index_bits
            left -= size_bits + more
            if left < 0:
                raise MalformedPacket("AAC headers have an odd length")
            header = headers >> left & (1 << size_bits + more) - 1
            if header & (1 << more) - 1:
                raise MalformedPacket("AAC frames are interleaved, which nobody does")
            sizes.append(header >> more)
        if len(sizes) > _FRAMES_LIMIT:
            raise MalformedPacket("AAC payload has too many frames")
        return sizes, data[start:]

    def _unit(self, frame: bytes, timestamp: int) -> AccessUnit:
        if self._all_have_adts is not False:
            self._all_have_adts = len(frame) > 9 and _ADTS.match(frame) is not None
        if self._all_have_adts:
            frame = frame[7 if frame[1] & 0x01 else 9 :]
        lost, self._lost = self._lost, False
        return AccessUnit((frame,), timestamp, True, lost)

    def _give_up(self, reason: str) -> None:
        self.dropped[reason] += 1
        self._lost = True
        self._pieces.clear()
