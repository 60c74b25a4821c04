"""One flow at the receiver: packets in as they come, packets out in order and on time.

Composed of the source's clock, the recovery buffer, the list of what is missing, and the buffer's size; this file
is where an arriving packet meets all four.
"""

from __future__ import annotations

from typing import Final

from terzetto.primitives.time import MICROS_PER_SECOND, Micros, seconds
from terzetto.rist.core.counters import FlowCounters
from terzetto.rist.core.missing import MissingList
from terzetto.rist.core.playout import Inserted, Playout, Slot
from terzetto.rist.core.settings import Settings
from terzetto.rist.core.sizing import BufferSizer
from terzetto.rist.core.source_clock import SourceClock
from terzetto.rist.core.vocabulary import Media
from terzetto.rist.events import BufferResized, ClockResynchronised, RistEvent, RistPacket
from terzetto.rist.options import TimingMode

__all__ = ["ReceiveFlow"]

# libRIST and we begin flows at sequence 0. A first packet a little above it means that the ones before were lost on
# the way, so they are asked for; a receiver that joins a running flow sees such a number once in a thousand times,
# and then asks for a few packets in vain.
_BEGINNING: Final = 64

# A source that restarted its numbers shows up as packets from behind whose time is ahead. One may be an accident.
_RESTART_PROOF: Final = 5

# This many packets too late in a row are no outage that ends but a path that got longer: follow it.
_LATE_PROOF: Final = 100

# At most this many sequences in one request; libRIST sends as many, and its receivers accept them.
REQUEST_LIMIT: Final = 200


