"""One way between us and a peer: whom we talk to, in which dialect, how far it is, and what to say when.

A flow may travel over several legs at once. What belongs to the flow (its sequence, its history, its recovery) is in
`outflow` and `inflow`; what belongs to one way is here, and `Sender` and `Receiver` are its two kinds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from terzetto.primitives.datagrams import Address, EntropySource, Run
from terzetto.primitives.time import MICROS_PER_SECOND, Micros
from terzetto.rist.core.allowance import Allowance
from terzetto.rist.core.answers import AnswerRate
from terzetto.rist.core.peer import Peer
from terzetto.rist.core.profile import FEEDBACK, Translator
from terzetto.rist.core.reports import ReportSchedule
from terzetto.rist.core.reweighting import STEPS
from terzetto.rist.core.settings import Settings
from terzetto.rist.core.vocabulary import Feedback
from terzetto.rist.events import RistEvent

__all__ = ["Leg"]

# In reports: five of ours that in a row were lost on a bad path are no news, and the sixth may be.
_SILENCE_PATIENCE: Final = 4
# Echoes are asked with every fourth report, once the round trip is known.
_ANSWER_PATIENCE: Final = 16

# What a report of ours takes on the wire at most, and what an echo request does, beside our name.
_REPORT_SIZE: Final = 150
_ECHO_SIZE: Final = 84

# Asking is safest where the round trip is known; and where a peer is overdue, ever less so.
_UNMEASURED: Final[Micros] = MICROS_PER_SECOND
_SILENCE_WEIGHT: Final = 4


class Leg:
    """What a sending and a receiving leg have in common."""

    def __init__(
        self,
        translator: Translator,
        settings: Settings,
        *,
        ssrc: int,
        now: Micros,
        wall_clock_offset: Micros,
        entropy: EntropySource,
        remote: Address | None,
    ) -> None:
        self.translator = translator
        self._settings = settings
        self._remote = remote
        self.peer = Peer(
            settings,
            ssrc=ssrc,
            wall_clock_offset=wall_clock_offset,
            remote=remote,
            translator=translator,
            entropy=entropy,
        )
        translator.start(self.peer, now=now)
        self.brings: int | None = None
        """The flow that media came of by here, the one that is received; None as long as there was none."""
        self.index = 0
        """Which of its flow's legs this is: the path that packets name."""
        self.weight = 0
        """Its share of the load; with none it carries everything."""
        self.refill = self.share_left = 0
        self.set_weight(settings.weight)
        self.priority = settings.recovery_priority
        self.is_down = False
        """Whether its sockets are gone, for now."""
        self.answers = AnswerRate()
        self.lag: Micros = 0
        """How long after its time media comes by here, where several legs are compared."""
        self._schedule = ReportSchedule(settings.report_interval, now=now)
        self._local: dict[int, str | None] = {}
        self._transmits: list[Run] = []
        # Whom we call we were told to call; who calls us may have been made up.
        self._allowance = Allowance() if remote is None else None

    @property
    def may_speak_freely(self) -> bool:
        """Whether the peer is known to hear us, or was called by us; until then it is told no more than it says."""
        return self._allowance is None or self.peer.round_trip.hears_us or bool(self.translator.username)

    def _note(self, runs: Sequence[Run]) -> None:
        """*runs* came from the network."""
        if self._allowance is not None and not self.may_speak_freely:
            self._allowance.hear(runs)

    @property
    def _may_report(self) -> bool:
        """Whether there is room for a report; what would not be sent anyway had better not be counted as asked."""
        return self._has_room(_REPORT_SIZE)

    @property
    def _may_ask(self) -> bool:
        """Whether there is room for an echo request."""
        return self._has_room(_ECHO_SIZE)

    def _has_room(self, size: int) -> bool:
        if self._allowance is None or self.may_speak_freely:
            return True
        address = self._feedback_address()
        return address is None or self._allowance.left(address.host) >= size + len(self._settings.cname)

    def set_weight(self, weight: int, *, part: float = 1.0) -> None:
        """Give it *weight* as its share of the load from now on, or no more than a *part* of it."""
        self.weight = weight
        self.refill = max(1, round(weight * part * STEPS)) if self._settings.reweight and weight else weight
        self.share_left = min(self.refill, self.share_left) or self.refill

    def poll_transmits(self) -> list[Run]:
        """Datagrams to put on the wire."""
        transmits, self._transmits = self._transmits, []
        control = self.translator.poll_control()
        if self._allowance is not None:
            if not self.may_speak_freely:
                return self._allowance.within(control, transmits)
            control = self._allowance.release() + control
        return control + transmits if control else transmits

    def say(self, said: list[Feedback]) -> None:
        """Tell the peer, where there is a way to."""
        address = self._feedback_address()
        if address is None or self._settings.one_way:
            return
        self.peer.counters.feedback_sent += 1
        self._transmits.append(
            Run(
                address,
                self.translator.encode_feedback(said),
                self.translator.feedback_path,
                self._local.get(FEEDBACK),
            )
        )

    @property
    def has_output(self) -> bool:
        """Whether another leg's input made us say something."""
        return bool(self._transmits)

    def silence(self, now: Micros) -> Micros:
        """How long nothing has been heard of the peer, beyond what its reports' steady beat explains."""
        heard_at = self.peer.association.heard_at
        if heard_at is None:
            return now
        return max(0, now - heard_at - 2 * self._settings.report_interval)

    def is_fresh(self, now: Micros) -> bool:
        """Whether there is recent evidence that what we send arrives.

        A peer counts as lost only after its session's timeout; long before that nothing should depend on it.
        """
        if self._settings.one_way:
            return True
        answered_at = self.peer.round_trip.answered_at
        if answered_at is not None and now - answered_at > _ANSWER_PATIENCE * self._settings.report_interval:
            return False
        return self.silence(now) <= _SILENCE_PATIENCE * self._settings.report_interval

    def expected_answer(self, now: Micros) -> float:
        """How long a request would wait for its answer here, on the average over many, in microseconds."""
        round_trip = self.peer.round_trip
        wait = round_trip.smoothed if round_trip.is_measured else _UNMEASURED
        return (wait + _SILENCE_WEIGHT * self.silence(now)) / self.answers.share(now)

    def fail(self, *, now: Micros) -> None:
        """The sockets are gone: so is the peer, until there are others."""
        self.is_down = True
        self._transmits.clear()
        self.peer.drop(now)

    @property
    def can_ask(self) -> bool:
        """Whether what we say now reaches somebody who is there."""
        return (
            self.peer.is_alive
            and not self.is_down
            and self._feedback_address() is not None
            and self._may_report
        )

    def _feedback_address(self) -> Address | None:
        """Where the peer hears what we say."""
        raise NotImplementedError

    def _events_of_leg(self) -> list[RistEvent]:
        return self.translator.poll_events() + self.peer.poll_events()

    def _timeouts_of_leg(self) -> list[Micros]:
        times = [] if self._settings.one_way else [self._schedule.next_report]
        lost_at = self.peer.association.next_timeout()
        if lost_at is not None:
            times.append(lost_at)
        control_at = self.translator.next_timeout()
        if control_at is not None:
            times.append(control_at)
        return times
