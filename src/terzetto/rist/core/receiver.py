"""A RIST receiver: media in, requests out, packets in order to the user."""

from __future__ import annotations

from collections.abc import Sequence

from terzetto.primitives.datagrams import Address, EntropySource, Run
from terzetto.primitives.time import Micros
from terzetto.rist.core.fec_receiver import FecReceiver
from terzetto.rist.core.flow import ReceiveFlow
from terzetto.rist.core.inflow import Inflow
from terzetto.rist.core.leg import Leg
from terzetto.rist.core.profile import FEEDBACK, MEDIA, Translator
from terzetto.rist.core.settings import Settings
from terzetto.rist.core.vocabulary import (
    EchoResponse,
    Feedback,
    FeedbackArrival,
    Goodbye,
    MediaArrival,
    ParityArrival,
    SourceReport,
)
from terzetto.rist.events import RistEvent

__all__ = ["Receiver"]


class Receiver(Leg):
    """Receives a flow from one peer.

    With *remote* it calls: it reports to that address until the sender there begins. Without, it waits for a sender
    to call. The flow is its own, or *inflow*, which it then shares with others.
    """

    def __init__(
        self,
        translator: Translator,
        settings: Settings,
        *,
        now: Micros,
        wall_clock_offset: Micros,
        entropy: EntropySource,
        remote: Address | None = None,
        inflow: Inflow | None = None,
    ) -> None:
        super().__init__(
            translator,
            settings,
            ssrc=0,
            now=now,
            wall_clock_offset=wall_clock_offset,
            entropy=entropy,
            remote=remote,
        )
        if inflow is None:
            inflow = Inflow(
                settings,
                sequence_bits=translator.sequence_bits,
                now=now,
                wall_clock_offset=wall_clock_offset,
            )
        self.inflow = inflow
        inflow.join(self)
        self._sender_longest: Micros | None = None

    @property
    def flow(self) -> ReceiveFlow | None:
        """The flow in recovery, None before the first."""
        return self.inflow.flow

    @property
    def fec(self) -> FecReceiver | None:
        """The flow's forward error correction, where it has one."""
        return self.inflow.fec or self.translator.fec_receiver

    # -- commands ------------------------------------------------------------------------------------------------

    def close(self, *, now: Micros) -> None:
        """Say goodbye, so that the sender need not wait for our silence."""
        if self.peer.is_connected:
            self.say([*self.peer.preamble(), Goodbye(self.peer.ssrc)])
            self.translator.close(now=now)

    # -- the grammar of a core -----------------------------------------------------------------------------------

    def handle_datagrams(self, runs: Sequence[Run], *, now: Micros) -> None:
        """Take in what the network brought."""
        self._note(runs)
        if self.inflow.fec is not None:
            runs = self.inflow.hear_parities(self, runs, now)
        for arrival in self.translator.decode(runs, now=now):
            if isinstance(arrival, MediaArrival):
                self._hear_media(arrival, now)
                continue
            if isinstance(arrival, ParityArrival):
                if self.peer.association.is_host(arrival.peer.host):
                    self.inflow.take_parities(self, arrival.packets, now)
                continue
            was_alive = self.peer.is_alive
            self._hear_feedback(arrival, now)
            if was_alive and not self.peer.is_alive:
                break  # it said goodbye, and means what it said after it no more
        longest = self.translator.sender_longest
        if longest is not None and longest != self._sender_longest:
            self._sender_longest = longest
            self.inflow.limit_buffer(longest)

    def handle_timeout(self, *, now: Micros) -> None:
        """Do what is due."""
        self.translator.handle_timeout(now=now)
        self.inflow.handle_timeout(now)
        if not self._settings.one_way and self._schedule.is_due(now):
            self._report(now)
        if self.peer.expire(now):
            self.inflow.lost_a_peer()
        self.inflow.end_if_silent(now)

    def poll_events(self) -> list[RistEvent]:
        """What the user should know."""
        return self._events_of_leg() + self.inflow.poll_events()

    def next_timeout(self) -> Micros | None:
        """When to call `handle_timeout` next."""
        times = self._timeouts_of_leg()
        inflow = self.inflow
        if inflow.timekeeper is None or inflow.timekeeper is self:
            flow_at = inflow.next_timeout()
            if flow_at is not None:
                times.append(flow_at)
        return min(times, default=None)

    # -- arrivals ------------------------------------------------------------------------------------------------

    def _hear_media(self, arrival: MediaArrival, now: Micros) -> None:
        if not self.peer.admit(arrival.peer, MEDIA, now=now, datagrams=len(arrival.packets)):
            return
        self._local[MEDIA] = arrival.local
        self.peer.announce()
        self.inflow.hear_media(self, arrival, now)

    def _hear_feedback(self, arrival: FeedbackArrival, now: Micros) -> None:
        peer = self.peer
        if not peer.admit(arrival.peer, FEEDBACK, now=now):
            return
        self._local[FEEDBACK] = arrival.local
        peer.counters.feedback_received += 1
        answers: list[Feedback] = []
        for said in arrival.said:
            answers += peer.handle(said, now=now)
            if isinstance(said, SourceReport):
                self.inflow.hear_source_report(said)
            elif isinstance(said, EchoResponse):
                self.inflow.note_others(1)
        # A mere sign of life says nothing of who it is, and the first report will.
        if peer.association.is_alive and arrival.said:
            peer.announce()
        if answers:
            self.say(peer.preamble() + answers)

    # -- what we say ---------------------------------------------------------------------------------------------

    def _report(self, now: Micros) -> None:
        if not self._may_report:
            return
        flow = self.inflow.flow
        block = flow.reception() if flow is not None else None
        self.say(self.peer.reception_report(block, now=now))

    def _feedback_address(self) -> Address | None:
        """Where the sender wants to hear us: where it reports from, or where we call."""
        learned = self.peer.association.address(FEEDBACK)
        if learned is not None or self._remote is None:
            return learned
        return self.translator.feedback_address(self._remote)
