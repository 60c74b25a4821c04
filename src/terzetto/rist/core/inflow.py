"""A flow that we receive: which one it is, what is missing of it, and when it goes to the user.

However many legs it arrives by, there is one recovery buffer: what comes first is kept, copies are dropped, and what
no leg brought is asked for over one of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from terzetto.primitives.datagrams import Run
from terzetto.primitives.time import MICROS_PER_SECOND, Micros
from terzetto.primitives.token_bucket import TokenBucket
from terzetto.rist.core.fec_receiver import FecReceiver
from terzetto.rist.core.flow import REQUEST_LIMIT, ReceiveFlow
from terzetto.rist.core.leg import Leg
from terzetto.rist.core.profile import FEC_OFFSETS, MEDIA
from terzetto.rist.core.quality_reports import QualityReports
from terzetto.rist.core.settings import Settings
from terzetto.rist.core.vocabulary import (
    LinkQualityReport,
    MediaArrival,
    RepeatRequest,
    SourceReport,
    narrowed,
)
from terzetto.rist.events import FlowEnded, FlowRestarted, FlowStarted, PacketsReady, RistEvent

__all__ = ["Inflow"]

# What one requested sequence costs on the return path, as the return-bandwidth option counts it.
_REQUEST_COST: Final = 4


class Inflow:
    """One flow on its way in."""

    def __init__(
        self, settings: Settings, *, sequence_bits: int, now: Micros, wall_clock_offset: Micros
    ) -> None:
        self.legs: list[Leg] = []
        self.flow: ReceiveFlow | None = None
        self.fec: FecReceiver | None = None
        if settings.fec is not None:
            self.fec = FecReceiver(settings.fec, sequence_bits=sequence_bits)
        self._quality: QualityReports | None = None
        if settings.adaptation is not None and not settings.one_way:
            self._quality = QualityReports(settings.adaptation, now=now)
        self._settings = settings
        self._sequence_bits = sequence_bits
        self._wall_clock_offset = wall_clock_offset
        self._return = TokenBucket(
            max(settings.return_bandwidth // 8, 1), max(settings.return_bandwidth // 8, 1500), now=now
        )
        self._is_idle = True
        self._flow_before: tuple[int, Micros] | None = None
        self._source_report: SourceReport | None = None
        self._events: list[RistEvent] = []

    # -- arrivals ------------------------------------------------------------------------------------------------

    def hear_media(self, leg: Leg, arrival: MediaArrival, now: Micros) -> None:
        """Media arrived by *leg*, from a peer that may send it."""
        flow = self.flow
        if self.fec is not None and arrival.sequence_bits > self._sequence_bits:
            arrival = narrowed(arrival)  # parities name their packets in as many bits as the profile has
        if flow is None or flow.flow_id != arrival.flow_id:
            if self._is_a_straggler(arrival, now):
                if flow is not None:
                    flow.counters.received += len(arrival.packets)
                    flow.counters.too_late += len(arrival.packets)
                return
            flow = self._begin_flow(arrival, now)
        elif flow.sequence_bits != arrival.sequence_bits:
            flow.change_sequence_bits(arrival.sequence_bits, arrival.packets[0][0])
        if self._is_idle:
            self._is_idle = False
            self._events.append(FlowStarted(flow.flow_id))
        leg.peer.counters.media_received += len(arrival.packets)
        round_trip = leg.peer.round_trip.smoothed
        if self.fec is None:
            flow.insert(arrival.packets, path=arrival.path, arrival=now, round_trip=round_trip)
        else:
            self._insert_with_fec(self.fec, flow, arrival, round_trip, now)

    def _insert_with_fec(
        self, fec: FecReceiver, flow: ReceiveFlow, arrival: MediaArrival, round_trip: Micros, now: Micros
    ) -> None:
        # Asking is the second line, and needs its share of the buffer as well.
        flow.fec_patience = fec.patience(now, most=flow.buffer // 3)
        resets = flow.counters.resets
        flow.insert(arrival.packets, path=arrival.path, arrival=now, round_trip=round_trip)
        if flow.counters.resets != resets:
            fec.reset()
        rebuilt = fec.hear_media(arrival.packets, now=now)
        if rebuilt:
            flow.insert_rebuilt(rebuilt, path=arrival.path, arrival=now)

    def hear_parities(self, leg: Leg, runs: Sequence[Run], now: Micros) -> Sequence[Run]:
        """Take out forward error correction's parities; what is left is for the translator.

        They come from a port of their own, so all that can be asked is that they come from the sender's host, and
        they prove nothing about whether the sender is alive.
        """
        fec = self.fec
        if fec is None:
            return runs
        others: list[Run] = []
        for run in runs:
            if run.path not in FEC_OFFSETS:
                others.append(run)
            elif self.flow is not None and leg.peer.association.is_host(run.peer.host):
                self.note_others(len(run.datagrams))
                rebuilt = fec.hear_parities(run.datagrams, now=now)
                if rebuilt:
                    self.flow.insert_rebuilt(rebuilt, path=MEDIA, arrival=now)
        return others

    def note_others(self, packets: int) -> None:
        """So many packets that are no media came, of those that the quality of a link is told by."""
        if self._quality is not None:
            self._quality.other_sources += packets

    def hear_source_report(self, report: SourceReport) -> None:
        """The sender says which moment of the wall clock its timestamps stand for."""
        self._source_report = report
        flow = self.flow
        if flow is None or report.ssrc & ~1 != flow.flow_id or not report.ntp:
            return
        from_ntp = self._micros_of(report.ntp)
        flow.anchor_to_wall_clock(from_ntp - flow.source_time_of(report.timestamp))

    def _micros_of(self, ntp: int) -> Micros:
        unix = (ntp >> 32) * MICROS_PER_SECOND + ((ntp & 0xFFFF_FFFF) * MICROS_PER_SECOND >> 32)
        return unix - 2_208_988_800 * MICROS_PER_SECOND - self._wall_clock_offset

    def _is_a_straggler(self, arrival: MediaArrival, now: Micros) -> bool:
        """Whether media of another flow is only what is still on its way from before a restart."""
        if self._flow_before is not None:
            flow_id, replaced_at = self._flow_before
            if flow_id == arrival.flow_id and now - replaced_at < max(
                self._settings.buffer_max, self._settings.rtt_max
            ):
                return True
        return all(is_retransmission for _, _, _, is_retransmission in arrival.packets)

    def _begin_flow(self, arrival: MediaArrival, now: Micros) -> ReceiveFlow:
        flow_id = arrival.flow_id
        before = self.flow
        if before is not None:
            self._deliver(before, now, everything=True)
            self._flow_before = before.flow_id, now
            self._events.append(FlowRestarted(flow_id, before.flow_id))
        flow = ReceiveFlow(
            flow_id,
            self._settings,
            clock_rate=arrival.clock_rate,
            sequence_bits=arrival.sequence_bits,
            now=now,
        )
        if before is not None:
            flow.counters = before.counters
        if self.fec is not None:
            self.fec.reset()
        self.flow = flow
        # libRIST's receivers report under the flow's own number, and its senders expect it.
        for leg in self.legs:
            leg.peer.ssrc = flow_id
        if self._source_report is not None:
            self.hear_source_report(self._source_report)
        return flow

    # -- what is due ---------------------------------------------------------------------------------------------

    def handle_timeout(self, now: Micros) -> None:
        """Hand out what is due, and ask for what is missing."""
        flow = self.flow
        if flow is not None:
            self._deliver(flow, now)
            self._request(flow, now)
        if self._quality is not None:
            self._report_quality(self._quality, flow, now)

    def end_if_silent(self, now: Micros) -> None:
        """The flow is over when all of it is delivered, and nothing more came for a whole buffer."""
        flow = self.flow
        if flow is not None and not self._is_idle and now >= self._idle_at(flow) and not flow.waiting:
            self._end(flow)

    def lost_a_peer(self) -> None:
        """A leg lost its peer; with the last one the flow ends."""
        if self.flow is not None and not any(leg.peer.is_alive for leg in self.legs):
            self._end(self.flow)

    def next_timeout(self) -> Micros | None:
        """When to call `handle_timeout` and `end_if_silent`."""
        flow = self.flow
        if flow is None:
            return None
        due = flow.next_timeout()
        if self._quality is not None and (due is None or self._quality.next_report < due):
            due = self._quality.next_report
        if not self._is_idle and not flow.waiting:
            idle_at = self._idle_at(flow)
            if due is None or idle_at < due:
                return idle_at
        return due

    def poll_events(self) -> list[RistEvent]:
        """What the user should know; packets first come in order with everything else."""
        events = self.flow.poll_events() if self.flow is not None else []
        events += self._events
        self._events = []
        return events

    def _deliver(self, flow: ReceiveFlow, now: Micros, *, everything: bool = False) -> None:
        packets = flow.release(now, self._round_trip(), everything=everything)
        if packets:
            self._events += flow.poll_events()
            self._events.append(PacketsReady(self.legs[0].translator.assemble(packets)))

    def _request(self, flow: ReceiveFlow, now: Micros) -> None:
        if self._settings.one_way:
            return
        leg = self._leg_to_ask()
        # With an allowance of nothing the schedule still moves on, instead of being due for ever.
        allowance = REQUEST_LIMIT if leg.can_ask else 0
        if self._settings.return_bandwidth:
            allowance = min(allowance, self._return.available(now) // _REQUEST_COST)
        wanted = flow.requests_due(now, leg.peer.round_trip.smoothed, allowance=allowance)
        if wanted:
            if self._settings.return_bandwidth:
                self._return.take(len(wanted) * _REQUEST_COST, now)
            leg.say([*leg.peer.preamble(), RepeatRequest(flow.flow_id, wanted, flow.sequence_bits)])

    def _report_quality(self, reports: QualityReports, flow: ReceiveFlow | None, now: Micros) -> None:
        quality = (
            reports.report(None, buffer=0, now=now)
            if flow is None
            else reports.report(flow.counters, buffer=flow.buffer, now=now)
        )
        if quality is None:
            return
        for leg in self.legs:
            if leg.can_ask:
                _, name = leg.peer.preamble()
                leg.say([LinkQualityReport(leg.peer.ssrc, quality), name])

    def _leg_to_ask(self) -> Leg:
        return self.legs[0]

    def _round_trip(self) -> Micros:
        return self.legs[0].peer.round_trip.smoothed

    def _idle_at(self, flow: ReceiveFlow) -> Micros:
        return flow.last_arrival + max(flow.buffer, MICROS_PER_SECOND)

    def _end(self, flow: ReceiveFlow) -> None:
        if not self._is_idle:
            self._is_idle = True
            self._events.append(FlowEnded(flow.flow_id))
