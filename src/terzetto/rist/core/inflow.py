"""A flow that we receive: which one it is, what is missing of it, and when it goes to the user.

However many legs it arrives by, there is one recovery buffer: what comes first is kept, copies are dropped, and what
no leg brought is asked for over one of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from terzetto.primitives.datagrams import Buffer, Run
from terzetto.primitives.time import MICROS_PER_SECOND, Micros
from terzetto.primitives.token_bucket import TokenBucket
from terzetto.rist.core.fec_receiver import FecReceiver
from terzetto.rist.core.flow import REQUEST_LIMIT, ReceiveFlow
from terzetto.rist.core.halves import HalvesMerger
from terzetto.rist.core.leg import Leg
from terzetto.rist.core.quality_reports import QualityReports
from terzetto.rist.core.settings import Settings
from terzetto.rist.core.vocabulary import (
    LinkQualityReport,
    MediaArrival,
    RepeatRequest,
    SourceReport,
    narrowed,
)
from terzetto.rist.events import FlowEnded, FlowRestarted, FlowStarted, PacketsReady, RistEvent, RistPacket

__all__ = ["Inflow"]

# What one requested sequence costs on the return path, as the return-bandwidth option counts it.
_REQUEST_COST: Final = 4

_COMMON_BITS: Final = 16

# In batches: a path's lag is its worst of late, since a gap that fills by itself need not be asked for.
_LAG_MEMORY: Final = 64


class Inflow:
    """One flow on its way in."""

    def __init__(
        self, settings: Settings, *, sequence_bits: int, now: Micros, wall_clock_offset: Micros
    ) -> None:
        self.legs: list[Leg] = []
        self.timekeeper: Leg | None = None
        """The leg that media came by last: it does what is due for all, where it is known."""
        self.flow: ReceiveFlow | None = None
        self.takes_one_flow = False
        """Whether legs may turn out to be somebody else's: while the flow goes on, who brings another is a stranger."""
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
        self._next_index = 0
        self._favourite: Leg | None = None
        self._skew: Micros = 0
        self._tells_streams = False
        self._sender_longest: Micros | None = None
        self._told_aim: Micros | None = None
        self._merger = None if settings.merge == "off" else HalvesMerger()
        self._events: list[RistEvent] = []

    # -- legs ----------------------------------------------------------------------------------------------------

    def join(self, leg: Leg) -> None:
        """Take in media by *leg* too."""
        leg.index = self._next_index
        self._next_index += 1
        self.legs.append(leg)
        leg.translator.tells_streams = self._tells_streams
        if self.flow is not None:
            leg.peer.ssrc = self.flow.flow_id

    def leave(self, leg: Leg) -> None:
        """Do without *leg* from now on."""
        self.legs.remove(leg)
        self.without(leg)

    def without(self, leg: Leg) -> None:
        """*leg* cannot do anything, for now at least."""
        if self.timekeeper is leg:
            self.timekeeper = None
        if self._favourite is leg:
            self._favourite = None

    def tell_streams(self) -> None:
        """Have payloads say which stream of the tunnel they are of, from now on."""
        self._tells_streams = True
        for leg in self.legs:
            leg.translator.tells_streams = True

    # -- arrivals ------------------------------------------------------------------------------------------------

    def hear_media(self, leg: Leg, arrival: MediaArrival, now: Micros) -> None:
        """Media arrived by *leg*, from a peer that may send it."""
        if not arrival.expedited:
            self._take_media(leg, arrival, now)
            return
        before = self.flow
        if before is not None and before.flow_id != arrival.flow_id:
            before = None
        fresh = [media for media in arrival.expedited if before is None or not before.has_seen(media[0])]
        self._take_media(leg, arrival, now)
        flow = self.flow
        if flow is not None and flow.flow_id == arrival.flow_id:
            taken = [flow.out_of_turn(each, path=leg.index) for each in fresh if flow.has_seen(each[0])]
            packets = leg.translator.assemble_expedited(taken)
            if packets:
                self._events.append(PacketsReady(packets))

    def _take_media(self, leg: Leg, arrival: MediaArrival, now: Micros) -> None:
        flow = self.flow
        if self.fec is not None and arrival.sequence_bits > self._sequence_bits:
            arrival = narrowed(arrival)  # parities name their packets in as many bits as the profile has
        elif len(self.legs) > 1 and arrival.sequence_bits > _COMMON_BITS:
            arrival = narrowed(arrival)  # some legs may have gone over to more bits, and others not
        if flow is None or flow.flow_id != arrival.flow_id:
            if flow is not None and self._is_of_a_stranger(leg, flow):
                leg.peer.association.strangers_ignored += len(arrival.packets)
                return
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
        if arrival.is_rebuilt:
            flow.insert_rebuilt(arrival.packets, path=leg.index, arrival=now)
            return
        wire_fec = leg.translator.fec_receiver
        if wire_fec is not None:
            flow.fec_patience = wire_fec.patience(now, most=flow.buffer // 3)
        leg.peer.counters.media_received += len(arrival.packets)
        leg.brings = flow.flow_id
        self.timekeeper = leg
        round_trip = leg.peer.round_trip.smoothed
        if len(self.legs) > 1:
            round_trip = self._compare(leg, flow, arrival, now)
        if self.fec is None:
            flow.insert(arrival.packets, path=leg.index, arrival=now, round_trip=round_trip)
        else:
            self._insert_with_fec(self.fec, flow, leg, arrival, round_trip, now)

    def _compare(self, leg: Leg, flow: ReceiveFlow, arrival: MediaArrival, now: Micros) -> Micros:
        """Note how *leg* does beside the others; the round trip of the one that would be asked.

        What one leg has not brought another may still be bringing: a gap is left alone for as long as the slowest
        lags behind the fastest, as far as that leaves time for asking.
        """
        packets = arrival.packets
        counters = leg.peer.counters
        counters.media_bytes_received += sum([len(packet[2]) for packet in packets])
        repeats = sum([packet[3] for packet in packets])
        if repeats:
            counters.repeats_received += repeats
            leg.answers.answered(repeats)
        if not packets[-1][3] and flow.has_begun:
            lag = flow.lateness(packets[-1][1], now)
            leg.lag = max(lag, leg.lag - (leg.lag - lag) // _LAG_MEMORY)
        lags = [other.lag for other in self.legs if other.peer.is_alive and other.is_fresh(now)]
        skew = max(lags) - min(lags) if lags else 0
        self._skew = min(skew, flow.buffer)
        flow.path_patience = min(skew + self._settings.reorder, flow.buffer // 3) if skew else 0
        return self._round_trip()

    def _insert_with_fec(
        self,
        fec: FecReceiver,
        flow: ReceiveFlow,
        leg: Leg,
        arrival: MediaArrival,
        round_trip: Micros,
        now: Micros,
    ) -> None:
        # Asking is the second line, and needs its share of the buffer as well.
        flow.fec_patience = fec.patience(now, most=flow.buffer // 3)
        resets = flow.counters.resets
        flow.insert(arrival.packets, path=leg.index, arrival=now, round_trip=round_trip)
        if flow.counters.resets != resets:
            fec.reset()
        rebuilt = fec.hear_media(arrival.packets, now=now)
        if rebuilt:
            flow.insert_rebuilt(rebuilt, path=leg.index, arrival=now)

    def hear_parities(self, leg: Leg, runs: Sequence[Run], now: Micros) -> Sequence[Run]:
        """Take out forward error correction's parities; what is left is for the translator.

        They come from a port of their own, so all that can be asked is that they come from the sender's host, and
        they prove nothing about whether the sender is alive.
        """
        if self.fec is None:
            return runs
        others: list[Run] = []
        for run in runs:
            if run.path not in leg.translator.parity_paths:
                others.append(run)
            elif self.flow is not None and leg.peer.association.is_host(run.peer.host):
                self.take_parities(leg, run.datagrams, now)
        return others

    def take_parities(self, leg: Leg, packets: Sequence[Buffer], now: Micros) -> None:
        """Parities of ours arrived, from a peer that may send them."""
        self.note_others(len(packets))
        if self.fec is None or self.flow is None:
            return
        rebuilt = self.fec.hear_parities(packets, now=now)
        if rebuilt:
            self.flow.insert_rebuilt(rebuilt, path=leg.index, arrival=now)

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

    def limit_buffer(self, longest: Micros) -> None:
        """The sender said for how long it can repeat."""
        self._sender_longest = longest
        if self.flow is not None:
            self.flow.limit_buffer(longest)

    def _tell_buffer(self, flow: ReceiveFlow) -> None:
        """Where the buffer adapts, and the sender knows of such things, it hears how long it is to be."""
        aim = flow.buffer_aim
        if aim != self._told_aim and self._sender_longest is not None:
            self._told_aim = aim
            if self._settings.buffer_min != self._settings.buffer_max:
                for leg in self.legs:
                    leg.translator.tell_buffer(aim)

    def _is_of_a_stranger(self, leg: Leg, flow: ReceiveFlow) -> bool:
        """Whether another flow than ours came by a leg that ours never came by; the sender of ours may begin anew."""
        return self.takes_one_flow and not self._is_idle and leg.brings != flow.flow_id

    def _is_a_straggler(self, arrival: MediaArrival, now: Micros) -> bool:
        """Whether media of another flow is only what is still on its way from before a restart."""
        if self._flow_before is not None:
            flow_id, replaced_at = self._flow_before
            if flow_id == arrival.flow_id and now - replaced_at < max(
                self._settings.buffer_max, self._settings.rtt_max
            ):
                if len(self.legs) > 1 and not self._is_idle:
                    # Another path may never have heard of the restart, or carry somebody else's flow altogether:
                    # as long as it goes on, it stays out.
                    self._flow_before = flow_id, now
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
        if self._sender_longest is not None:
            flow.limit_buffer(self._sender_longest)
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
            self._tell_buffer(flow)
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
        packets = flow.release(now, self._round_trip() + self._skew, everything=everything)
        if packets or everything:
            self._events += flow.poll_events()
            self._hand_out(self.legs[0].translator.assemble(packets), is_last=everything)

    def _hand_out(self, packets: list[RistPacket], *, is_last: bool) -> None:
        merger = self._merger
        if merger is not None and (
            self._settings.merge == "pairs" or any(leg.translator.peer_splits for leg in self.legs)
        ):
            packets = merger.take(packets)
            if is_last:
                packets += merger.flush()
        if packets:
            self._events.append(PacketsReady(packets))

    def _request(self, flow: ReceiveFlow, now: Micros) -> None:
        if self._settings.one_way:
            return
        leg = self._leg_to_ask(now)
        if leg is None:
            return
        # With an allowance of nothing the schedule still moves on, instead of being due for ever.
        allowance = REQUEST_LIMIT if leg.can_ask else 0
        if self._settings.return_bandwidth:
            allowance = min(allowance, self._return.available(now) // _REQUEST_COST)
        wanted = flow.requests_due(now, leg.peer.round_trip.smoothed, allowance=allowance)
        if wanted:
            if self._settings.return_bandwidth:
                self._return.take(len(wanted) * _REQUEST_COST, now)
            leg.peer.counters.requests += len(wanted)
            if len(self.legs) > 1:
                leg.answers.asked(len(wanted), round_trip=leg.peer.round_trip.smoothed, now=now)
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

    def _leg_to_ask(self, now: Micros) -> Leg | None:
        """The leg that most likely answers, soonest."""
        legs = self.legs
        if len(legs) > 1:
            legs = [leg for leg in legs if leg.can_ask] or legs
            legs = [leg for leg in legs if leg.is_fresh(now)] or legs
            highest = max(leg.priority for leg in legs)
            legs = [leg for leg in legs if leg.priority == highest]
            if len(legs) > 1:
                legs = [min(legs, key=lambda leg: leg.expected_answer(now))]
        self._favourite = legs[0] if legs else None
        return self._favourite

    def _round_trip(self) -> Micros:
        """The round trip of the leg that is asked."""
        leg = self._favourite or (self.legs[0] if self.legs else None)
        return self._settings.rtt_min if leg is None else leg.peer.round_trip.smoothed

    def _idle_at(self, flow: ReceiveFlow) -> Micros:
        return flow.last_arrival + max(flow.buffer, MICROS_PER_SECOND)

    def _end(self, flow: ReceiveFlow) -> None:
        if not self._is_idle:
            self._is_idle = True
            if not flow.waiting:
                self._hand_out([], is_last=True)
            self._events.append(FlowEnded(flow.flow_id))
