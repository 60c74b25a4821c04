"""One way between us and a peer: whom we talk to, in which dialect, how far it is, and what to say when.

A flow may travel over several legs at once. What belongs to the flow (its sequence, its history, its recovery) is in
`outflow` and `inflow`; what belongs to one way is here, and `Sender` and `Receiver` are its two kinds.
"""

from __future__ import annotations

from terzetto.primitives.datagrams import Address, EntropySource, Run
from terzetto.primitives.time import Micros
from terzetto.rist.core.peer import Peer
from terzetto.rist.core.profile import FEEDBACK, Translator
from terzetto.rist.core.reports import ReportSchedule
from terzetto.rist.core.settings import Settings
from terzetto.rist.core.vocabulary import Feedback
from terzetto.rist.events import RistEvent

__all__ = ["Leg"]


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
        self._schedule = ReportSchedule(settings.report_interval, now=now)
        self._local: dict[int, str | None] = {}
        self._transmits: list[Run] = []

    def poll_transmits(self) -> list[Run]:
        """Datagrams to put on the wire."""
        transmits, self._transmits = self._transmits, []
        control = self.translator.poll_control()
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
    def can_ask(self) -> bool:
        """Whether what we say now reaches somebody who is there."""
        return self.peer.is_alive and self._feedback_address() is not None

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
