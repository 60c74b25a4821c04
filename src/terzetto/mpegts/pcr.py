"""The programme clock reference: finding it, and pacing a stream out of a file by it.

A file has no time of its own; its bytes say, several times a second, to which tick of a 27 MHz clock they
belong. Between two references bytes are spread evenly, so a payload is timed once the reference after it is
known.
"""

from __future__ import annotations

import re
from collections import deque
from typing import Final, NamedTuple

from terzetto.errors import MalformedPacket
from terzetto.mpegts.alignment import PAYLOAD_SIZE
from terzetto.mpegts.packet import PACKET_SIZE, PCR_HERTZ, TsHeader
from terzetto.primitives.datagrams import Buffer
from terzetto.primitives.time import MICROS_PER_SECOND, Micros

__all__ = ["PCR_WRAP", "PcrMark", "PcrPacer", "TimedPayload", "find_pcrs"]

PCR_WRAP: Final = (1 << 33) * 300
"""Ticks after which the clock starts again: 26 hours 30 minutes."""

# References are at most 100 ms apart (ISO/IEC 13818-1, 2.7.2); streams in the wild do worse, but a step of
# more than a second is an edit, a loop or a new programme.
_LONGEST_STEP: Final = PCR_HERTZ

# Without references we wait for so many bytes before we let them go at the last known rate.
_MOST_HELD: Final = 4 << 20
_LEAST_HELD: Final = 64 << 10

_WITH_ADAPTATION: Final = re.compile(rb"[\x20-\x3f\x60-\x7f\xa0-\xbf\xe0-\xff]")


class PcrMark(NamedTuple):
    """A clock reference in a stream."""

    offset: int
    """Bytes from the start of the data to the packet that carries it."""
    pid: int
    pcr: int
    discontinuity: bool


class TimedPayload(NamedTuple):
    """A payload and when to send it, counted from the first byte of the stream."""

    due: Micros
    payload: Buffer


def find_pcrs(data: bytes) -> list[PcrMark]:
    """The clock references in *data*, which is aligned packets; broken packets have none."""
    marks = []
    # Few packets have an adaptation field; one pass in C over the fourth byte of each finds them.
    for match in _WITH_ADAPTATION.finditer(data[3::PACKET_SIZE]):
        offset = match.start() * PACKET_SIZE
        try:
            header = TsHeader.decode(data, offset)
        except MalformedPacket:
            continue
        field = header.adaptation
        if field is not None and field.pcr is not None and not header.transport_error:
            marks.append(PcrMark(offset, header.pid, field.pcr, field.discontinuity))
    return marks


class _Anchor(NamedTuple):
    """A byte of the stream whose moment, in ticks since the first byte, is known."""

    offset: int
    ticks: int


class PcrPacer:
    """Cuts aligned packets into payloads and says when each is due.

    It follows the first PID that carries a clock. Where the clock jumps (the file was edited, or begins
    again) time goes on at the last known rate; ``discontinuities`` counts how often. A stream without any
    clock leaves at ``fallback_bitrate``.
    """

    def __init__(self, *, payload_size: int = PAYLOAD_SIZE, fallback_bitrate: int = 10_000_000) -> None:
        if payload_size <= 0 or fallback_bitrate <= 0:
            raise ValueError("payload size and fallback bit rate are positive")
        self._size: Final = payload_size
        self._held: list[bytes] = []
        self._held_from = 0
        self._held_to = 0
        self._anchors: deque[_Anchor] = deque()
        self._pid: int | None = None
        self._last_mark: tuple[int, int] | None = None
        # The last known rate as two integers, ticks in bytes, so that no rounding adds up.
        self._rate: tuple[int, int] = (8 * PCR_HERTZ, fallback_bitrate)
        self._rate_is_known = False
        self.discontinuities = 0

    def feed(self, packets: bytes) -> list[TimedPayload]:
        """Add aligned packets; the payloads whose moment is known now."""
        base = self._held_to
        self._held.append(packets)
        self._held_to += len(packets)
        for offset, pid, pcr, discontinuity in find_pcrs(packets):
            if self._pid is None:
                self._pid = pid
            if pid == self._pid:
                self._add_mark(base + offset, pcr, discontinuity)
        if self._waited_enough():
            self._give_up_waiting()
        return self._release()

    def finish(self) -> list[TimedPayload]:
        """The stream has ended: the payloads that still waited, the last of them perhaps short."""
        self._extrapolate(self._held_to)
        released = self._release()
        if self._held_from < self._held_to:
            released.append(TimedPayload(self._due(self._held_from), b"".join(self._held)))
            self._held_from = self._held_to
            self._held = []
        return released

    @property
    def bitrate(self) -> int | None:
        """Bits per second between the last two references; None before there were two."""
        ticks, size = self._rate
        return size * 8 * PCR_HERTZ // ticks if self._rate_is_known else None

    def _add_mark(self, offset: int, pcr: int, discontinuity: bool) -> None:
        last, self._last_mark = self._last_mark, (offset, pcr)
        if last is None:
            # What came before the first reference is timed when the second gives a rate.
            if self._anchors:
                self._extrapolate(offset)
            return
        step = (pcr - last[1]) % PCR_WRAP
        if discontinuity or not 0 < step <= _LONGEST_STEP:
            self.discontinuities += 1
            self._extrapolate(offset)
            return
        self._rate = (step, offset - last[0])
        if not self._anchors:
            self._extrapolate(last[0])
        self._rate_is_known = True
        self._anchors.append(_Anchor(offset, self._anchors[-1].ticks + step))

    def _extrapolate(self, offset: int) -> None:
        """Time the bytes up to *offset* by the last known rate."""
        if not self._anchors:
            self._anchors.append(_Anchor(0, 0))
        known_to, ticks = self._anchors[-1]
        if offset > known_to:
            step, size = self._rate
            self._anchors.append(_Anchor(offset, ticks + (offset - known_to) * step // size))

    def _waited_enough(self) -> bool:
        known_to = self._anchors[-1].offset if self._anchors else 0
        waiting = self._held_to - known_to
        most = _MOST_HELD
        if self._rate_is_known:
            step, size = self._rate
            most = min(_MOST_HELD, max(_LEAST_HELD, _LONGEST_STEP * size // step))
        return waiting > most

    def _give_up_waiting(self) -> None:
        """The clock has gone, so let it be found anew, perhaps on another PID."""
        self._extrapolate(self._held_to)
        self._pid = None
        self._last_mark = None

    def _release(self) -> list[TimedPayload]:
        # A payload goes by the moment of its first byte, which must lie before the last anchor.
        known_to = self._anchors[-1].offset if self._anchors else 0
        if self._held_from >= known_to:
            return []
        joined = b"".join(self._held)
        view = memoryview(joined)
        ends = min(len(joined), known_to - self._held_from + self._size - 1) // self._size * self._size
        released = [
            TimedPayload(self._due(self._held_from + start), view[start : start + self._size])
            for start in range(0, ends, self._size)
        ]
        self._held = [joined[ends:]]
        self._held_from += ends
        return released

    def _due(self, offset: int) -> Micros:
        anchors = self._anchors
        while len(anchors) > 1 and anchors[1].offset <= offset:
            anchors.popleft()
        start = anchors[0]
        if len(anchors) == 1:
            step, size = self._rate
        else:
            step, size = anchors[1].ticks - start.ticks, anchors[1].offset - start.offset
        return (start.ticks + (offset - start.offset) * step // size) * MICROS_PER_SECOND // PCR_HERTZ
