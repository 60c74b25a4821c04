"""A RIST sender: payloads in, media out, repeats for whoever asks rightly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from terzetto.primitives.datagrams import Address, Buffer, EntropySource, Run
from terzetto.primitives.time import Micros
from terzetto.rist.core.history import Sent
from terzetto.rist.core.leg import Leg
from terzetto.rist.core.outflow import Outflow
from terzetto.rist.core.profile import FEEDBACK, MEDIA, Translator
from terzetto.rist.core.settings import Settings
from terzetto.rist.core.vocabulary import (
    Feedback,
    FeedbackArrival,
    Goodbye,
    LinkQualityReport,
    ReceptionReport,
    RepeatRequest,
)
from terzetto.rist.events import RistEvent

__all__ = ["Sender"]

# libRIST opens with as many, and so does everybody who wants the round trip known before the first loss.
_OPENING_ECHOES: Final = 3

# In reports, where each asks for an echo: of a path that loses four in ten both ways, one in thirty times as many go
# unanswered in a row.
_SUREST_ANSWERS: Final = 8


class Sender(Leg):
    """Sends a flow to one peer.

    With *remote* it calls: it reports to that address until a receiver answers. Without, it waits for a receiver to
    call and sends to whoever does. The flow is its own, or *outflow*, which it then shares with others.
    """

    def __init__(
        self,
        translator: Translator,
        settings: Settings,
        *,
        flow_id: int,
        now: Micros,
        wall_clock_offset: Micros,
        entropy: EntropySource,
        remote: Address | None = None,
        outflow: Outflow | None = None,
    ) -> None:
        super().__init__(
            translator,
            settings,
            ssrc=flow_id,
            now=now,
            wall_clock_offset=wall_clock_offset,
            entropy=entropy,
            remote=remote,
        )
        if outflow is None:
            outflow = Outflow(
                settings,
                flow_id=flow_id,
                clock_rate=translator.clock_rate,
                sequence_bits=translator.sequence_bits,
                now=now,
                wall_clock_offset=wall_clock_offset,
            )
        self.outflow = outflow
        outflow.join(self)
        self.flow_id = flow_id
        self.counters = outflow.counters
        self.history = outflow.history
        # Half of the buffer to find out, so that the other half is left for sending again.
        interval = settings.report_interval
        half = settings.buffer_max // 2
        self._silence_patience = max(interval // 2, half - 2 * interval)
        self._answer_patience = max(_SUREST_ANSWERS * interval, half)
        self._opened = False
        self._door_is_closed = True
        self._open_run: list[Buffer] = []

    # -- commands ------------------------------------------------------------------------------------------------

    @property
    def may_send(self) -> bool:
        """Whether media would go anywhere now."""
        return (
            self._media_address() is not None
            and not self.is_down
            and (self.peer.is_connected or (self._settings.fast_start and self.may_speak_freely))
            and self.translator.is_open
        )

    @property
    def proven_at(self) -> Micros | None:
        """The latest moment of which it is known that what was sent then arrived."""
        return self.peer.round_trip.proven_at

    @property
    def _carries_alone(self) -> bool:
        """Whether this leg is given packets that no other is."""
        return self.weight > 0 and len(self.outflow.legs) > 1

    def is_fresh(self, now: Micros) -> bool:
        """Whether there is recent evidence that what we send arrives; sooner in doubt where nobody else sends it."""
        if self._carries_alone and not self._settings.one_way:
            answered_at = self.peer.round_trip.answered_at
            if answered_at is not None and now - answered_at > self._answer_patience:
                return False
            if self.silence(now) > self._silence_patience:
                return False
        return super().is_fresh(now)

    def send(self, payloads: Sequence[Buffer], *, now: Micros, source_time: Micros | None = None) -> None:
        """Send *payloads* over every leg of the flow; see `Outflow.send`."""
        self.outflow.send(payloads, now=now, source_time=source_time)

    def close(self, *, now: Micros) -> None:
        """Say goodbye."""
        if not self._settings.one_way:
            self.say([*self.peer.preamble(), Goodbye(self.flow_id)])
            self.translator.close(now=now)

    # -- the grammar of a core -----------------------------------------------------------------------------------

    def handle_datagrams(self, runs: Sequence[Run], *, now: Micros) -> None:
        """Take in what the network brought."""
        self._note(runs)
        for arrival in self.translator.decode(runs, now=now):
            was_alive = self.peer.is_alive
            if isinstance(arrival, FeedbackArrival):
                self._hear(arrival, now)
            if was_alive and not self.peer.is_alive:
                break  # it said goodbye, and means what it said after it no more

    def handle_timeout(self, *, now: Micros) -> None:
        """Do what is due."""
        self.translator.handle_timeout(now=now)
        if not self._settings.one_way and self._schedule.is_due(now):
            self._report(now)
        if self.peer.expire(now):
            self._lost()
        self.outflow.handle_timeout(now)

    def poll_events(self) -> list[RistEvent]:
        """What the user should know."""
        return self._events_of_leg() + self.outflow.poll_events()

    def next_timeout(self) -> Micros | None:
        """When to call `handle_timeout` next."""
        times = self._timeouts_of_leg()
        flow_at = self.outflow.next_timeout()
        if flow_at is not None:
            times.append(flow_at)
        return min(times, default=None)

    # -- media ---------------------------------------------------------------------------------------------------

    def send_media(self, payloads: Sequence[Buffer], *, first: int, timestamp: int, now: Micros) -> None:
        """Send consecutive originals."""
        if not self._opened and not self._settings.one_way:
            self._report(now)  # libRIST's receivers pass over media that comes before the first report
        datagrams = self.translator.encode_media(
            payloads, first_sequence=first, timestamp=timestamp, flow_id=self.flow_id
        )
        counters = self.peer.counters
        counters.media_sent += len(payloads)
        counters.media_bytes_sent += sum(map(len, payloads))
        if datagrams and self._door_is_closed and not self._settings.one_way:
            # libRIST's receiver takes note of a new sender at its first packet, and forgets to keep the packet.
            self._door_is_closed = False
            datagrams.insert(0, datagrams[0])
        self._transmit(datagrams)

    def send_parities(self, parities: Sequence[tuple[int, list[Buffer]]]) -> None:
        """Send forward error correction's datagrams, each by its path."""
        media = self._media_address()
        if media is None:
            return
        for kind, packets in parities:
            address, path, datagrams = self.translator.encode_parities(kind, packets, media)
            if datagrams:
                self._transmits.append(Run(address, datagrams, path, self._local.get(FEEDBACK)))

    def send_again(self, sequence: int, sent: Sent) -> None:
        """Send one original a second time, as the original it is."""
        _, timestamp, payload = sent
        self._transmit(
            self.translator.encode_media(
                [payload], first_sequence=sequence, timestamp=timestamp, flow_id=self.flow_id
            )
        )

    def send_repeats(self, chosen: Sequence[tuple[int, Sent]]) -> None:
        """Send originals again, as the repeats they are."""
        self.peer.counters.repeats_sent += len(chosen)
        datagrams: list[Buffer] = []
        for sequence, (_, timestamp, payload) in chosen:
            datagrams += self.translator.encode_media(
                [payload],
                first_sequence=sequence,
                timestamp=timestamp,
                flow_id=self.flow_id,
                is_retransmission=True,
            )
        self._transmit(datagrams)

    def _transmit(self, datagrams: list[Buffer]) -> None:
        address = self._media_address()
        if address is None or not datagrams:
            return
        before = self._transmits[-1] if self._transmits else None
        if (
            before is not None
            and before.path == MEDIA
            and before.peer == address
            and before.datagrams is self._open_run
        ):
            self._open_run += datagrams  # pieces of one batch, dealt out among several legs
            return
        self._open_run = datagrams
        self._transmits.append(Run(address, datagrams, MEDIA, self._local.get(FEEDBACK)))

    # -- what the receiver says ----------------------------------------------------------------------------------

    def _hear(self, arrival: FeedbackArrival, now: Micros) -> None:
        peer = self.peer
        if not peer.admit(arrival.peer, FEEDBACK, now=now):
            return
        self._local[FEEDBACK] = arrival.local
        peer.counters.feedback_received += 1
        answers: list[Feedback] = []
        for said in arrival.said:
            if isinstance(said, RepeatRequest):
                peer.counters.requests += len(said.sequences)
                self.outflow.answer(self, said, round_trip=peer.round_trip.shortest_recent, now=now)
                continue
            if isinstance(said, LinkQualityReport):
                self.outflow.hear_quality(said)
            elif isinstance(said, ReceptionReport):
                self.outflow.hear_reception(said)
            answers += peer.handle(said, now=now)
        # A mere sign of life says nothing of who it is, and the first report will.
        if not peer.association.is_alive:
            self._lost()
        elif arrival.said and self.may_speak_freely:
            peer.announce()
        if not self.may_speak_freely:
            # Its first word costs nobody anything to forge, and a flow is a lot to send to whom never asked: before
            # it is answered it shall show that it hears us.
            self._ask_whether_it_hears(now)
        if answers:
            self.say(peer.preamble() + answers)
        elif not self._opened and self._remote is None:
            # A receiver called us: it learns our reports' address from the first one, so it should not wait.
            self._report(now)

    def _lost(self) -> None:
        """The receiver is gone; whoever comes next is greeted like the first."""
        self._opened = False
        self._door_is_closed = True
        self.outflow.lost_a_peer()

    # -- what we say ---------------------------------------------------------------------------------------------

    def _ask_whether_it_hears(self, now: Micros) -> None:
        echo = self.peer.echo_request(now) if self._may_ask else []
        if echo:
            self.say(self.peer.preamble() + echo)

    def _report(self, now: Micros) -> None:
        if not self._may_report:
            return
        peer = self.peer
        counters = self.counters
        self.say(
            peer.source_report(
                timestamp=self.outflow.timestamp(now),
                packets=counters.sent & 0xFFFF_FFFF,
                octets=counters.sent_bytes & 0xFFFF_FFFF,
                now=now,
                often=self._carries_alone,
            )
        )
        if not self._opened and self._feedback_address() is not None:
            self._opened = True
            for _ in range(_OPENING_ECHOES):
                echo = peer.echo_request(now)
                if echo:
                    self.say(peer.preamble() + echo)

    def _media_address(self) -> Address | None:
        if self._remote is not None:
            return self._remote
        feedback = self.peer.association.address(FEEDBACK)
        return None if feedback is None else self.translator.media_address(feedback)

    def _feedback_address(self) -> Address | None:
        if self._remote is not None:
            return self.translator.feedback_address(self._remote)
        return self.peer.association.address(FEEDBACK)
