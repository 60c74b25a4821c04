"""Formats whose payloads are units already: Opus, Speex, G.726, and sound in samples.

Opus (RFC 7587) and the others have a frame, or several, to a payload. Samples (RFC 3551, RFC 3190) may be cut
anywhere between two of them, and the timestamp counts them.
"""

from __future__ import annotations

from typing import Final

from terzetto.rtsp.formats.contract import PAYLOAD_SIZE, AccessUnit, Depacketizer, Packetizer, Payload, cut

__all__ = [
    "OpusPacketizer",
    "SamplePacketizer",
    "WholeDepacketizer",
    "WholePacketizer",
    "opus_duration",
]

_OPUS_SILK: Final = (480, 960, 1920, 2880)
_OPUS_HYBRID: Final = (480, 960)
_OPUS_CELT: Final = (120, 240, 480, 960)


def opus_duration(packet: bytes) -> int:
    """Ticks of 1/48000 s that an Opus packet lasts; ValueError when it is none."""
    if not packet:
        raise ValueError("an Opus packet is empty")
    config, code = packet[0] >> 3, packet[0] & 0x03
    if config < 12:
        frame = _OPUS_SILK[config % 4]
    elif config < 16:
        frame = _OPUS_HYBRID[config % 2]
    else:
        frame = _OPUS_CELT[config % 4]
    if code < 3:
        return frame * (1 if code == 0 else 2)
    if len(packet) < 2:
        raise ValueError("an Opus packet is truncated")
    return frame * (packet[1] & 0x3F)


class WholePacketizer(Packetizer):
    """One part, one payload; all of a unit at its time."""

    def pack(self, unit: AccessUnit) -> list[Payload]:
        for part in unit.parts:
            if not 0 < len(part) <= self._size:
                raise ValueError(f"a frame has {len(part)} bytes, must have 1 to {self._size}")
        return [Payload(part, unit.timestamp, True) for part in unit.parts]


class OpusPacketizer(WholePacketizer):
    """One packet, one payload, each at its own time."""

    def pack(self, unit: AccessUnit) -> list[Payload]:
        timestamp = unit.timestamp
        payloads = []
        for payload in super().pack(unit):
            payloads.append(payload._replace(timestamp=timestamp, marker=False))
            timestamp = timestamp + opus_duration(payload.data) & 0xFFFF_FFFF
        return payloads


class SamplePacketizer(Packetizer):
    """Samples of *sample_size* bytes (those of all channels together), cut between two of them.

    A tick of the clock is *samples_per_tick* of them: one, but two in G.722 by an old mistake.
    """

    def __init__(
        self, sample_size: int, payload_size: int = PAYLOAD_SIZE, *, samples_per_tick: int = 1
    ) -> None:
        super().__init__(payload_size)
        self._sample_size = sample_size
        self._per_tick = samples_per_tick

    def pack(self, unit: AccessUnit) -> list[Payload]:
        data = unit.data
        if not data or len(data) % self._sample_size:
            raise ValueError(f"{len(data)} bytes are no whole samples of {self._sample_size} bytes")
        step = self._size // self._sample_size
        step -= step % self._per_tick
        return [
            Payload(piece, unit.timestamp + index * (step // self._per_tick) & 0xFFFF_FFFF)
            for index, piece in enumerate(cut(data, step * self._sample_size))
        ]


class WholeDepacketizer(Depacketizer):
    """A payload is a unit, where it has whole samples of *sample_size* bytes."""

    def __init__(self, sample_size: int = 1) -> None:
        super().__init__()
        self._sample_size = sample_size
        self._lost = False

    def push(self, payload: Payload) -> list[AccessUnit]:
        self._lost = self._lost or payload.lost_before > 0
        if not payload.data or len(payload.data) % self._sample_size:
            self.dropped["payload has no whole samples"] += 1
            self._lost = True
            return []
        lost, self._lost = self._lost, False
        return [AccessUnit((payload.data,), payload.timestamp, True, lost)]
