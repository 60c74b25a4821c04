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
from terzetto.rist.core.reception import Reception
from terzetto.rist.core.restart_watch import RestartWatch
from terzetto.rist.core.settings import Settings
from terzetto.rist.core.sizing import BufferSizer
from terzetto.rist.core.source_clock import SourceClock
from terzetto.rist.core.vocabulary import Media, ReceptionReport
from terzetto.rist.events import BufferResized, ClockResynchronised, RistEvent, RistPacket
from terzetto.rist.options import TimingMode

__all__ = ["ReceiveFlow"]

# libRIST and we begin flows at sequence 0. A first packet a little above it means that the ones before were lost on
# the way, so they are asked for; a receiver that joins a running flow sees such a number once in a thousand times,
# and then asks for a few packets in vain. Who cannot ask does not claim that they existed.
_BEGINNING: Final = 64

# This many packets too late in a row are no outage that ends but a path that got longer: follow it.
_LATE_PROOF: Final = 100

# This many packets from the future in a row are no accident but a clock that was set: follow it.
_EARLY_PROOF: Final = 5

_END_OF_TIME: Final[Micros] = 1 << 62

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
        self._playout = Playout(widest=settings.recovery_limit)
        self._missing = MissingList()
        self._sizer = BufferSizer(
            settings.buffer_min,
            settings.buffer_max,
            multiplier=settings.rtt_multiplier,
            reorder=settings.reorder,
            now=now,
            min_requests=settings.min_retries,
            request_floor=settings.request_floor,
        )
        self._set_sequence_bits(sequence_bits)
        # What to add to our endless numbers for the source's own: it changes when the source counts anew.
        self._shift = 0
        self._newest: int | None = None
        self._newest_packet_time: Micros = 0
        self._newest_source_time: Micros = 0
        self._newest_arrival: Micros = now
        self._advanced_at: Micros = now
        # Packets in a row that came a whole buffer away from their time: late ones negative, early ones positive.
        self._off_in_a_row = 0
        self._reports_mislead = False
        self._reception = Reception(flow_id, clock_rate=clock_rate)
        self.fec_patience: Micros = 0
        """How long a gap is left to forward error correction before it is asked for."""
        self.path_patience: Micros = 0
        """How long a gap is left to a slower path."""
        self._events: list[RistEvent] = []
        self._round_trip: Micros = settings.rtt_min

    # -- the source's counting ----------------------------------------------------------------------------------

    @property
    def sequence_bits(self) -> int:
        """Where the source's sequences go round."""
        return self._mask.bit_length()

    def change_sequence_bits(self, bits: int, sequence: int) -> None:
        """From *sequence* on, a packet near the newest, the source's numbers have so many bits; nothing is lost by it.

        What both ways of counting have in common tells where in our own *sequence* lies.
        """
        if self._newest is not None and bits > self.sequence_bits:
            ahead = (sequence - self._newest - self._shift) & self._mask
            if ahead >= self._half:
                ahead -= self._mask + 1
            self._shift = sequence - (self._newest + ahead)
        self._set_sequence_bits(bits)

    def _set_sequence_bits(self, bits: int) -> None:
        self._mask = (1 << bits) - 1
        self._half = 1 << (bits - 1)
        self._restart_watch = RestartWatch(bits=bits)
        self._playout.widen(bits)

    # -- packets in ----------------------------------------------------------------------------------------------

    def insert(self, packets: list[Media], *, path: int, arrival: Micros, round_trip: Micros) -> None:
        """Take in *packets* that arrived together."""
        self._round_trip = round_trip
        counters = self.counters
        counters.received += len(packets)
        counters.received_bytes += sum([len(packet[2]) for packet in packets])
        has_begun = self._newest is not None
        done = self._insert_advancing(packets, path, arrival) if has_begun else 0
        if done < len(packets):
            self._insert_rest(packets[done:] if done else packets, path, arrival)
        if has_begun:
            counters.note_spacing(arrival - self._newest_arrival, len(packets), arrival)
        self._newest_arrival = arrival

    def insert_rebuilt(self, packets: list[Media], *, path: int, arrival: Micros) -> None:
        """Take in *packets* that never arrived: forward error correction made them of others."""
        newest = self._newest
        if newest is None:
            return
        for sequence, timestamp, payload, _ in packets:
            behind = newest - ((newest + self._shift - sequence) & self._mask)
            source_time = self._clock.source_time(timestamp)
            packet_time = arrival
            if self._settings.timing_mode is not TimingMode.ARRIVAL:
                packet_time = self._clock.packet_time(source_time)
            self._insert_behind(behind, source_time, packet_time, payload, path, arrival, is_rebuilt=True)

    def _insert_advancing(self, packets: list[Media], path: int, arrival: Micros) -> int:
        """The short way for originals in order and on time, which most are; returns how many it took in."""
        newest = self._newest
        assert newest is not None
        mask = self._mask
        expected = (newest + self._shift) & mask
        by_source = self._settings.timing_mode is not TimingMode.ARRIVAL
        clock = self._clock
        buffer = self._sizer.current
        timestamp_before = -1
        source_time = packet_time = arrival
        deadline = arrival + buffer
        slots: list[Slot] = []
        append = slots.append
        for sequence, timestamp, payload, is_retransmission in packets:
            expected = (expected + 1) & mask
            if sequence != expected or is_retransmission:
                break
            if timestamp != timestamp_before:
                moment = clock.source_time(timestamp)
                if by_source:
                    expected_at = moment + clock.offset
                    if not -buffer <= expected_at - arrival <= buffer:
                        break
                    packet_time = expected_at
                    deadline = packet_time + buffer
                source_time = moment
                timestamp_before = timestamp
            append((deadline, source_time, payload, path))
        if slots:
            if not self._playout.has_room(newest + len(slots)):
                return 0
            self._playout.extend(newest + 1, slots)
            self._newest = newest + len(slots)
            self._settle(packet_time, source_time, timestamp_before, arrival)
        return len(slots)

    def _insert_rest(self, packets: list[Media], path: int, arrival: Micros) -> None:
        """What is not simply the continuation: copies by another path, and whatever else may come."""
        copies = self._pass_over_copies(packets)
        if copies:
            packets = packets[copies:]
            done = self._insert_advancing(packets, path, arrival) if packets else 0
            packets = packets[done:]
        for packet in packets:
            self._insert_one(packet, path, arrival)

    def _pass_over_copies(self, packets: list[Media]) -> int:
        """The short way for what waits already, as most of a slower path's does; returns how many it dropped."""
        newest = self._newest
        if newest is None:
            return 0
        mask = self._mask
        on_the_wire = newest + self._shift
        waiting = self._playout.waiting
        copies = 0
        timestamp_before = -1
        source_time: Micros = 0
        for sequence, timestamp, _, is_retransmission in packets:
            slot = waiting(newest - ((on_the_wire - sequence) & mask))
            if slot is None or is_retransmission:
                break
            if timestamp != timestamp_before:
                timestamp_before = timestamp
                source_time = self._clock.source_time(timestamp)
            if slot[1] != source_time:
                break
            copies += 1
        self.counters.duplicates += copies
        return copies

    def _settle(self, packet_time: Micros, source_time: Micros, timestamp: int, arrival: Micros) -> None:
        """The flow has advanced to a packet of these times, and nothing about it was strange."""
        self._newest_packet_time = packet_time
        self._newest_source_time = source_time
        self._advanced_at = arrival
        self._off_in_a_row = 0
        if self._restart_watch.is_suspicious:
            self._restart_watch.clear()
        self._clock.sample(source_time, arrival)
        self._reception.sample(timestamp, arrival)

    def _insert_one(self, packet: Media, path: int, arrival: Micros) -> None:
        """The long way, for whatever may come."""
        sequence, timestamp, payload, is_retransmission = packet
        counters = self.counters
        if is_retransmission:
            counters.received_retransmissions += 1
            counters.received_retransmitted_bytes += len(payload)
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
        on_the_wire = newest + self._shift
        behind = newest - ((on_the_wire - sequence) & self._mask)
        if is_retransmission:
            self._insert_behind(behind, source_time, packet_time, payload, path, arrival, repeated=True)
            return
        ahead = (sequence - on_the_wire) & self._mask
        if ahead >= self._half or ahead == 0:
            if not self._has_restarted(sequence, behind, source_time, packet_time, payload, path, arrival):
                return
            self._restart(sequence, source_time, arrival)
            newest = self._newest
            assert newest is not None
            packet_time = arrival
            ahead = 1
        self._advance(newest, newest + ahead, packet, source_time, packet_time, path, arrival)

    def _advance(
        self,
        newest: int,
        sequence: int,
        packet: Media,
        source_time: Micros,
        packet_time: Micros,
        path: int,
        arrival: Micros,
    ) -> None:
        """An original beyond all others, perhaps with a gap before it, perhaps a buffer away from its time."""
        _, timestamp, payload, _ = packet
        buffer = self._sizer.current
        latest_allowed = arrival - buffer - buffer // 10
        off = 0
        if packet_time < latest_allowed or packet_time - arrival > max(buffer, MICROS_PER_SECOND):
            packet_time, off = self._off_the_clock(source_time, packet_time, arrival)
        if sequence > newest + 1:
            self._jumped(newest, sequence, packet_time, arrival)
        self._newest = sequence
        self._settle(packet_time, source_time, timestamp, arrival)
        self._off_in_a_row = off
        if packet_time < latest_allowed:
            self.counters.too_late += 1
            return
        self._count(self._playout.insert(sequence, (packet_time + buffer, source_time, payload, path)))

    def anchor_to_wall_clock(self, offset: Micros) -> None:
        """In RTC timing the source's reports, not its packets' arrivals, tell the offset."""
        if self._settings.timing_mode is TimingMode.RTC and not self._reports_mislead:
            self._clock.anchor_to_wall_clock(offset)

    @property
    def has_begun(self) -> bool:
        """Whether a packet has arrived."""
        return self._newest is not None

    def lateness(self, timestamp: int, now: Micros) -> Micros:
        """How long after its time a packet of that *timestamp* comes now; negative when it is early."""
        return now - self._clock.packet_time(self._clock.source_time(timestamp))

    def source_time_of(self, timestamp: int) -> Micros:
        """*timestamp* on the source's endless clock."""
        return self._clock.source_time(timestamp)

    def _begin(self, sequence: int, source_time: Micros, arrival: Micros) -> None:
        if not self._clock.is_anchored or self._settings.timing_mode is not TimingMode.RTC:
            self._clock.anchor(source_time, arrival)
        self._newest_packet_time = arrival
        self._newest_source_time = source_time
        self._newest_arrival = arrival
        if 0 < sequence < _BEGINNING and not self._settings.one_way:
            self._playout.begin(0)
            self._newest = -1
        else:
            self._playout.begin(sequence)
            self._newest = sequence - 1

    def _has_restarted(
        self,
        sequence: int,
        behind: int,
        source_time: Micros,
        packet_time: Micros,
        payload: bytes,
        path: int,
        arrival: Micros,
    ) -> bool:
        """Take in an original from behind, unless it shows that the source counts anew."""
        watch = self._restart_watch
        if source_time > self._newest_source_time and watch.note_ahead_in_time():
            return True
        if self._insert_behind(behind, source_time, packet_time, payload, path, arrival, repeated=False):
            return False
        stands_still = arrival - self._advanced_at > max(self._sizer.current, MICROS_PER_SECOND)
        return watch.note_refused(sequence) and stands_still

    def _restart(self, sequence: int, source_time: Micros, arrival: Micros) -> None:
        """The same flow counts from elsewhere: *sequence* follows the newest, and nothing older is asked for."""
        assert self._newest is not None
        self.counters.resets += 1
        self._missing.clear()
        if self._settings.merge != "off" and (sequence - self._shift - (self._newest + 1)) & 1:
            self._newest += 1  # halves are told by even and odd, so a number is left out
        self._shift = sequence - (self._newest + 1)
        self._clock.anchor(source_time, arrival)

    def _off_the_clock(self, source_time: Micros, packet_time: Micros, arrival: Micros) -> tuple[Micros, int]:
        """An original in order, but a buffer away from its time; when it is due then, and how many in a row were."""
        off = self._off_in_a_row
        if packet_time < arrival:
            off = min(off, 0) - 1
            if off > -_LATE_PROOF:
                return packet_time, off
        else:
            off = max(off, 0) + 1
            if off < _EARLY_PROOF:
                return arrival, off
        # In RTC timing our clock and the sender's differ: its reports would only lead us away again.
        self._reports_mislead = True
        self._clock.anchor(source_time, arrival)
        self.counters.clock_resyncs += 1
        self._events.append(ClockResynchronised(seconds(arrival - packet_time)))
        return arrival, 0

    def _jumped(self, newest: int, sequence: int, packet_time: Micros, arrival: Micros) -> None:
        """Note as missing what lies between, as if it should have come at even steps between its neighbours."""
        settings = self._settings
        first_wait = max(
            settings.clamp_round_trip(self._round_trip) // 2,
            settings.reorder,
            self.fec_patience,
            self.path_patience,
        )
        room = 0 if settings.one_way else settings.missing_limit - len(self._missing)
        gap = sequence - newest - 1
        since = self._newest_packet_time
        span = packet_time - since
        buffer = self._sizer.current
        first = max(newest + 1, sequence - room)
        too_long_ago = arrival - buffer - buffer // 10 - since
        if span > 0 and too_long_ago > 0:
            # Of a long outage only the end can still come in time.
            first = max(first, newest - too_long_ago * (gap + 1) // -span)
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
        repeated: bool = False,
        is_rebuilt: bool = False,
    ) -> bool:
        """A packet from before the newest, a repeat or one that was overtaken; whether it was taken in."""
        counters = self.counters
        buffer = self._sizer.current
        record = self._missing.arrived(sequence)
        if self._settings.timing_mode is TimingMode.ARRIVAL and record is not None:
            packet_time = record.detected_at
        # Whatever its timestamp says: what comes before the newest is not due after it, or it would hold up all.
        packet_time = min(packet_time, self._newest_packet_time)
        if arrival > packet_time + buffer + buffer // 10:
            counters.too_late += 1
            counters.too_late_repeats += repeated
            return False
        beginning = self._playout.cursor
        assert beginning is not None
        if repeated and sequence < beginning and not self._playout.has_released:
            counters.too_late += 1  # somebody else asked for it, before we came
            counters.too_late_repeats += 1
            return False
        # A repeat waits for its deadline like any other packet, but one whose deadline has just gone by may still
        # fill its hole as long as the playout has not stepped over it.
        outcome = self._playout.insert(sequence, (packet_time + buffer, source_time, payload, path))
        self._count(outcome)
        if outcome is not Inserted.STORED:
            counters.too_late_repeats += repeated and outcome is Inserted.TOO_LATE
            return False
        if sequence < beginning - 1:
            self._jumped(sequence, beginning, packet_time, arrival)
        requests = record.requests if record is not None else 0
        if is_rebuilt:
            counters.fec_recovered += 1
            counters.note_recovered(0)
        elif repeated or requests:
            counters.note_recovered(requests)
            self._sizer.note_recovered(requests)
        else:
            counters.reordered += 1
        return True

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
        shift = self._shift
        return [(sequence + shift) & self._mask for sequence in wanted]

    def release(self, now: Micros, round_trip: Micros, *, everything: bool = False) -> list[RistPacket]:
        """Packets whose deadline has come, in order; or *everything*, because nothing more will come."""
        if self._sizer.handle_timeout(now=now, round_trip=round_trip):
            self._events.append(BufferResized(seconds(self._sizer.target)))
        until = _END_OF_TIME if everything else now + self._settings.ahead
        packets = self._playout.release(until, self.flow_id)
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

    def has_seen(self, circular: int) -> bool:
        """Whether the packet with that sequence of the wire is here, or its time has gone by."""
        return self._newest is not None and self._playout.has_seen(self._endless(circular))

    def out_of_turn(self, media: Media, *, path: int) -> RistPacket:
        """One that is handed out before its turn comes."""
        sequence, timestamp, payload, _ = media
        source_time = seconds(self._clock.source_time(timestamp))
        return RistPacket(payload, self._endless(sequence), source_time, self.flow_id, path, 0)

    def _endless(self, circular: int) -> int:
        newest = self._newest or 0
        ahead = (circular - self._shift - newest) & self._mask
        return newest + ahead - (self._mask + 1 if ahead > self._mask >> 1 else 0)

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
        """The newest sequence seen, in the source's own counting but without its wraps; 0 before the first."""
        return 0 if self._newest is None else self._newest + self._shift

    def reception(self) -> ReceptionReport:
        """What a report says of this flow."""
        return self._reception.report(self.counters, max(self.highest_sequence, 0))

    def limit_buffer(self, longest: Micros) -> None:
        """The sender repeats nothing that is older than that."""
        self._sizer.limit(longest)

    @property
    def buffer_aim(self) -> Micros:
        """The recovery buffer that the one in force moves towards."""
        return self._sizer.target

    @property
    def missing_limit(self) -> int:
        """How many packets may be missed at once."""
        return self._settings.missing_limit

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
