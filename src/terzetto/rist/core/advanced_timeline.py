"""One flow's sequences and timestamps in one counting, whichever framing its packets came in.

A flow may begin in the Main profile, with 16 bits of sequence and 90 kHz, and go on in the Advanced one, with 32 bits
and microseconds; libRIST's timestamps there are of no use, and arrival takes their place. The recovery buffer must not
notice: so everything is told in sequences of 32 bits that begin as the first framing heard did, and in microseconds
that run on across a change.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from enum import Enum
from typing import Final

from terzetto.primitives.time import MICROS_PER_SECOND, Micros

__all__ = ["Framing", "ReceiveTimeline", "SendTimeline", "widen"]

_MASK: Final = 0xFFFF_FFFF
_HALF: Final = 0x8000_0000
_SPAN16: Final = 0x1_0000

# Moments of arrival that are remembered for repeats: a second and more of batches.
_MARKS: Final = 4096

# Batches after which a new clock is known to be set right, and how long a path stays as fast as it was.
_SETTLING: Final = 500
_WINDOW: Final[Micros] = 10 * MICROS_PER_SECOND

# An original from so far behind is no straggler: its source began to count from elsewhere.
_COUNTS_ANEW: Final = 65_536


class Framing(Enum):
    """Whose sequences and clock a packet has."""

    MAIN = "main"
    ADVANCED = "advanced"
    ARRIVAL = "advanced, by arrival"
    """Advanced packets whose timestamps tell nothing."""


def _signed(circular: int) -> int:
    """A circular difference, to either side."""
    return ((circular + _HALF) & _MASK) - _HALF


def widen(low: int, near: int) -> int:
    """The 32-bit sequence nearest to *near* that ends in the 16 bits of *low*."""
    ahead = (low - near) & 0xFFFF
    return (near + ahead - (_SPAN16 if ahead >= _SPAN16 // 2 else 0)) & _MASK


class ReceiveTimeline:
    """What one flow's receiver has to know to read it."""

    def __init__(self, flow_id: int) -> None:
        self.flow_id = flow_id
        self._newest: int | None = None
        self._shift = 0
        self._upper_known = False
        self._offsets: dict[Framing, int] = {}
        self._last_time = 0
        self._fastest_now: Micros | None = None
        self._fastest_before: Micros | None = None
        self._window_since: Micros = 0
        self._settling: Framing | None = None
        self._settled_after = 0
        self._ticks: int | None = None
        self._main_rate = 0
        self._mark_sequences: list[int] = []
        self._mark_times: list[int] = []
        self._marked = 0
        self.framing: Framing | None = None
        """That of the newest original."""

    # -- sequences -----------------------------------------------------------------------------------------------

    def of_main(self, sequence: int) -> int:
        """A sequence of the Main profile in our counting."""
        wire = sequence if self._newest is None else widen(sequence, self._newest)
        self._note(wire)
        return (wire - self._shift) & _MASK

    def advanced_shift(self, sequences: Sequence[int]) -> int:
        """What to take from Advanced sequences for ours; mostly nothing."""
        if not self._upper_known:
            self._upper_known = True
            if self._newest is not None:
                self._shift = (sequences[0] - widen(sequences[0] & 0xFFFF, self._newest)) & _MASK
                self._newest = None
        self._note(sequences[-1])
        return self._shift

    def on_the_wire(self, sequences: Sequence[int]) -> list[int]:
        """Sequences of ours as the sender counts them."""
        shift = self._shift
        return [(sequence + shift) & _MASK for sequence in sequences] if shift else list(sequences)

    def _note(self, wire: int) -> None:
        if self._newest is None or 0 < (wire - self._newest) & _MASK < _HALF:
            self._newest = wire

    # -- time ----------------------------------------------------------------------------------------------------

    def time(self, framing: Framing, value: int, now: Micros, *, is_late: bool = False) -> int:
        """A moment of that framing's clock in ours; both circular microseconds."""
        offset = self._offsets.get(framing)
        if offset is None:
            if is_late:
                return self._last_time  # a repeat's arrival tells nothing of when it was sent
            offset = 0
            if self.framing is not None:
                # The first word of another clock: taken to have come as fast as the fastest of the one before.
                offset = (now - self._fastest() - value) & _MASK
                self._settling, self._settled_after = framing, _SETTLING
            self._offsets[framing] = offset
        return (value + offset) & _MASK

    def heard(self, framing: Framing, time: int, now: Micros) -> None:
        """The newest original has that time of ours."""
        transit = _signed(now - time)
        if framing is self._settling:
            # Nothing is faster than the fastest: what seems so shows that the clock was set too late.
            too_late = self._fastest() - transit
            if too_late > 0:
                self._offsets[framing] = (self._offsets[framing] - too_late) & _MASK
                transit += too_late
            self._settled_after -= 1
            if not self._settled_after:
                self._settling = None
        self.framing = framing
        self._last_time = time
        if now - self._window_since > _WINDOW:
            self._window_since = now
            self._fastest_before, self._fastest_now = self._fastest_now, transit
        elif self._fastest_now is None or transit < self._fastest_now:
            self._fastest_now = transit

    def _fastest(self) -> Micros:
        """The shortest way, as far as anybody can tell: our clock less the flow's, over the last seconds."""
        known = [each for each in (self._fastest_now, self._fastest_before) if each is not None]
        return min(known, default=0)

    def micros_of(self, timestamp: int, rate: int) -> int:
        """A timestamp of *rate* ticks a second as microseconds that run on when it wraps; for the Main profile."""
        self._main_rate = rate
        ticks = self._endless_ticks(timestamp)
        if self._ticks is None or ticks > self._ticks:
            self._ticks = ticks
        return ticks * MICROS_PER_SECOND // rate

    def _endless_ticks(self, timestamp: int) -> int:
        newest = self._ticks
        if newest is None:
            return timestamp
        ahead = (timestamp - newest) & _MASK
        return newest + ahead - (0 if ahead < _HALF else _MASK + 1)

    def time_of_report(self, timestamp: int, now: Micros) -> int:
        """A timestamp of a report in our time, in whichever of the two clocks it makes more sense."""
        offset = self._offsets.get(Framing.ADVANCED)
        candidates = [] if offset is None else [(timestamp + offset) & _MASK]
        if self._main_rate:
            micros = self._endless_ticks(timestamp) * MICROS_PER_SECOND // self._main_rate
            candidates.append(micros + self._offsets.get(Framing.MAIN, 0) & _MASK)
        expected = now - self._fastest()
        return min(
            candidates or [timestamp],
            key=lambda time: min((time - expected) & _MASK, (expected - time) & _MASK),
        )

    # -- arrival in the place of time ----------------------------------------------------------------------------

    def arrivals(self, sequences: Sequence[int], now: Micros) -> list[Micros]:
        """The times of originals with those Advanced sequences, which arrived now.

        What was overtaken, or is a copy, belongs to those that it should have come with.
        """
        first = self._endless(sequences[0])
        if self._mark_times and first <= self._marked:
            if self._marked - first < _COUNTS_ANEW:
                return [self.arrival_of(sequence, now) for sequence in sequences]
            self._mark_sequences.clear()
            self._mark_times.clear()
        self._mark_sequences.append(first)
        self._mark_times.append(now)
        if len(self._mark_times) > 2 * _MARKS:
            del self._mark_sequences[:_MARKS]
            del self._mark_times[:_MARKS]
        self._marked = self._endless(sequences[-1])
        return [now] * len(sequences)

    def arrival_of(self, sequence: int, now: Micros) -> Micros:
        """When the packet with that Advanced sequence would have arrived: with those next to it."""
        at = bisect_right(self._mark_sequences, self._endless(sequence)) - 1
        return self._mark_times[max(at, 0)] if self._mark_times else now

    def _endless(self, sequence: int) -> int:
        ahead = (sequence - self._marked) & _MASK
        return self._marked + ahead - (0 if ahead < _HALF else _MASK + 1)


class SendTimeline:
    """Circular microseconds as ticks of the Main profile's clock, and short sequences as long ones."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._newest: int | None = None

    def ticks(self, micros: int) -> int:
        """A moment in the Main profile's timestamps."""
        newest = self._newest
        if newest is None:
            endless = micros
        else:
            ahead = (micros - newest) & _MASK
            endless = newest + ahead - (0 if ahead < _HALF else _MASK + 1)
        if newest is None or endless > newest:
            self._newest = endless
        return endless * self._rate // MICROS_PER_SECOND & _MASK
