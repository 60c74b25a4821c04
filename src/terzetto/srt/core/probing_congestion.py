"""Congestion control that looks for the bottleneck instead of fearing losses.

Time is cut into phases. A phase is long enough that at its end the peer's report of what reaches it is about
nothing but this phase, so each phase is an experiment: it was sent at this rate; how much came through? ::

    START    twice to four times what came through before, until not much more comes through
    UP       a quarter more than the bottleneck; if more comes through, the bottleneck is wider than believed
    DOWN     a fifth less: queues empty, and what is still missing is lost by chance and not by congestion
    CRUISE   the bottleneck's rate, and what chance takes on top

A growing round trip means that a queue grows, and while a queue stands at the bottleneck exactly the bottleneck's
rate comes through: so that is measured, and the queue drained, whatever the phase.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from terzetto.primitives.time import MICROS_PER_SECOND, Micros
from terzetto.srt.congestion import AckNotice, CongestionController, LossNotice, PathLimits

__all__ = ["ProbingController"]

_FIRST_RATE: Final = 1000.0
_LEAST_RATE: Final = 20.0
_START_GAIN: Final = 4.0
# On a long path it takes a round trip to learn that a start went too far, and everything meanwhile is lost.
_CAREFUL_START_GAIN: Final = 2.0
_LONG_TRIP: Final[Micros] = 100_000
_UP_GAIN: Final = 1.25
_DOWN_GAIN: Final = 0.8

# What must come through besides noise for a faster phase to count as such.
_START_SUCCESS: Final = 1.3
_UP_SUCCESS: Final = 1.08

# The peer counts over a quarter of a second; a bit more, so that nothing of the phase before is in the figure.
_REPORT_WINDOW: Final[Micros] = 300_000

# A queue is longer than what timers, wake-ups and acknowledgements in batches make of a round trip.
_QUEUE: Final[Micros] = 30_000
_QUEUE_SHARE: Final = 4
_LONGEST_QUEUE: Final[Micros] = 60_000
_MEMORY: Final[Micros] = 10 * MICROS_PER_SECOND
_STUBBORN: Final = 4

# More than this is not chance.
_MOST_CHANCE: Final = 0.3

# A phase in which the application had too little to send, or the peer too little room, says nothing.
_IDLE: Final = 0.75


class _Phase(Enum):
    START = "start"
    UP = "up"
    DOWN = "down"
    CRUISE = "cruise"


_GAIN: Final = {_Phase.START: _START_GAIN, _Phase.UP: _UP_GAIN, _Phase.DOWN: _DOWN_GAIN, _Phase.CRUISE: 1.0}

_CRUISES: Final = 2


class ProbingController(CongestionController):
    """Rates are packets per second."""

    def __init__(self, limits: PathLimits) -> None:
        self._limits = limits
        self._bottleneck = _FIRST_RATE / _START_GAIN
        self._chance = 0.0
        self._phase = _Phase.START
        self._cruised = 0
        self._began: Micros | None = None
        self._sent = 0
        self._acked_at_begin = limits.first_position
        self._rate = _FIRST_RATE
        self._least_trip: Micros = 0
        self._least_trip_at: Micros = 0
        self._drains = 0
        self._first_drained_trip: Micros = 0
        self._drained_trip: Micros = 0
        self._distrusts_peer = False
        self._received = 0.0
        self._ceiling = float("inf")
        self.limit(limits.max_bandwidth)
        self._set_pace()

    def on_sent(self, packets: int, size: int, *, now: Micros) -> None:
        """Count, to know what the peer could have got."""
        if self._began is None:
            self._began = now
        self._sent += packets

    def on_ack(self, ack: AckNotice) -> None:
        """Take the figures of the path; perhaps the phase is over."""
        now = ack.now
        if self._began is None or not ack.round_trip:
            return
        self._note_trip(ack.round_trip, now)
        if ack.receive_rate:
            self._received = float(ack.receive_rate)
        elapsed = now - self._began
        if self._has_queue(ack.round_trip):
            # The first answers in a phase are about the one before, which may have been drained already.
            if elapsed > ack.round_trip + _REPORT_WINDOW // 2:
                self._drain(ack, elapsed)
        elif elapsed >= ack.round_trip + _REPORT_WINDOW:
            self._drains = 0
            self._judge(self._came_through(ack, elapsed), elapsed)
            self._begin(ack)

    def on_loss(self, loss: LossNotice) -> None:
        """Losses say nothing by themselves; what comes through does."""

    def on_timeout(self, *, now: Micros) -> None:
        """It may be the goodbye's answer that is missing, so nothing is concluded."""

    def _note_trip(self, round_trip: Micros, now: Micros) -> None:
        if not self._least_trip or round_trip <= self._least_trip or now - self._least_trip_at > _MEMORY:
            self._least_trip = round_trip
            self._least_trip_at = now

    def _has_queue(self, round_trip: Micros) -> bool:
        patience = min(max(_QUEUE, self._least_trip // _QUEUE_SHARE), _LONGEST_QUEUE)
        return round_trip - self._least_trip > patience

    def _came_through(self, ack: AckNotice, elapsed: Micros) -> float:
        sent = self._sent * MICROS_PER_SECOND / elapsed
        if self._received > 1.5 * sent and self._sent > 100:
            # libsrt looks at gaps between neighbours, and takes a burst for a fast line.
            self._distrusts_peer = True
        if self._distrusts_peer or not self._received:
            return (ack.position - self._acked_at_begin) * MICROS_PER_SECOND / elapsed
        return min(self._received, sent * 1.1)

    def _judge(self, through: float, elapsed: Micros) -> None:
        """The phase is over, and no queue is in sight."""
        if self._sent * MICROS_PER_SECOND < _IDLE * self._rate * elapsed:
            return
        phase = self._phase
        if phase is _Phase.START:
            if through >= _START_SUCCESS * self._bottleneck:
                self._bottleneck = through
            else:
                self._bottleneck = max(self._bottleneck, through)
                self._phase = _Phase.DOWN
        elif phase is _Phase.UP:
            if through > _UP_SUCCESS * self._bottleneck:
                self._bottleneck = through
            else:
                self._phase = _Phase.DOWN
        elif phase is _Phase.DOWN:
            chance = min(max(1 - through / self._rate, 0.0), _MOST_CHANCE)
            self._chance = (self._chance + chance) / 2
            self._phase = _Phase.CRUISE
            self._cruised = 0
        else:
            self._bottleneck = (self._bottleneck + through) / 2
            self._cruised += 1
            if self._cruised >= _CRUISES:
                self._phase = _Phase.UP

    def _drain(self, ack: AckNotice, elapsed: Micros) -> None:
        """A queue stands at the bottleneck: what comes through is what it can do."""
        if self._drains == 0:
            self._first_drained_trip = ack.round_trip
        # While the queue shrinks we send less than the bottleneck can do, and what comes through tells nothing.
        if self._drains == 0 or ack.round_trip > self._drained_trip:
            self._bottleneck = max(self._came_through(ack, elapsed), _LEAST_RATE)
        self._drained_trip = ack.round_trip
        self._drains += 1
        if self._drains > _STUBBORN and ack.round_trip * 10 > self._first_drained_trip * 9:
            # It does not go away: the path has become longer, or the queue is somebody else's.
            self._least_trip = ack.round_trip
            self._least_trip_at = ack.now
        self._phase = _Phase.DOWN
        self._begin(ack)

    def _begin(self, ack: AckNotice) -> None:
        self._began = ack.now
        self._sent = 0
        self._acked_at_begin = ack.position
        self._set_pace()

    def _set_pace(self) -> None:
        gain = _GAIN[self._phase]
        if self._phase is _Phase.START and self._least_trip > _LONG_TRIP:
            gain = _CAREFUL_START_GAIN
        rate = self._bottleneck * gain / (1 - self._chance)
        self._rate = min(max(rate, _LEAST_RATE), self._ceiling)
        self.period = MICROS_PER_SECOND / self._rate

    def limit(self, max_bandwidth: int) -> None:
        """Never faster than this."""
        self._ceiling = max_bandwidth / self._limits.mss if max_bandwidth > 0 else float("inf")

    @property
    def bandwidth(self) -> int:
        """The pace, in bytes."""
        return int(self._rate * self._limits.mss)
