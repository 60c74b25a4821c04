"""A flow that we send: its numbers, what is remembered of it, and which repeats it owes.

However many legs it travels over, a packet has one sequence and one timestamp, and is remembered once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from terzetto.errors import InvalidOption
from terzetto.primitives.datagrams import Buffer
from terzetto.primitives.estimators import RateMeter
from terzetto.primitives.time import MICROS_PER_MILLI, MICROS_PER_SECOND, Micros
from terzetto.rist.core.counters import SenderCounters
from terzetto.rist.core.fec_sender import FecSender
from terzetto.rist.core.halves import halved
from terzetto.rist.core.history import History, Sent
from terzetto.rist.core.load_share import share
from terzetto.rist.core.null_packets import with_canonical_nulls
from terzetto.rist.core.peer import Peer
from terzetto.rist.core.profile import Translator
from terzetto.rist.core.rate_controller import RateController
from terzetto.rist.core.repeats import RepeatGate
from terzetto.rist.core.rescue import Rescue
from terzetto.rist.core.reweighting import Reweighting
from terzetto.rist.core.settings import Settings
from terzetto.rist.core.tail_probe import TailProbe
from terzetto.rist.core.vocabulary import LinkQualityReport, ReceptionReport, RepeatRequest
from terzetto.rist.events import PathReweighted, RateAdvised, RistEvent

__all__ = ["Outflow", "SendingLeg"]

_RETRY_WINDOW: Final[Micros] = 100 * MICROS_PER_MILLI


class SendingLeg(Protocol):
    """What the flow asks of each leg it travels over."""

    peer: Peer
    translator: Translator
    index: int
    weight: int
    refill: int
    share_left: int

    @property
    def may_send(self) -> bool:
        """Whether media would go anywhere now."""

    @property
    def proven_at(self) -> Micros | None:
        """The latest moment of which it is known that what was sent then arrived."""

    def is_fresh(self, now: Micros) -> bool:
        """Whether there is recent evidence that what we send arrives."""

    def set_weight(self, weight: int, *, part: float = 1.0) -> None:
        """Change its share of the load."""

    def send_media(self, payloads: Sequence[Buffer], *, first: int, timestamp: int, now: Micros) -> None:
        """Send consecutive originals."""

    def send_parities(self, parities: Sequence[tuple[int, list[Buffer]]]) -> None:
        """Send forward error correction's datagrams, each by its path."""

    def send_repeats(self, chosen: Sequence[tuple[int, Sent]]) -> None:
        """Send originals again, as the repeats they are."""

    def send_again(self, sequence: int, sent: Sent) -> None:
        """Send one original a second time, as the original it is."""


