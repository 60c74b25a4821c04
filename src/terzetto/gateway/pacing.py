"""Bytes of a file or pipe into batches of payloads, each at its time.

``Unpaced``    as fast as somebody takes them
``Paced``      by the programme's clock, or at a given bit rate; in ticks, so that a batch is worth a wake-up
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from typing import Final, Protocol

import trio

from terzetto.errors import InvalidOption
from terzetto.gateway.contract import Batch, InputSettings, Json, Source
from terzetto.mpegts.alignment import PacketAligner, PayloadCutter
from terzetto.mpegts.pcr import PcrPacer, TimedPayload
from terzetto.primitives.datagrams import Buffer
from terzetto.primitives.time import MICROS_PER_SECOND, seconds

__all__ = ["BitratePacer", "ByteReader", "ByteSource", "Paced", "TransportPacer", "Unpaced", "make_source"]

# Shorter than a reader's tick: a decoder behind plain UDP may have little buffer to smooth bursts with.
_TICK: Final = 0.004

# Payloads are timed this far ahead, so that a disk may be slow now and then.
_READ_AHEAD: Final = 0.5

# We were held up (a suspended laptop, a stopped process): more than this is not made up for by a burst.
_LATE: Final = 0.5

# A transport stream shows itself within a few packets; garbage before it may be as long as this.
_LONGEST_GARBAGE: Final = 1 << 20


class ByteReader(Protocol):
    """Where bytes come from."""

    name: str

    async def read(self) -> bytes:
        """The next bytes, many where they are there; none is the end."""

    async def aclose(self) -> None:
        """Close it."""


class Pacer(ABC):
    """Says when each payload is due, in microseconds since the first."""

    @abstractmethod
    def feed(self, data: bytes) -> list[TimedPayload]:
        """Add *data*; the payloads whose moment is known now."""

    @abstractmethod
    def finish(self) -> list[TimedPayload]:
        """The payloads that still waited."""

    def statistics(self) -> dict[str, Json]:
        """What was seen on the way."""
        return {}


class BitratePacer(Pacer):
    """So many bits a second, whatever they are."""

    def __init__(self, bitrate: int) -> None:
        self._bitrate = bitrate
        self._cutter = PayloadCutter()
        self._octets = 0

    def feed(self, data: bytes) -> list[TimedPayload]:
        """Add *data*."""
        return [self._timed(payload) for payload in self._cutter.feed(data)]

    def finish(self) -> list[TimedPayload]:
        """The last payload, if there is a short one."""
        rest = self._cutter.finish()
        return [self._timed(rest)] if rest else []

    def _timed(self, payload: Buffer) -> TimedPayload:
        due = self._octets * 8 * MICROS_PER_SECOND // self._bitrate
        self._octets += len(payload)
        return TimedPayload(due, payload)


class TransportPacer(Pacer):
    """An MPEG transport stream by its own clock; what is no packet is left out."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._aligner = PacketAligner()
        self._pacer = PcrPacer()
        self._found = False

    def feed(self, data: bytes) -> list[TimedPayload]:
        """Add *data*; `InvalidOption` where it is no transport stream."""
        return self._time(self._aligner.feed(data), patience=_LONGEST_GARBAGE)

    def finish(self) -> list[TimedPayload]:
        """The payloads that still waited."""
        return self._time(self._aligner.finish(), patience=0) + self._pacer.finish()

    def statistics(self) -> dict[str, Json]:
        """What was seen on the way."""
        return {
            "discarded_bytes": self._aligner.discarded,
            "resyncs": self._aligner.resyncs,
            "clock_jumps": self._pacer.discontinuities,
            "clock_bitrate": self._pacer.bitrate,
        }

    def _time(self, packets: bytes, *, patience: int) -> list[TimedPayload]:
        self._found = self._found or bool(packets)
        if not self._found and self._aligner.discarded > patience:
            raise InvalidOption(
                f"{self._name} is no MPEG transport stream, so its pace is not known",
                hint="give one with --bitrate, or let it run with --no-pace",
            )
        return self._pacer.feed(packets) if packets else []


class ByteSource(Source):
    """Payloads from a reader."""

    is_patient = True

    def __init__(self, reader: ByteReader) -> None:
        self._reader = reader

    async def aclose(self) -> None:
        """Close the reader."""
        await self._reader.aclose()


class Unpaced(ByteSource):
    """Payloads as fast as they are taken; the last one may be short."""

    def __init__(self, reader: ByteReader) -> None:
        super().__init__(reader)
        self._cutter = PayloadCutter()
        self._ended = False

    @property
    def is_bulk(self) -> bool:
        """It has to be held back."""
        return True

    async def receive(self) -> Batch | None:
        """The next payloads."""
        while not self._ended:
            data = await self._reader.read()
            if data:
                payloads = self._cutter.feed(data)
                if payloads:
                    return Batch(payloads)
                continue
            self._ended = True
            rest = self._cutter.finish()
            if rest:
                return Batch([rest])
        return None


class Paced(ByteSource):
    """Payloads when they are due."""

    def __init__(self, reader: ByteReader, pacer: Pacer, *, tick: float = _TICK) -> None:
        super().__init__(reader)
        self._pacer = pacer
        self._tick = tick
        self._timed: deque[TimedPayload] = deque()
        self._started: float | None = None
        self._ended = False
        self._last_wake = 0.0

    async def receive(self) -> Batch | None:
        """The payloads that are due, all of them."""
        while True:
            await self._read_ahead()
            if not self._timed:
                return None
            now = trio.current_time()
            if self._started is None:
                self._started = now - seconds(self._timed[0].due)
            first_due = self._started + seconds(self._timed[0].due)
            if first_due <= now:
                if now - first_due > _LATE:
                    self._started += now - first_due
                return self._take(now)
            # Not to the very moment of one payload: a tick later there is a batch of them.
            self._last_wake = max(first_due, self._last_wake + self._tick)
            await trio.sleep_until(self._last_wake)

    def statistics(self) -> dict[str, Json]:
        """What the pacer saw."""
        return self._pacer.statistics()

    async def _read_ahead(self) -> None:
        while not self._ended:
            if self._timed:
                if self._started is None:
                    return
                if self._started + seconds(self._timed[-1].due) > trio.current_time() + _READ_AHEAD:
                    return
            data = await self._reader.read()
            self._ended = not data
            self._timed += self._pacer.feed(data) if data else self._pacer.finish()

    def _take(self, now: float) -> Batch:
        assert self._started is not None
        until = (now - self._started) * MICROS_PER_SECOND
        timed = self._timed
        source_time = self._started + seconds(timed[0].due)
        payloads = [timed.popleft().payload]
        while timed and timed[0].due <= until:
            payloads.append(timed.popleft().payload)
        return Batch(payloads, source_time)


def make_source(reader: ByteReader, settings: InputSettings, *, pace_unless_told: bool) -> ByteSource:
    """A source that reads *reader* as *settings* say."""
    pace = settings.pace
    if pace is None:
        pace = pace_unless_told or settings.bitrate is not None
    if not pace:
        return Unpaced(reader)
    return Paced(reader, BitratePacer(settings.bitrate) if settings.bitrate else TransportPacer(reader.name))