class ReceiveFlow:
    """Recovery and playout of one flow."""

    def __init__(
        self, flow_id: int, settings: Settings, *, clock_rate: int, sequence_bits: int, now: Micros
    ) -> None:
        self.flow_id = flow_id
        self.counters = FlowCounters()
        self._settings = settings
        self._clock = SourceClock(clock_rate)
        self._playout = Playout()
        self._missing = MissingList()
        self._sizer = BufferSizer(
            settings.buffer_min,
            settings.buffer_max,
            multiplier=settings.rtt_multiplier,
            reorder=settings.reorder,
            now=now,
        )
        self._mask = (1 << sequence_bits) - 1
        self._half = 1 << (sequence_bits - 1)
        self._newest: int | None = None
        self._newest_packet_time: Micros = 0
        self._newest_arrival: Micros = now
        self._from_the_past = 0
        self._late_in_a_row = 0
        self._events: list[RistEvent] = []
        self._round_trip: Micros = settings.rtt_min

    # -- packets in ----------------------------------------------------------------------------------------------

    def insert(self, packets: list[Media], *, path: int, arrival: Micros, round_trip: Micros) -> None:
        """Take in *packets* that arrived together."""
        self._round_trip = round_trip
        counters = self.counters
        counters.received += len(packets)
        size = 0
        for packet in packets:
            size += len(packet[2])
        counters.received_bytes += size
        done = self._insert_advancing(packets, path, arrival) if self._newest is not None else 0
        for packet in packets[done:] if done else packets:
            self._insert_one(packet, path, arrival)
        counters.note_spacing(arrival - self._newest_arrival, len(packets), arrival)
        self._newest_arrival = arrival

    def _insert_advancing(self, packets: list[Media], path: int, arrival: Micros) -> int:
        """The short way for originals in order and on time, which most are; returns how many it took in."""
        newest = self._newest
        assert newest is not None
        expected = newest & self._mask
        mask = self._mask
        by_source = self._settings.timing_mode is not TimingMode.ARRIVAL
        clock = self._clock
        buffer = self._sizer.current
        timestamp_before = -1
        source_time = packet_time = arrival
        slots: list[Slot] = []
        for sequence, timestamp, payload, is_retransmission in packets:
            expected = (expected + 1) & mask
            if sequence != expected or is_retransmission:
                break
            if timestamp != timestamp_before:
                source_time = clock.source_time(timestamp)
                if by_source:
                    packet_time = source_time + clock.offset
                    if not -buffer <= packet_time - arrival <= buffer:
                        break
                timestamp_before = timestamp
            slots.append((packet_time + buffer, source_time, payload, path))
        if slots:
            if not self._playout.has_room(newest + len(slots)):
                return 0
            self._playout.extend(newest + 1, slots)
            self._newest = newest + len(slots)
            self._newest_packet_time = packet_time
            self._late_in_a_row = 0
            self._from_the_past = 0
            clock.sample(source_time, arrival)
        return len(slots)

    def _insert_one(self, packet: Media, path: int, arrival: Micros) -> None:
        """The long way, for whatever may come."""
        sequence, timestamp, payload, is_retransmission = packet
        counters = self.counters
        if is_retransmission:
            counters.received_retransmissions += 1
            if self._newest is None:
                return  # a flow does not begin with a repeat
        source_time = self._clock.source_time(timestamp)
        if self._newest is None:
            self._begin(sequence, source_time, arrival)
        newest = self._newest
        assert newest is not None
        packet_time = arrival
        if self._settings.timing_mode is not TimingMode.ARRIVAL:
            packet_time = self._clock.packet_time(source_time)
        behind = newest - ((newest - sequence) & self._mask)
        if is_retransmission:
            self._insert_behind(behind, source_time, packet_time, payload, path, arrival, repeated=True)
            return
        ahead = (sequence - newest) & self._mask
        if ahead >= self._half or ahead == 0:
            if packet_time <= self._newest_packet_time or not self._has_restarted():
                self._insert_behind(behind, source_time, packet_time, payload, path, arrival, repeated=False)
                return
            newest = self._restart(sequence, source_time, arrival)
            packet_time = arrival
            ahead = 1
        self._advance(newest, newest + ahead, source_time, packet_time, payload, path, arrival)

    def _advance(
        self,
        newest: int,
        sequence: int,
        source_time: Micros,
        packet_time: Micros,
        payload: bytes,
        path: int,
        arrival: Micros,
    ) -> None:
        """An original beyond all others, perhaps with a gap before it, perhaps a buffer away from its time."""
        buffer = self._sizer.current
        latest_allowed = arrival - buffer - buffer // 10
        if packet_time < latest_allowed or packet_time - arrival > max(buffer, MICROS_PER_SECOND):
            packet_time = self._off_the_clock(source_time, packet_time, arrival)
        else:
            self._late_in_a_row = 0
        self._from_the_past = 0
        if sequence > newest + 1:
            self._jumped(newest, sequence, packet_time, arrival)
        self._newest = sequence
        self._newest_packet_time = packet_time
        self._clock.sample(source_time, arrival)
        if packet_time < latest_allowed:
            self.counters.too_late += 1
            return
        self._count(self._playout.insert(sequence, (packet_time + buffer, source_time, payload, path)))

    def anchor_to_wall_clock(self, offset: Micros) -> None:
        """In RTC timing the source's reports, not its packets' arrivals, tell the offset."""
        if self._settings.timing_mode is TimingMode.RTC:
            self._clock.anchor_to_wall_clock(offset)

    def source_time_of(self, timestamp: int) -> Micros:
        """*timestamp* on the source's endless clock."""
        return self._clock.source_time(timestamp)

    def _begin(self, sequence: int, source_time: Micros, arrival: Micros) -> None:
        if not self._clock.is_anchored or self._settings.timing_mode is not TimingMode.RTC:
            self._clock.anchor(source_time, arrival)
        self._newest_packet_time = arrival
        self._newest_arrival = arrival
        if 0 < sequence < _BEGINNING:
            self._playout.begin(0)
            self._newest = -1
        else:
            self._playout.begin(sequence)
            self._newest = sequence - 1

    def _has_restarted(self) -> bool:
        self._from_the_past += 1
        return self._from_the_past >= _RESTART_PROOF

    def _restart(self, sequence: int, source_time: Micros, arrival: Micros) -> int:
        """The same flow counts from elsewhere: ask for nothing older; returns the new newest, just before it."""
        self.counters.resets += 1
        self._missing.clear()
        self._from_the_past = 0
        newest = self._newest
        assert newest is not None
        # Endless numbers must keep growing, so the new beginning is the next number of that residue.
        beginning = newest + ((sequence - newest) & self._mask)
        self._playout.skip(newest + 1, beginning)
        self._clock.anchor(source_time, arrival)
        return beginning - 1

    def _off_the_clock(self, source_time: Micros, packet_time: Micros, arrival: Micros) -> Micros:
        """An original in order, but a whole buffer away from when it should come; returns its packet time."""
        if packet_time < arrival:
            self._late_in_a_row += 1
            if self._late_in_a_row < _LATE_PROOF:
                return packet_time
        self._late_in_a_row = 0
        self._clock.anchor(source_time, arrival)
        self.counters.clock_resyncs += 1
        self._events.append(ClockResynchronised(seconds(arrival - packet_time)))
        return arrival

    def _jumped(self, newest: int, sequence: int, packet_time: Micros, arrival: Micros) -> None:
        """Note as missing what lies between, as if it should have come at even steps between its neighbours."""
        settings = self._settings
        first_wait = max(settings.clamp_round_trip(self._round_trip) // 2, settings.reorder)
        room = 0 if settings.one_way else settings.missing_limit - len(self._missing)
        gap = sequence - newest - 1
        since = self._newest_packet_time
        span = packet_time - since
        buffer = self._sizer.current
        # Of a long outage only the end can still come in time.
        first = max(newest + 1, sequence - room)
        for lost in range(first, sequence):
            should_have_come = since + span * (lost - newest) // (gap + 1)
            should_have_come = min(max(should_have_come, arrival - buffer), arrival)
            self._missing.add(lost, detected_at=should_have_come, next_request=arrival + first_wait)
        self.counters.missing += gap

    def _insert_behind(
        self,
        sequence: int,
        source_time: Micros,
        packet_time: Micros,
        payload: bytes,
        path: int,
        arrival: Micros,
        *,
        repeated: bool,
    ) -> None:
        """A packet from before the newest: a repeat, or one that was overtaken."""
        counters = self.counters
        buffer = self._sizer.current
        record = self._missing.arrived(sequence)
        if self._settings.timing_mode is TimingMode.ARRIVAL and record is not None:
            packet_time = record.detected_at
        if arrival > packet_time + buffer + buffer // 10:
            counters.too_late += 1
            return
        # A repeat waits for its deadline like any other packet, but one whose deadline has just gone by may still
        # fill its hole as long as the playout has not stepped over it.
        outcome = self._playout.insert(sequence, (packet_time + buffer, source_time, payload, path))
        self._count(outcome)
        if outcome is Inserted.STORED:
            requests = record.requests if record is not None else 0
            if repeated or requests:
                counters.note_recovered(requests)
                self._sizer.note_recovered(requests)
            else:
                counters.reordered += 1

    def _count(self, outcome: Inserted) -> None:
        if outcome is Inserted.STORED:
            return
        if outcome is Inserted.DUPLICATE:
            self.counters.duplicates += 1
        elif outcome is Inserted.TOO_LATE:
            self.counters.too_late += 1
        else:
            self.counters.dropped_full += 1

    # -- requests and packets out --------------------------------------------------------------------------------

    def requests_due(self, now: Micros, round_trip: Micros, *, allowance: int) -> list[int]:
        """Circular sequences to ask for now, at most *allowance*."""
        due = self._missing.next_pump()
        if due is None or due > now:
            return []
        settings = self._settings
        wanted = self._missing.due(
            now,
            interval=settings.request_interval(round_trip),
            max_requests=settings.max_retries,
            patience=self._sizer.current * 11 // 10,
            allowance=allowance,
        )
        self.counters.requests += len(wanted)
        return [sequence & self._mask for sequence in wanted]

    def release(self, now: Micros, round_trip: Micros) -> list[RistPacket]:
        """Packets whose deadline has come, in order."""
        if self._sizer.handle_timeout(now=now, round_trip=round_trip):
            self._events.append(BufferResized(seconds(self._sizer.target)))
        packets = self._playout.release(now + self._settings.ahead, self.flow_id)
        if not packets:
            return packets
        counters = self.counters
        for packet in packets:
            lost_before = packet[5]
            if lost_before:
                counters.unrecovered += lost_before
                self._sizer.note_lost(lost_before)
                self._missing.forget(range(packet.sequence - lost_before, packet.sequence))
        counters.delivered += len(packets)
        counters.note_buffer_time(now - self._playout.last_deadline + self._sizer.current)
        return packets

    def next_timeout(self) -> Micros | None:
        """The earliest of the next release, the next request and the buffer's next step."""
        due = self._playout.next_deadline()
        if due is not None:
            due -= self._settings.ahead
        for time in (self._missing.next_pump(), self._sizer.next_timeout()):
            if time is not None and (due is None or time < due):
                due = time
        return due

    def poll_events(self) -> list[RistEvent]:
        """What the user should know."""
        events, self._events = self._events, []
        return events

    # -- for reports and statistics ------------------------------------------------------------------------------

    @property
    def highest_sequence(self) -> int:
        """The newest sequence seen, endless; 0 before the first."""
        return self._newest or 0

    @property
    def buffer(self) -> Micros:
        """The recovery buffer in force."""
        return self._sizer.current

    @property
    def missing_now(self) -> int:
        """How many packets are being asked for."""
        return len(self._missing)

    @property
    def missing_high_water(self) -> int:
        """The most that were ever missing at once."""
        return self._missing.high_water

    @property
    def waiting(self) -> int:
        """How many packets wait for their deadline."""
        return len(self._playout)

    @property
    def last_arrival(self) -> Micros:
        """When the flow was last heard."""
        return self._newest_arrival