class Outflow:
    """One flow on its way out."""

    def __init__(
        self,
        settings: Settings,
        *,
        flow_id: int,
        clock_rate: int,
        sequence_bits: int,
        now: Micros,
        wall_clock_offset: Micros,
        is_for_many: bool = False,
    ) -> None:
        """With *is_for_many* each leg leads to another receiver, which misses other packets than the rest."""
        self.flow_id = flow_id
        self._gates: dict[int, RepeatGate] | None = {} if is_for_many else None
        self.legs: list[SendingLeg] = []
        self._next_index = 0
        self.counters = SenderCounters()
        self.history = History(
            window=settings.buffer_max + 2 * settings.rtt_max,
            sequence_bits=sequence_bits,
            widest=settings.recovery_limit,
        )
        self._settings = settings
        self._clock_rate = clock_rate
        self._wall_clock_offset = wall_clock_offset
        self._gate = RepeatGate(self.history, settings, self.counters)
        self._probe = TailProbe(buffer=settings.buffer_max)
        self._rescue = Rescue(window=settings.buffer_max)
        self._reweighting = Reweighting() if settings.reweight else None
        self._media_rate = RateMeter(MICROS_PER_SECOND)
        self._retry_rate = RateMeter(_RETRY_WINDOW)
        # From the start, so that the first burst of repeats is measured like any other.
        self._retry_rate.add(0, now)
        self._bandwidth = settings.bandwidth
        self._fec = (
            None if settings.fec is None else FecSender(settings.fec, payload_type=settings.payload_type)
        )
        self.rate_controller = None if settings.adaptation is None else RateController(settings.adaptation)
        self._events: list[RistEvent] = []

    # -- legs ----------------------------------------------------------------------------------------------------

    def join(self, leg: SendingLeg) -> None:
        """Send over *leg* too."""
        leg.index = self._next_index
        self._next_index += 1
        self.legs.append(leg)
        if self._gates is not None:
            self._gates[leg.index] = RepeatGate(self.history, self._settings, self.counters)

    def leave(self, leg: SendingLeg) -> None:
        """Do without *leg* from now on."""
        self.legs.remove(leg)
        self._rescue.leave(leg.index)
        if self._gates is not None:
            del self._gates[leg.index]

    @property
    def _has_paths(self) -> bool:
        """Whether the legs are ways to one receiver, which can stand in for each other."""
        return len(self.legs) > 1 and self._gates is None

    @property
    def may_send(self) -> bool:
        """Whether media would go anywhere now."""
        return any(leg.may_send for leg in self.legs)

    # -- commands ------------------------------------------------------------------------------------------------

    def send(self, payloads: Sequence[Buffer], *, now: Micros, source_time: Micros | None = None) -> None:
        """Send *payloads*, one packet each, stamped *source_time* (else now).

        While no receiver is connected they are dropped and counted as withheld: media does not wait.
        """
        if not payloads:
            return
        legs = [leg for leg in self.legs if leg.may_send]
        counters = self.counters
        if not legs:
            counters.withheld += len(payloads)
            return
        if self._settings.split != "off":
            payloads = halved(payloads, self._settings.split)
        for leg in legs:
            leg.translator.check_payloads(payloads)
        prepared = legs[0].translator.prepare_media(payloads)
        if self._settings.split != "off" and len(prepared) != len(payloads):
            raise InvalidOption(
                f"half of a payload has {max(map(len, payloads))} bytes, and would have to be cut again",
                hint="send shorter payloads, or leave split out: the profile cuts what is too long by itself",
            )
        payloads = prepared
        timestamp = self.timestamp(now if source_time is None else source_time)
        if self._settings.one_way:
            first = self.history.next_sequence
            self.history.next_sequence = first + len(payloads)
        else:
            first = self.history.append(payloads, timestamp=timestamp, now=now)
            self._probe.sent(now)
        alone = self._has_paths and not self._settings.one_way
        for leg, start, end in self._dealt_out(legs, len(payloads), now):
            piece = payloads if end - start == len(payloads) else payloads[start:end]
            leg.send_media(piece, first=first + start, timestamp=timestamp, now=now)
            if leg.weight and alone:
                self._rescue.carried(leg.index, first + start, first + end, now=now)
                if self._reweighting is not None:
                    self._reweighting.carried(leg.index, end - start, now=now)
        size = sum(map(len, payloads))
        self._media_rate.add(size, now)
        counters.sent += len(payloads)
        counters.sent_bytes += size
        if self._fec is not None:
            self._send_parities(self._fec, legs, payloads, first, timestamp)

    def _dealt_out(
        self, legs: list[SendingLeg], packets: int, now: Micros
    ) -> list[tuple[SendingLeg, int, int]]:
        """Which leg carries which of the packets: those without a weight all, the others their share."""
        pieces = [(leg, 0, packets) for leg in legs if not leg.weight]
        if len(pieces) == len(legs):
            return pieces
        # A path that has fallen silent would swallow its share until its session times out.
        carriers = [leg for leg in legs if leg.weight and leg.is_fresh(now)]
        if not carriers and not pieces:
            carriers = legs
        return pieces + (share(carriers, packets) if carriers else [])

    def _send_parities(
        self,
        fec: FecSender,
        legs: Sequence[SendingLeg],
        payloads: Sequence[Buffer],
        first: int,
        timestamp: int,
    ) -> None:
        if self._settings.delete_null_packets:
            payloads = [with_canonical_nulls(payload) for payload in payloads]
        parities = fec.feed(payloads, first=first, timestamp=timestamp)
        if parities:
            # Where all share the load, so do the parities.
            for leg in [leg for leg in legs if not leg.weight] or [legs[fec.sent % len(legs)]]:
                leg.send_parities(parities)
        self.counters.fec_sent = fec.sent
        self.counters.fec_sent_bytes = fec.sent_bytes

    @property
    def linger(self) -> Micros:
        """How long after the last packet a receiver may still ask for repeats."""
        farthest = max((leg.peer.round_trip.smoothed for leg in self.legs), default=0)
        return self._settings.buffer_max + 2 * farthest

    def set_bandwidth(self, bits_per_second: int) -> None:
        """Change the ceiling for media and repeats together."""
        self._bandwidth = bits_per_second

    def rates(self, now: Micros) -> tuple[float, float]:
        """Bits a second of media and of repeats."""
        return 8 * self._media_rate.per_second(now), 8 * self._retry_rate.per_second(now)

    def timestamp(self, moment: Micros) -> int:
        """*moment* as an RTP timestamp of the wall clock, so that reports and media tell the same time."""
        ticks = (moment + self._wall_clock_offset) * self._clock_rate // MICROS_PER_SECOND
        return ticks & 0xFFFF_FFFF

    # -- what is due ---------------------------------------------------------------------------------------------

    def handle_timeout(self, now: Micros) -> None:
        """Send the end again, when a pause follows it; and what a path that fell silent was given."""
        if self._has_paths and not self._settings.one_way:
            self._send_what_is_in_doubt(now)
            if self._reweighting is not None:
                self._reweigh(self._reweighting, now)
        if self._probe.is_due(now):
            self._send_end_again()

    def _send_end_again(self) -> None:
        newest = self.history.newest()
        legs = [leg for leg in self.legs if leg.may_send]
        if newest is None or not legs:
            self._probe.stop()
            return
        for leg in legs:
            leg.send_again(*newest)
        self.counters.tail_probes += 1

    def _send_what_is_in_doubt(self, now: Micros) -> None:
        rescue = self._rescue
        for leg in self.legs:
            if leg.weight and not leg.is_fresh(now):
                rescue.doubt(leg.index, since=leg.proven_at, now=now)
        sequences = rescue.due(now)
        if not sequences:
            return
        legs = [leg for leg in self.legs if leg.may_send and leg.is_fresh(now)]
        if not legs or not all(leg.weight for leg in legs):
            return  # nobody takes it, or somebody carried everything anyway
        chosen = self._gate.volunteer(sequences, now=now, room=self._room(now))
        if chosen:
            self.counters.rescued += len(chosen)
            self._retry_rate.add(sum([len(sent[2]) for _, sent in chosen]), now)
            legs[chosen[0][0] % len(legs)].send_repeats(chosen)

    def _reweigh(self, reweighting: Reweighting, now: Micros) -> None:
        legs = {leg.index: leg for leg in self.legs if leg.weight and leg.is_fresh(now)}
        for index, part, loss in reweighting.judge(legs, now):
            legs[index].set_weight(legs[index].weight, part=part)
            self._events.append(PathReweighted(index, part, loss))

    def next_timeout(self) -> Micros | None:
        """When to call `handle_timeout`."""
        probe, rescue = self._probe.next_timeout(), self._rescue.next_timeout()
        return probe if rescue is None or (probe is not None and probe < rescue) else rescue

    # -- what receivers say --------------------------------------------------------------------------------------

    def answer(self, asked: SendingLeg, request: RepeatRequest, *, round_trip: Micros, now: Micros) -> None:
        """Repeat what *request* names, by the leg that it came by.

        What was repeated before, in vain, goes by all the others as well.
        """
        gate = self._gate if self._gates is None else self._gates[asked.index]
        chosen = self._repeats_for(gate, request, round_trip=round_trip, now=now)
        if not chosen:
            return
        asked.send_repeats(chosen)
        if not self._has_paths:
            return
        if self._reweighting is not None:
            for sequence, _ in chosen:
                if self._gate.times(sequence) == 1:
                    self._blame(self._reweighting, sequence)
        stubborn = [found for found in chosen if self._gate.times(found[0]) > 1]
        others = [leg for leg in self.legs if leg is not asked and leg.may_send and leg.is_fresh(now)]
        if not stubborn or not others:
            return
        size = sum([len(sent[2]) for _, sent in stubborn])
        for leg in others:
            leg.send_repeats(stubborn)
            self._retry_rate.add(size, now)

    def _blame(self, reweighting: Reweighting, sequence: int) -> None:
        carrier = self._rescue.carrier_of(sequence)
        if carrier is not None:
            reweighting.asked(carrier)

    def _repeats_for(
        self, gate: RepeatGate, request: RepeatRequest, *, round_trip: Micros, now: Micros
    ) -> list[tuple[int, Sent]]:
        """The packets to repeat for it; they count as repeated."""
        # The request may name the flow by its original or by its repeats' number.
        if request.ssrc & ~1 != self.flow_id or self._settings.one_way:
            return []
        chosen = gate.answer(
            request.sequences,
            sequence_bits=request.sequence_bits,
            now=now,
            round_trip=round_trip,
            room=self._room(now),
        )
        if chosen:
            size = sum([len(sent[2]) for _, sent in chosen])
            self.counters.retransmitted += len(chosen)
            self.counters.retransmitted_bytes += size
            self._retry_rate.add(size, now)
        return chosen

    def _room(self, now: Micros) -> int:
        """How many bytes of repeats the bandwidth still has room for, within the meter's window."""
        free = self._bandwidth - sum(self.rates(now))
        return max(0, int(free * _RETRY_WINDOW // (8 * MICROS_PER_SECOND)))

    def hear_reception(self, report: ReceptionReport) -> None:
        """Stop probing once a receiver says that it has the newest packet (libRIST never says)."""
        # A receiver that came late has not seen all of our wraps, so only what is on the wire compares.
        behind = (self.history.next_sequence - 1 - report.highest_sequence) & 0xFFFF
        if (
            self._gates is None
            and report.source is not None
            and report.source & ~1 == self.flow_id
            and not behind
        ):
            self._probe.stop()

    def hear_quality(self, report: LinkQualityReport) -> None:
        """Take the advice; a receiver of several legs says the same over each, and only the first counts."""
        controller = self.rate_controller
        if controller is not None:
            was = controller.rate
            if controller.handle(report.quality):
                self._events.append(RateAdvised(controller.rate, was))

    def poll_events(self) -> list[RistEvent]:
        """What the user should know of the flow."""
        events, self._events = self._events, []
        return events

    def lost_a_peer(self) -> None:
        """A leg lost its peer; without any there is nobody to probe for."""
        if not any(leg.peer.is_alive for leg in self.legs):
            self._probe.stop()
            if self.rate_controller is not None:
                self.rate_controller.forget()
