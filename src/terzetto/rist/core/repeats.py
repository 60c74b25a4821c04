"""Which requests a sender answers.

A receiver asks as often as it likes; what that costs us is decided here. Each refusal has its counter, so that a
sender's statistics say why a packet was not repeated.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from terzetto.primitives.time import Micros
from terzetto.rist.core.counters import SenderCounters
from terzetto.rist.core.history import History, Sent
from terzetto.rist.core.settings import Settings
from terzetto.rist.options import CongestionControl

__all__ = ["RepeatGate"]

# One datagram of requests may name this many packets at most: libRIST asks for 200 at a time, and a message that
# names thousands is not asking for packets but for our bandwidth.
_LONGEST_REQUEST: Final = 1024


class RepeatGate:
    """Answers requests from the history, within reason."""

    def __init__(self, history: History, settings: Settings, counters: SenderCounters) -> None:
        self._history = history
        self._settings = settings
        self._counters = counters
        self._repeated: dict[int, tuple[int, Micros]] = {}

    def answer(
        self, sequences: list[int], *, sequence_bits: int = 16, now: Micros, round_trip: Micros, room: int
    ) -> list[tuple[int, Sent]]:
        """The packets to repeat now for a request of circular *sequences*, spending at most *room* bytes.

        *sequence_bits* is how much of each the request said.
        """
        counters = self._counters
        settings = self._settings
        counters.requested += len(sequences)
        window = self._suppression_window(round_trip)
        too_old = now - settings.buffer_max - 2 * settings.rtt_max
        chosen: list[tuple[int, Sent]] = []
        counters.over_the_limit += max(0, len(sequences) - _LONGEST_REQUEST)
        for circular in sequences[:_LONGEST_REQUEST]:
            found = self._history.find(circular, sequence_bits=sequence_bits)
            if found is None:
                counters.not_found += 1
                continue
            sequence, packet = found
            sent_at, _, payload = packet
            if sent_at < too_old:
                counters.too_old += 1
                continue
            times, last = self._repeated.get(sequence, (0, now - window))
            if times >= settings.max_retries:
                counters.exhausted += 1
            elif now - last < window:
                counters.suppressed += 1
            elif len(payload) > room:
                counters.bandwidth_skipped += 1
            else:
                room -= len(payload)
                self._repeated[sequence] = (times + 1, now)
                chosen.append(found)
        self._forget()
        return chosen

    def volunteer(self, sequences: Sequence[int], *, now: Micros, room: int) -> list[tuple[int, Sent]]:
        """The packets of these endless *sequences* to repeat unasked, spending at most *room* bytes.

        Whoever asks for them all the same is answered like anybody whose answer is under way.
        """
        chosen: list[tuple[int, Sent]] = []
        for sequence in sequences:
            found = self._history.find(sequence)
            if found is None:
                continue
            room -= len(found[1][2])
            if room < 0:
                self._counters.bandwidth_skipped += 1
                continue
            self._repeated[found[0]] = (self.times(found[0]) + 1, now)
            chosen.append(found)
        self._forget()
        return chosen

    def times(self, sequence: int) -> int:
        """How often a packet has been repeated."""
        return self._repeated.get(sequence, (0, 0))[0]

    def _suppression_window(self, round_trip: Micros) -> Micros:
        mode = self._settings.congestion_control
        if mode is CongestionControl.OFF:
            return 0
        window = self._settings.clamp_round_trip(round_trip)
        return 2 * window if mode is CongestionControl.AGGRESSIVE else window

    def _forget(self) -> None:
        # Insertion order is by first repeat, near enough to age to let the oldest go.
        while len(self._repeated) > 2 * len(self._history) + 1024:
            del self._repeated[next(iter(self._repeated))]
