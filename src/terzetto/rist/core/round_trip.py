"""The round trip to a peer: whom to ask, what to believe, and how often to keep asking.

Echoes are best, because they need no clock but ours. Where the peer does not speak them, its reception reports
tell when it heard our last sender report (LSR) and how long it kept that (DLSR). Only answers to what we really
sent count: a token or a report time that we never issued is somebody's invention.
"""

from __future__ import annotations

from typing import Final

from terzetto.primitives.estimators import RoundTripEstimator
from terzetto.primitives.time import MICROS_PER_SECOND, Micros

__all__ = ["RoundTrip"]

# Peers without echo exist (GStreamer): after this many unanswered requests stop asking.
_BLIND_REQUESTS: Final = 3

# A round trip that has been measured so often does not need every report to ask again: each answer is a wake-up at
# both ends.
_SETTLED: Final = 16
_SETTLED_BEATS: Final = 4

# A report that names one of ours shows that its author has read it, unless it was found by trying.
_INVENTIONS: Final = 16

# Questions in flight that we remember; at ten a second this spans well over the longest round trip.
_REMEMBERED: Final = 32


class RoundTrip:
    """Measures one peer's round trip."""

    def __init__(self, *, initial: Micros) -> None:
        self._estimator = RoundTripEstimator()
        self._initial = initial
        self._echoes: dict[int, Micros] = {}
        self._reports: dict[int, Micros] = {}
        self._requests_sent = 0
        self._samples = 0
        self._beats = 0
        self._inventions = 0
        self.hears_us = False
        """Whether the peer has told us something that only who receives what we send can know."""
        self.answered_at: Micros | None = None
        """When a question of ours was last answered: what we send arrives."""
        self.proven_at: Micros | None = None
        """When the latest question that was answered left: what left with it has arrived too."""
        self.echo_spoken = False
        """Whether the peer has sent an echo request or response."""
        self.echo_answered = False
        """Whether the peer has answered one of ours."""

    @property
    def smoothed(self) -> Micros:
        """The smoothed round trip, or the initial guess before any sample."""
        smoothed = self._estimator.smoothed
        return self._initial if smoothed is None else smoothed

    @property
    def last(self) -> Micros:
        """The latest sample, or the initial guess."""
        return self._initial if self._estimator.last is None else self._estimator.last

    @property
    def shortest_recent(self) -> Micros:
        """The latest sample or the smoothed one, whichever is shorter.

        A receiver asks again after its smoothed round trip; holding a repeat back by one long sample of our own
        would waste what it asked for.
        """
        return min(self.last, self.smoothed)

    @property
    def is_measured(self) -> bool:
        """Whether there is any sample yet."""
        return self._estimator.smoothed is not None

    def may_ask(self, *, often: bool = False) -> bool:
        """Whether an echo request makes sense with this report; *often* where much depends on the answer."""
        if not self.echo_spoken:
            return self._requests_sent < _BLIND_REQUESTS
        self._beats += 1
        return often or self._samples < _SETTLED or self._beats % _SETTLED_BEATS == 0

    def peer_appeared(self) -> None:
        """Somebody is there to answer: requests made to an empty house do not count."""
        self._requests_sent = 0

    def start_over(self) -> None:
        """Another peer, or the same one restarted: what the last one could and how far it was need not hold."""
        self._estimator = RoundTripEstimator()
        self._echoes.clear()
        self._reports.clear()
        self._requests_sent = 0
        self.answered_at = self.proven_at = None
        self._inventions = 0
        self.hears_us = False
        self.echo_spoken = self.echo_answered = False

    def ask(self, token: int, now: Micros) -> None:
        """An echo request with *token* leaves now."""
        self._requests_sent += 1
        _remember(self._echoes, token, now)

    def reported(self, middle_ntp: int, now: Micros) -> None:
        """A sender report (or receiver time) whose NTP middle bits are *middle_ntp* leaves now."""
        _remember(self._reports, middle_ntp, now)

    def handle_echo(self, token: int, held_for: Micros, now: Micros) -> bool:
        """The peer answered; false when the token is none of ours."""
        asked_at = self._echoes.pop(token, None)
        if asked_at is None:
            return False
        self.echo_spoken = self.echo_answered = self.hears_us = True
        return self._sample(asked_at, held_for, now)

    def handle_report_delay(self, middle_ntp: int, held_for_65536: int, now: Micros) -> bool:
        """A report says when it heard ours; used only while no echo is spoken."""
        sent_at = self._reports.get(middle_ntp)
        if sent_at is None:
            self._inventions += 1
            return False
        if self._inventions < _INVENTIONS:
            self.hears_us = True
        if self.echo_answered:
            return False
        return self._sample(sent_at, held_for_65536 * MICROS_PER_SECOND >> 16, now)

    def _sample(self, asked_at: Micros, held_for: Micros, now: Micros) -> bool:
        sample = now - asked_at - held_for
        if sample < 0:
            return False
        self.answered_at = now
        self.proven_at = asked_at if self.proven_at is None else max(asked_at, self.proven_at)
        self._estimator.add(sample)
        self._samples += 1
        return True


def _remember(questions: dict[int, Micros], key: int, now: Micros) -> None:
    questions[key] = now
    if len(questions) > _REMEMBERED:
        del questions[next(iter(questions))]
