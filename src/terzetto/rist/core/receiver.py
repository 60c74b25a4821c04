"""A RIST receiver: media in, requests out, packets in order to the user."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from terzetto.primitives.datagrams import Address, EntropySource, Run
from terzetto.primitives.time import MICROS_PER_SECOND, Micros
from terzetto.primitives.token_bucket import TokenBucket
from terzetto.rist.core.fec_receiver import FecReceiver
from terzetto.rist.core.flow import REQUEST_LIMIT, ReceiveFlow
from terzetto.rist.core.peer import Peer
from terzetto.rist.core.profile import FEC_OFFSETS, FEEDBACK, MEDIA, Translator
from terzetto.rist.core.reports import ReportSchedule
from terzetto.rist.core.settings import Settings
from terzetto.rist.core.vocabulary import (
    Feedback,
    FeedbackArrival,
    Goodbye,
    MediaArrival,
    RepeatRequest,
    SourceReport,
)
from terzetto.rist.events import FlowEnded, FlowRestarted, FlowStarted, PacketsReady, RistEvent

__all__ = ["Receiver"]

# What one requested sequence costs on the return path, as the return-bandwidth option counts it.
_REQUEST_COST: Final = 4


class Receiver:
    """Receives one flow from one peer.

    With *remote* it calls: it reports to that address until the sender there begins. Without, it waits for a sender
    to call.
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
    ) -> None:
        self.translator = translator
        self._settings = settings
        self._remote = remote
        self.peer = Peer(
            settings,
            ssrc=0,
            wall_clock_offset=wall_clock_offset,
            remote=remote,
            translator=translator,
            entropy=entropy,
        )
        translator.start(self.peer, now=now)
        self.flow: ReceiveFlow | None = None
        self._wall_clock_offset = wall_clock_offset
        self._schedule = ReportSchedule(settings.report_interval, now=now)
        self._return = TokenBucket(
            max(settings.return_bandwidth // 8, 1), max(settings.return_bandwidth // 8, 1500), now=now
        )
        self.fec: FecReceiver | None = None
        if settings.fec is not None:
            self.fec = FecReceiver(settings.fec, sequence_bits=translator.sequence_bits)
        self._flow_is_idle = True
        self._flow_before: tuple[int, Micros] | None = None
        self._source_report: SourceReport | None = None
        self._local: dict[int, str | None] = {}
        self._transmits: list[Run] = []
        self._events: list[RistEvent] = []

    # -- commands ------------------------------------------------------------------------------------------------

    def close(self, *, now: Micros) -> None:
        """Say goodbye, so that the sender need not wait for our silence."""
        if self.peer.is_connected:
            self._say([*self.peer.preamble(), Goodbye(self.peer.ssrc)])
            self.translator.close(now=now)

    # -- the grammar of a core -----------------------------------------------------------------------------------

    def handle_datagrams(self, runs: Sequence[Run], *, now: Micros) -> None:
        """Take in what the network brought."""
        if self.fec is not None:
            runs = self._hear_parities(self.fec, runs, now)
        for arrival in self.translator.decode(runs, now=now):
            if isinstance(arrival, MediaArrival):
                self._hear_media(arrival, now)
                continue
            was_alive = self.peer.is_alive
            self._hear_feedback(arrival, now)
            if was_alive and not self.peer.is_alive:
                break  # it said goodbye, and means what it said after it no more

    def handle_timeout(self, *, now: Micros) -> None:
        """Do what is due."""
        self.translator.handle_timeout(now=now)
        self._release(now)
        self._request(now)
        if not self._settings.one_way and self._schedule.is_due(now):
            self._report(now)
        if self.peer.expire(now) and self.flow is not None:
            self._end_flow(self.flow)
        flow = self.flow
        if flow is not None and not self._flow_is_idle and now >= self._idle_at(flow) and not flow.waiting:
            self._end_flow(flow)

    def poll_transmits(self) -> list[Run]:
        """Datagrams to put on the wire."""
        transmits, self._transmits = self._transmits, []
        control = self.translator.poll_control()
        return control + transmits if control else transmits

    def poll_events(self) -> list[RistEvent]:
        """What the user should know; packets first come in order with everything else."""
        events = self.translator.poll_events()
        events += self.peer.poll_events()
        if self.flow is not None:
            events += self.flow.poll_events()
        events += self._events
        self._events = []
        return events

    def next_timeout(self) -> Micros | None:
        """When to call `handle_timeout` next."""
        times = [] if self._settings.one_way else [self._schedule.next_report]
        lost_at = self.peer.association.next_timeout()
        if lost_at is not None:
            times.append(lost_at)
        control_at = self.translator.next_timeout()
        if control_at is not None:
            times.append(control_at)
        flow = self.flow
        if flow is not None:
            due = flow.next_timeout()
            if due is not None:
                times.append(due)
            if not self._flow_is_idle and not flow.waiting:
                times.append(self._idle_at(flow))
        return min(times, default=None)

    # -- arrivals ------------------------------------------------------------------------------------------------

    def _hear_media(self, arrival: MediaArrival, now: Micros) -> None:
        peer = self.peer
        if not peer.admit(arrival.peer, MEDIA, now=now, datagrams=len(arrival.packets)):
            return
        self._local[MEDIA] = arrival.local
        peer.announce()
        flow = self.flow
        if flow is None or flow.flow_id != arrival.flow_id:
            if self._is_a_straggler(arrival, now):
                if flow is not None:
                    flow.counters.received += len(arrival.packets)
                    flow.counters.too_late += len(arrival.packets)
                return
            flow = self._begin_flow(arrival, now)
        if self._flow_is_idle:
            self._flow_is_idle = False
            self._events.append(FlowStarted(flow.flow_id))
        peer.counters.media_received += len(arrival.packets)
        if self.fec is None:
            flow.insert(
                arrival.packets, path=arrival.path, arrival=now, round_trip=self.peer.round_trip.smoothed
            )
        else:
            self._insert_with_fec(self.fec, flow, arrival, now)

    def _insert_with_fec(
        self, fec: FecReceiver, flow: ReceiveFlow, arrival: MediaArrival, now: Micros
    ) -> None:
        # Asking is the second line, and needs its share of the buffer as well.
        flow.fec_patience = fec.patience(now, most=flow.buffer // 3)
        resets = flow.counters.resets
        flow.insert(arrival.packets, path=arrival.path, arrival=now, round_trip=self.peer.round_trip.smoothed)
        if flow.counters.resets != resets:
            fec.reset()
        rebuilt = fec.hear_media(arrival.packets, now=now)
        if rebuilt:
            flow.insert_rebuilt(rebuilt, path=arrival.path, arrival=now)

    def _hear_parities(self, fec: FecReceiver, runs: Sequence[Run], now: Micros) -> Sequence[Run]:
        """Take out the parities; what is left is for the translator.

        They come from a port of their own, so all that can be asked is that they come from the sender's host, and
        they prove nothing about whether the sender is alive.
        """
        others: list[Run] = []
        for run in runs:
            if run.path not in FEC_OFFSETS:
                others.append(run)
            elif self.flow is not None and self.peer.association.is_host(run.peer.host):
                rebuilt = fec.hear_parities(run.datagrams, now=now)
                if rebuilt:
                    self.flow.insert_rebuilt(rebuilt, path=MEDIA, arrival=now)
        return others

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
                self._hear_source_report(said)
        # A mere sign of life says nothing of who it is, and the first report will.
        if peer.association.is_alive and arrival.said:
            peer.announce()
        if answers:
            self._say(peer.preamble() + answers)

    def _hear_source_report(self, report: SourceReport) -> None:
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
            sequence_bits=self.translator.sequence_bits,
            now=now,
        )
        if before is not None:
            flow.counters = before.counters
        if self.fec is not None:
            self.fec.reset()
        self.flow = flow
        # libRIST's receivers report under the flow's own number, and its senders expect it.
        self.peer.ssrc = flow_id
        if self._source_report is not None:
            self._hear_source_report(self._source_report)
        return flow

    # -- what is due ---------------------------------------------------------------------------------------------

    def _release(self, now: Micros) -> None:
        if self.flow is not None:
            self._deliver(self.flow, now)

    def _deliver(self, flow: ReceiveFlow, now: Micros, *, everything: bool = False) -> None:
        packets = flow.release(now, self.peer.round_trip.smoothed, everything=everything)
        if packets:
            self._events += flow.poll_events()
            self._events.append(PacketsReady(packets))

    def _request(self, now: Micros) -> None:
        flow = self.flow
        if flow is None or self._settings.one_way:
            return
        # With an allowance of nothing the schedule still moves on, instead of being due for ever.
        can_ask = self.peer.association.is_alive and self._feedback_address() is not None
        allowance = REQUEST_LIMIT if can_ask else 0
        if self._settings.return_bandwidth:
            allowance = min(allowance, self._return.available(now) // _REQUEST_COST)
        wanted = flow.requests_due(now, self.peer.round_trip.smoothed, allowance=allowance)
        if wanted:
            if self._settings.return_bandwidth:
                self._return.take(len(wanted) * _REQUEST_COST, now)
            self._say([*self.peer.preamble(), RepeatRequest(flow.flow_id, wanted)])

    def _report(self, now: Micros) -> None:
        flow = self.flow
        block = flow.reception() if flow is not None else None
        self._say(self.peer.reception_report(block, now=now))

    def _say(self, said: list[Feedback]) -> None:
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

    def _feedback_address(self) -> Address | None:
        """Where the sender wants to hear us: where it reports from, or where we call."""
        learned = self.peer.association.address(FEEDBACK)
        if learned is not None or self._remote is None:
            return learned
        return self.translator.feedback_address(self._remote)

    # -- ends ----------------------------------------------------------------------------------------------------

    def _idle_at(self, flow: ReceiveFlow) -> Micros:
        return flow.last_arrival + max(flow.buffer, MICROS_PER_SECOND)

    def _end_flow(self, flow: ReceiveFlow) -> None:
        if not self._flow_is_idle:
            self._flow_is_idle = True
            self._events.append(FlowEnded(flow.flow_id))
