"""A RIST sender: payloads in, media out, repeats for whoever asks rightly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from terzetto.primitives.datagrams import Address, Buffer, EntropySource, Run
from terzetto.primitives.estimators import RateMeter
from terzetto.primitives.time import MICROS_PER_MILLI, MICROS_PER_SECOND, Micros
from terzetto.rist.core.counters import SenderCounters
from terzetto.rist.core.fec_sender import FecSender
from terzetto.rist.core.history import History
from terzetto.rist.core.peer import Peer
from terzetto.rist.core.profile import FEC_OFFSETS, FEEDBACK, MEDIA, Translator
from terzetto.rist.core.repeats import RepeatGate
from terzetto.rist.core.reports import ReportSchedule
from terzetto.rist.core.settings import Settings
from terzetto.rist.core.tail_probe import TailProbe
from terzetto.rist.core.vocabulary import (
    Feedback,
    FeedbackArrival,
    Goodbye,
    ReceptionReport,
    RepeatRequest,
)
from terzetto.rist.events import RistEvent

__all__ = ["Sender"]

# libRIST opens with as many, and so does everybody who wants the round trip known before the first loss.
_OPENING_ECHOES: Final = 3

_RETRY_WINDOW: Final[Micros] = 100 * MICROS_PER_MILLI


class Sender:
    """Sends one flow to one peer.

    With *remote* it calls: it reports to that address until a receiver answers. Without, it waits for a receiver to
    call and sends to whoever does.
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
    ) -> None:
        self.translator = translator
        self._settings = settings
        self._remote = remote
        self.flow_id = flow_id
        self.counters = SenderCounters()
        self.peer = Peer(
            settings,
            ssrc=flow_id,
            wall_clock_offset=wall_clock_offset,
            remote=remote,
            translator=translator,
            entropy=entropy,
        )
        translator.start(self.peer, now=now)
        self.history = History(
            window=settings.buffer_max + 2 * settings.rtt_max, sequence_bits=translator.sequence_bits
        )
        self._gate = RepeatGate(self.history, settings, self.counters)
        self._probe = TailProbe(buffer=settings.buffer_max)
        self._schedule = ReportSchedule(settings.report_interval, now=now)
        self._media_rate = RateMeter(MICROS_PER_SECOND)
        self._retry_rate = RateMeter(_RETRY_WINDOW)
        # From the start, so that the first burst of repeats is measured like any other.
        self._retry_rate.add(0, now)
        self._wall_clock_offset = wall_clock_offset
        self._bandwidth = settings.bandwidth
        self._fec = (
            None if settings.fec is None else FecSender(settings.fec, payload_type=settings.payload_type)
        )
        self._opened = False
        self._door_is_closed = True
        self._local: dict[int, str | None] = {}
        self._transmits: list[Run] = []

    # -- commands ------------------------------------------------------------------------------------------------

    @property
    def may_send(self) -> bool:
        """Whether media would go anywhere now."""
        return (
            self._media_address() is not None
            and (self.peer.is_connected or self._settings.fast_start)
            and self.translator.is_open
        )

    def send(self, payloads: Sequence[Buffer], *, now: Micros, source_time: Micros | None = None) -> None:
        """Send *payloads*, one packet each, stamped *source_time* (else now).

        While no receiver is connected they are dropped and counted as withheld: media does not wait.
        """
        if not payloads:
            return
        address = self._media_address()
        if address is None or not self.may_send:
            self.counters.withheld += len(payloads)
            return
        self.translator.check_payloads(payloads)
        if not self._opened and not self._settings.one_way:
            self._report(now)  # libRIST's receivers pass over media that comes before the first report
        timestamp = self._timestamp(now if source_time is None else source_time)
        if self._settings.one_way:
            first = self.history.next_sequence
            self.history.next_sequence = first + len(payloads)
        else:
            first = self.history.append(payloads, timestamp=timestamp, now=now)
            self._probe.sent(now)
        datagrams = self.translator.encode_media(
            payloads, first_sequence=first, timestamp=timestamp, flow_id=self.flow_id
        )
        if self._door_is_closed and not self._settings.one_way:
            # libRIST's receiver takes note of a new sender at its first packet, and forgets to keep the packet.
            self._door_is_closed = False
            datagrams.insert(0, datagrams[0])
        size = sum(map(len, payloads))
        self._media_rate.add(size, now)
        counters = self.counters
        counters.sent += len(payloads)
        counters.sent_bytes += size
        self._transmits.append(Run(address, datagrams, MEDIA, self._local.get(FEEDBACK)))
        if self._fec is not None:
            self._send_parities(self._fec, payloads, first, timestamp, address)

    def _send_parities(
        self, fec: FecSender, payloads: Sequence[Buffer], first: int, timestamp: int, media: Address
    ) -> None:
        for path, datagrams in fec.feed(payloads, first=first, timestamp=timestamp):
            address = Address(media.host, media.port + FEC_OFFSETS[path])
            self._transmits.append(Run(address, datagrams, path, self._local.get(FEEDBACK)))
        self.counters.fec_sent = fec.sent
        self.counters.fec_sent_bytes = fec.sent_bytes

    def close(self, *, now: Micros) -> None:
        """Say goodbye."""
        if not self._settings.one_way:
            self._say([*self.peer.preamble(), Goodbye(self.flow_id)])
            self.translator.close(now=now)

    @property
    def linger(self) -> Micros:
        """How long after the last packet a receiver may still ask for repeats."""
        return self._settings.buffer_max + 2 * self.peer.round_trip.smoothed

    def set_bandwidth(self, bits_per_second: int) -> None:
        """Change the ceiling for media and repeats together."""
        self._bandwidth = bits_per_second

    def rates(self, now: Micros) -> tuple[float, float]:
        """Bits a second of media and of repeats."""
        return 8 * self._media_rate.per_second(now), 8 * self._retry_rate.per_second(now)

    # -- the grammar of a core -----------------------------------------------------------------------------------

    def handle_datagrams(self, runs: Sequence[Run], *, now: Micros) -> None:
        """Take in what the network brought."""
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
        if self._probe.is_due(now):
            self._send_tail_again()

    def poll_transmits(self) -> list[Run]:
        """Datagrams to put on the wire."""
        transmits, self._transmits = self._transmits, []
        control = self.translator.poll_control()
        return control + transmits if control else transmits

    def poll_events(self) -> list[RistEvent]:
        """What the user should know."""
        return self.translator.poll_events() + self.peer.poll_events()

    def next_timeout(self) -> Micros | None:
        """When to call `handle_timeout` next."""
        times = [] if self._settings.one_way else [self._schedule.next_report]
        times += [
            time
            for time in (
                self.peer.association.next_timeout(),
                self._probe.next_timeout(),
                self.translator.next_timeout(),
            )
            if time is not None
        ]
        return min(times, default=None)

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
                self._repeat(said, now)
                continue
            if isinstance(said, ReceptionReport):
                self._check_tail(said)
            answers += peer.handle(said, now=now)
        # A mere sign of life says nothing of who it is, and the first report will.
        if not peer.association.is_alive:
            self._lost()
        elif arrival.said:
            peer.announce()
        if answers:
            self._say(peer.preamble() + answers)
        elif not self._opened and self._remote is None:
            # A receiver called us: it learns our reports' address from the first one, so it should not wait.
            self._report(now)

    def _lost(self) -> None:
        """The receiver is gone; whoever comes next is greeted like the first."""
        self._probe.stop()
        self._opened = False
        self._door_is_closed = True

    def _repeat(self, request: RepeatRequest, now: Micros) -> None:
        # The request may name the flow by its original or by its repeats' number.
        if request.ssrc & ~1 != self.flow_id or self._settings.one_way:
            return
        address = self._media_address()
        if address is None:
            return
        chosen = self._gate.answer(
            request.sequences, now=now, round_trip=self.peer.round_trip.shortest_recent, room=self._room(now)
        )
        if not chosen:
            return
        datagrams: list[Buffer] = []
        size = 0
        for sequence, (_, timestamp, payload) in chosen:
            size += len(payload)
            datagrams += self.translator.encode_media(
                [payload],
                first_sequence=sequence,
                timestamp=timestamp,
                flow_id=self.flow_id,
                is_retransmission=True,
            )
        self.counters.retransmitted += len(chosen)
        self.counters.retransmitted_bytes += size
        self._retry_rate.add(size, now)
        self._transmits.append(Run(address, datagrams, MEDIA, self._local.get(FEEDBACK)))

    def _room(self, now: Micros) -> int:
        """How many bytes of repeats the bandwidth still has room for, within the meter's window."""
        free = self._bandwidth - sum(self.rates(now))
        return max(0, int(free * _RETRY_WINDOW // (8 * MICROS_PER_SECOND)))

    def _check_tail(self, report: ReceptionReport) -> None:
        """Stop probing once the receiver says that it has the newest packet (libRIST never says)."""
        # A receiver that came late has not seen all of our wraps, so only what is on the wire compares.
        behind = (self.history.next_sequence - 1 - report.highest_sequence) & 0xFFFF
        if report.source is not None and report.source & ~1 == self.flow_id and not behind:
            self._probe.stop()

    # -- what we say ---------------------------------------------------------------------------------------------

    def _report(self, now: Micros) -> None:
        peer = self.peer
        counters = self.counters
        self._say(
            peer.source_report(
                timestamp=self._timestamp(now),
                packets=counters.sent & 0xFFFF_FFFF,
                octets=counters.sent_bytes & 0xFFFF_FFFF,
                now=now,
            )
        )
        if not self._opened and self._report_address() is not None:
            self._opened = True
            for _ in range(_OPENING_ECHOES):
                echo = peer.echo_request(now)
                if echo:
                    self._say(peer.preamble() + echo)

    def _send_tail_again(self) -> None:
        newest = self.history.newest()
        address = self._media_address()
        if newest is None or address is None:
            self._probe.stop()
            return
        sequence, (_, timestamp, payload) = newest
        datagrams = self.translator.encode_media(
            [payload], first_sequence=sequence, timestamp=timestamp, flow_id=self.flow_id
        )
        self.counters.tail_probes += 1
        self._transmits.append(Run(address, datagrams, MEDIA, self._local.get(FEEDBACK)))

    def _say(self, said: list[Feedback]) -> None:
        address = self._report_address()
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

    def _media_address(self) -> Address | None:
        if self._remote is not None:
            return self._remote
        feedback = self.peer.association.address(FEEDBACK)
        return None if feedback is None else self.translator.media_address(feedback)

    def _report_address(self) -> Address | None:
        if self._remote is not None:
            return self.translator.feedback_address(self._remote)
        return self.peer.association.address(FEEDBACK)

    def _timestamp(self, moment: Micros) -> int:
        """*moment* as an RTP timestamp of the wall clock, so that reports and media tell the same time."""
        ticks = (moment + self._wall_clock_offset) * self.translator.clock_rate // MICROS_PER_SECOND
        return ticks & 0xFFFF_FFFF
