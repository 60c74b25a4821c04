"""The receiving half of a connection: order, repair, time of playout, and reports for the sender."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from terzetto.primitives.datagrams import Buffer
from terzetto.primitives.time import Micros
from terzetto.srt.core.acknowledging import AckKind, AckSchedule
from terzetto.srt.core.cipher import PacketCipher
from terzetto.srt.core.counters import Counters
from terzetto.srt.core.loss_reports import LossReports
from terzetto.srt.core.messages import Assembler, Message
from terzetto.srt.core.negotiation import Agreement
from terzetto.srt.core.packet_filter import FilterReceiver
from terzetto.srt.core.playout_clock import PlayoutClock
from terzetto.srt.core.range_list import RangeList
from terzetto.srt.core.rates import LinkCapacity, ReceiveRate
from terzetto.srt.core.receive_buffer import Entry, ReceiveBuffer
from terzetto.srt.core.reorder import ReorderTolerance
from terzetto.srt.core.round_trip import RoundTrip
from terzetto.srt.options import PER_PACKET_OVERHEAD, SrtOptions
from terzetto.srt.wire.ack import Acknowledgement
from terzetto.srt.wire.data import (
    DATA_HEADER,
    HEADER_SIZE,
    KEY_MASK,
    KEY_SHIFT,
    MESSAGE_NUMBER_MASK,
    RETRANSMITTED_FLAG,
    SOLO_FLAGS,
)
from terzetto.srt.wire.drop_request import DropRequest
from terzetto.srt.wire.numbers import SEQUENCE_MASK, unwrap_sequence

__all__ = ["Receiver"]

_CONTROL: Final = 0x8000_0000
_REPORT_PERIOD: Final = 50_000

# Packets per second that any path is taken for, and how much more than what comes it may carry.
_LEAST_CAPACITY: Final = 10_000
_CAPACITY_OF_RATE: Final = 8

# The quick path is for packets that are neither repeated nor ask for order. Live packets are solo as well; in a
# stream of bytes the boundaries mean nothing, and long messages always take the careful path.
_LIVE_MASK: Final = 0xFC00_0000
_STREAM_MASK: Final = 0x1C00_0000
_NEVER: Final = -1


class Receiver:
    """Takes runs of datagrams in; packets come out when they are due (`take`)."""

    def __init__(self, agreement: Agreement, counters: Counters, round_trip: RoundTrip) -> None:
        options = agreement.options
        first = agreement.first_received
        self.buffer = ReceiveBuffer(first=first, capacity=options.receive_buffer_packets)
        self.clock = PlayoutClock(
            base=agreement.playout_base, delay=agreement.receive_delay, is_tracing=options.drift_tracer
        )
        self.tolerance = ReorderTolerance(options.loss_max_ttl)
        self.acks = AckSchedule(first=first)
        self.capacity = LinkCapacity()
        self.rate = ReceiveRate()
        self.highest = first - 1
        self.losses = RangeList()
        self.reports = LossReports(agreement, self.losses, self.tolerance, counters, round_trip)
        self.overflowed = False
        """A packet came that lies beyond the whole of an empty buffer: there is no way back."""
        self._agreement = agreement
        self._counters = counters
        self._round_trip = round_trip
        self._keys = agreement.keys
        self._own_id = agreement.local_id
        self._filter: FilterReceiver | None = None
        if agreement.packet_filter is not None:
            self._filter = FilterReceiver(
                agreement.packet_filter,
                counters,
                first=first,
                longest=agreement.mss - PER_PACKET_OVERHEAD,
                own_id=agreement.local_id,
            )
        self._gone = RangeList()
        self._drops_late = options.too_late_drop and agreement.has_playout
        self._is_over = False
        self._largest_payload = agreement.mss - PER_PACKET_OVERHEAD
        self.assembler = Assembler(self.buffer) if agreement.has_long_messages else None
        self._quick_mask = _STREAM_MASK if agreement.is_stream else _LIVE_MASK
        self._quick_kind = SOLO_FLAGS & self._quick_mask
        self.was_cut_short = False
        """The stream ended and something before its end never came."""
        self.soonest: Micros | None = None
        """When the first packet is due that stands in line out of its order, in a balancing group."""
        self._is_member = False
        self._is_balanced = False
        self._newest_due: Micros = 0
        self._heard: int | None = None

    def join_group(self, first: int, clock: PlayoutClock) -> None:
        """Become one of several that receive the same packets; our first one is at *first*.

        From here on the group decides what is late, and `advance` tells us what the others have.
        """
        self._is_member = True
        self.clock = clock
        self.acks = AckSchedule(first=-1)
        self._heard = -1
        self.follow(first)

    def join_balancing(self, clock: PlayoutClock) -> None:
        """Become one of several that each receive a part: what has come stands in line at once, in any order.

        Gaps are between us and our sender, as on a connection by itself; the group puts the parts together.
        """
        self._is_balanced = True
        self.clock = clock

    def follow(self, first: int) -> None:
        """Nothing waits here, and the other members have everything below *first*: begin there."""
        # The peer may not have sent all that on this link, and would take it for an attack if we acknowledged
        # what it did not send. So we say how far we heard it, until it has caught up.
        if self._heard is None:
            self._heard = self.highest + 1
        self.buffer = ReceiveBuffer(first=first, capacity=self.buffer.capacity)
        self.losses.clear()
        self._gone.clear()
        self.reports.forget()
        self.highest = first - 1

    def advance(self, position: int) -> None:
        """The group has delivered, or given up, everything below *position*."""
        position = min(position, self.highest + 1)
        if position > self.buffer.frontier:
            self.losses.remove_below(position)
            self._gone.remove_below(position)
            self._advance(position)

    @property
    def acknowledged(self) -> int:
        """The position below which the sender may forget what it sent on this link; negative for none."""
        frontier = self.buffer.frontier
        return frontier if self._heard is None else min(frontier, self._heard)

    def first_waiting(self) -> tuple[int, Micros] | None:
        """The first packet that waits here, behind a gap or not, and when it is due."""
        line = self.buffer.line
        if line:
            return line[0][1], line[0][0]
        return self._gap()

    def adopt(self, agreement: Agreement) -> None:
        """The peer has told how it keeps time; what waits behind a gap waits for its repair from now on."""
        self._agreement = agreement
        self.reports.has_playout = agreement.has_playout
        self.clock.base = agreement.playout_base
        self.clock.delay = agreement.receive_delay
        self._drops_late = agreement.options.too_late_drop and agreement.has_playout
        if agreement.has_playout:
            ahead = self.buffer.ahead
            for position, entry in ahead.items():
                ahead[position] = entry._replace(play_at=entry.play_at + agreement.receive_delay)

    def unseal(self) -> None:
        """The key has come, or never will: open what was kept for it, in the order in which it will be read."""
        buffer = self.buffer
        line = buffer.line
        for play_at, position, flags, packet in list(line):
            line.popleft()
            payload = self._open_kept(packet, position)
            if payload is not None:
                line.append((play_at, position, flags, payload))
        for position, entry in sorted(buffer.ahead.items()):
            if entry.payload is not None:
                buffer.insert_ahead(entry._replace(payload=self._open_kept(entry.payload, position)))

    def _open_kept(self, packet: Buffer, position: int) -> Buffer | None:
        sequence, flags, _, _ = DATA_HEADER.unpack_from(packet)
        return self._open(packet, sequence, flags, position)

    def configure(self, options: SrtOptions) -> None:
        """Take over options that may change while connected."""
        self.clock.is_tracing = options.drift_tracer
        self.tolerance.most = options.loss_max_ttl
        self.tolerance.tolerance = min(self.tolerance.tolerance, options.loss_max_ttl)

    def take_run(self, packets: Sequence[Buffer], start: int, *, now: Micros) -> int:
        """Take in data packets from index *start*; the index of the first one that is not ours to take."""
        if self._filter is None:
            return self._take_packets(packets, start, now=now)
        end, steps = self._filter.screen(packets, start)
        for arrived, rebuilt in steps:
            self._take_packets(arrived, 0, now=now)
            for packet in rebuilt:
                self._take_rebuilt(packet, now)
        self.reports.screened(self.highest)
        return end

    def _take_packets(self, packets: Sequence[Buffer], start: int, *, now: Micros) -> int:
        """Take in packets that came from the network.

        The loop is the hot path of the whole protocol: what comes in order, whole and unrepeated, costs one
        unpacking, a few comparisons and an append.
        """
        unpack = DATA_HEADER.unpack_from
        buffer = self.buffer
        append = buffer.line.append
        own_id = self._own_id
        has_playout = self._agreement.has_playout
        clock = self.clock
        mask = self._quick_mask
        plain, under_key, cipher = self._quick_kinds()
        due_after = now + clock.delay + clock.drift
        reference = now - clock.base + 0x8000_0000
        frontier = buffer.frontier
        in_line = self._is_in_line
        room = buffer.limit - frontier
        index = start
        quick = 0
        size = 0
        for index in range(start, len(packets)):
            packet = packets[index]
            if len(packet) < HEADER_SIZE:
                break
            sequence, flags, timestamp, destination = unpack(packet)
            if sequence >= _CONTROL or destination != own_id:
                break
            kind = flags & mask
            if in_line and room > 0 and sequence == frontier & SEQUENCE_MASK:
                payload: Buffer | None = None
                if kind == plain:
                    if flags & MESSAGE_NUMBER_MASK:
                        payload = packet[HEADER_SIZE:]
                elif kind == under_key and cipher is not None:
                    payload = cipher.open(sequence, packet)
                if payload is not None:
                    play_at = (
                        due_after + ((timestamp - reference) & 0xFFFF_FFFF) - 0x8000_0000
                        if has_playout
                        else now
                    )
                    append((play_at, frontier, flags, payload))
                    frontier += 1
                    room -= 1
                    quick += 1
                    size += len(packet)
                    continue
            # Out of the ordinary: settle what the loop has, and let the careful path look at this one.
            self._settle_at(frontier)
            self._take_with_care(packet, sequence, flags, timestamp, now)
            frontier = buffer.frontier
            in_line = self._is_in_line
            room = buffer.limit - frontier
            plain, under_key, cipher = self._quick_kinds()
        else:
            index = len(packets)
        self._settle_at(frontier)
        if quick:
            if self._is_balanced:
                self._newest_due = max(self._newest_due, buffer.line[-1][0])
            self._count_arrivals(quick, size, now)
        return index

    def _settle_at(self, frontier: int) -> None:
        """Everything below *frontier* has come."""
        self.buffer.frontier = frontier
        if frontier > self.highest:
            self.highest = frontier - 1

    @property
    def _is_in_line(self) -> bool:
        """Whether the next packet in order is all there is to be said of it."""
        return (
            not self.losses and not self.buffer.ahead and not self.tolerance.is_active and self._heard is None
        )

    def _quick_kinds(self) -> tuple[int, int, PacketCipher | None]:
        """The flags of packets for the quick path, in the clear and under the key in use, and its cipher."""
        keys = self._keys
        kind = _NEVER if self.assembler is not None else self._quick_kind
        plain = _NEVER if keys.is_secured else kind
        if keys.receiving is None or kind == _NEVER:
            return plain, _NEVER, None
        return plain, kind | keys.receiving.active << KEY_SHIFT, keys.receiving.cipher

    def _count_arrivals(self, count: int, size: int, now: Micros) -> None:
        counters = self._counters
        total = size + count * (PER_PACKET_OVERHEAD - HEADER_SIZE)
        counters.received += count
        counters.received_unique += count
        counters.bytes_received += total
        counters.bytes_received_unique += total
        self.rate.arrived(count, total, now=now)
        self.capacity.arrived(self.highest, size // count, self._largest_payload, now=now)

    def _take_with_care(self, packet: Buffer, sequence: int, flags: int, timestamp: int, now: Micros) -> None:
        counters = self._counters
        if self._heard is not None:
            self._note_heard(sequence)
        if not flags & MESSAGE_NUMBER_MASK:
            counters.count_malformed("packet filter's packet without a filter")
            return
        buffer = self.buffer
        is_repeat = bool(flags & RETRANSMITTED_FLAG)
        position = unwrap_sequence(sequence, buffer.frontier)
        total = len(packet) + PER_PACKET_OVERHEAD - HEADER_SIZE
        counters.received += 1
        counters.bytes_received += total
        counters.retransmissions_received += is_repeat
        self.rate.arrived(1, total, now=now)
        play_at = self.clock.play_at(timestamp, now=now) if self._agreement.has_playout else now
        if position < buffer.frontier or position in buffer.ahead:
            self._count_useless(position, play_at, now)
            return
        if position >= buffer.limit:
            counters.no_room += 1
            self.overflowed = self.overflowed or not (buffer.line or buffer.ahead)
            return
        counters.received_unique += 1
        counters.bytes_received_unique += total
        self._keep(packet, sequence, flags, position, play_at)

    def _take_rebuilt(self, packet: bytes, now: Micros) -> None:
        """A packet that the filter made: it counts for nothing that arrived."""
        sequence, flags, timestamp, _ = DATA_HEADER.unpack_from(packet)
        buffer = self.buffer
        position = unwrap_sequence(sequence, buffer.frontier)
        if buffer.frontier <= position < buffer.limit and position not in buffer.ahead:
            play_at = self.clock.play_at(timestamp, now=now) if self._agreement.has_playout else now
            if position > self.highest:
                # Its own parity told us that it was sent: lost and recovered at once.
                self._counters.lost += 1
                self._counters.recovered += 1
            self._keep(packet, sequence, flags, position, play_at)

    def _keep(self, packet: Buffer, sequence: int, flags: int, position: int, play_at: Micros) -> None:
        buffer = self.buffer
        payload = self._open(packet, sequence, flags, position)
        is_newest = position > self.highest
        self._note_order(position, bool(flags & RETRANSMITTED_FLAG))
        if self._is_balanced:
            if payload is not None:
                buffer.line.append((play_at, position, flags, payload))
                self.soonest = play_at if self.soonest is None else min(self.soonest, play_at)
                payload = None  # its place is taken, and no gap before it holds it back
            if is_newest:
                # What another member handed over is older than what stands before it, and no measure of time.
                play_at = self._newest_due = max(play_at, self._newest_due)
        buffer.insert_ahead(Entry(play_at, position, flags, payload))
        if self.assembler is not None and payload is not None:
            self.assembler.arrived(position, flags)
        if position == buffer.frontier:
            self._advance(position)

    def _open(self, packet: Buffer, sequence: int, flags: int, position: int) -> Buffer | None:
        slot = (flags & KEY_MASK) >> KEY_SHIFT
        keys = self._keys
        payload: Buffer | None = None
        if slot == 0:
            if not keys.is_secured:
                return packet[HEADER_SIZE:]
        elif keys.is_awaiting:
            # A peer of before 1.3.0 tells its key once something was acknowledged: kept until then, see `unseal`.
            return packet
        elif keys.receiving is not None:
            cipher = keys.receiving.cipher_at(slot, position)
            if cipher is not None:
                payload = cipher.open(sequence, packet)
        if payload is None:
            self._counters.undecrypted += 1
            self._counters.bytes_undecrypted += len(packet) - HEADER_SIZE
        return payload

    def _note_order(self, position: int, is_repeat: bool) -> None:
        counters = self._counters
        if position > self.highest + 1:
            first, last = self.highest + 1, position - 1
            counters.lost += self.losses.add(first, last)
            self.reports.opened(first, last)
        elif position <= self.highest:
            if self.losses.remove(position) or self._gone.remove(position):
                counters.recovered += 1
            if not is_repeat:
                distance = self.highest - position
                counters.reorder_distance = max(counters.reorder_distance, distance)
                self.tolerance.came_late(position, distance)
        self.reports.arrived(in_order=position > self.highest)
        self.highest = max(self.highest, position)

    def _note_heard(self, sequence: int) -> None:
        position = unwrap_sequence(sequence, self.buffer.frontier)
        if position >= self.buffer.limit:
            self.follow(position)  # the others fell silent long ago: begin where this member is
        self._heard = max(self._heard or 0, position + 1)
        if position >= self.buffer.frontier:
            self._heard = None

    def _count_useless(self, position: int, play_at: Micros, now: Micros) -> None:
        counters = self._counters
        if now > play_at and self._agreement.has_playout:
            counters.belated += 1
            counters.belated_time += now - play_at
        else:
            counters.duplicates += 1

    def _advance(self, frontier: int) -> None:
        buffer = self.buffer
        while True:
            buffer.advance(frontier)
            frontier = buffer.frontier
            if not self._gone or self._gone.first[0] > frontier:
                return
            frontier = max(frontier, self._gone.first[1] + 1)
            self._counters.skipped += self._gone.remove_below(frontier)
            self.highest = max(self.highest, frontier - 1)

    def dropped_by_sender(self, request: DropRequest) -> bool:
        """The sender gave a range up: do not ask or wait for it. False when the range is absurd."""
        buffer = self.buffer
        first = unwrap_sequence(request.first, buffer.frontier)
        last = first + ((request.last - request.first) & SEQUENCE_MASK)
        if last < buffer.frontier:
            return True
        if last >= buffer.limit or first > self.highest + 1:
            return False
        first = max(first, buffer.frontier)
        if last > self.highest:
            self._counters.lost += last - self.highest
            self.losses.add(self.highest + 1, last)
            self.highest = last
        for low, high in self.losses.within(first, last):
            self._gone.add(low, high)
        self.losses.remove_range(first, last)
        self._advance(buffer.frontier)
        return True

    def skip_due(self, now: Micros) -> int:
        """Give up on gaps that hold back what is due; how many packets were given up."""
        if not self._drops_late or self._is_member:
            return 0
        skipped = 0
        while (gap := self._gap()) is not None and gap[1] <= now:
            position = gap[0]
            skipped += position - self.buffer.frontier
            self.losses.remove_below(position)
            self._gone.remove_below(position)
            self._advance(position)
        self._counters.skipped += skipped
        return skipped

    def end_repairs(self) -> None:
        """Nothing more comes: gaps are given up when what follows is due, and nothing is acknowledged."""
        self._is_over = True
        if self._keys.is_awaiting:
            self.buffer.line.clear()  # nobody will tell the key any more
            self.buffer.ahead.clear()
        if not self._agreement.is_stream:
            self._drops_late = True
        elif self.buffer.ahead:
            # What stands behind a hole in a stream of bytes is of no use to anybody.
            self.buffer.ahead.clear()
            self.was_cut_short = True

    def _gap(self) -> tuple[int, Micros] | None:
        """What stands behind the first gap, and when it is due."""
        ahead = self.buffer.ahead
        if not ahead:
            return None
        position = self.buffer.frontier
        while position not in ahead:
            end = self.losses.end_at(position)
            if end is None:
                end = self._gone.end_at(position)
            if end is None:
                return None
            position = end + 1
        return position, ahead[position].play_at

    def next_due(self) -> Micros | None:
        """When the first thing to be read is due; None when nothing is there, or not yet whole."""
        if self._keys.is_awaiting:
            return None
        if self.assembler is not None:
            return 0 if self.assembler.is_ready else None
        due = self.buffer.next_due()
        if self.soonest is not None and due is not None:
            return min(due, self.soonest)
        if self._is_member and self.buffer.ahead:
            # In a group it may be time to go on behind a gap, which the group decides.
            gap = self._gap()
            if gap is not None and (due is None or gap[1] < due):
                due = gap[1]
        return due

    def take_messages(self, now: Micros, limit: int) -> list[Message]:
        """Up to *limit* whole messages."""
        assert self.assembler is not None
        taken = self.assembler.take(limit)
        if taken:
            self.acks.reopened(now=now)
        return taken

    def take(self, now: Micros, limit: int) -> list[tuple[Micros, int, int, Buffer]]:
        """Up to *limit* packets that are due: due time, position, timestamp, payload."""
        taken = [] if self._keys.is_awaiting else self.buffer.take(now, limit)
        if taken:
            self.acks.reopened(now=now)
        return taken

    def acknowledge(self, *, now: Micros) -> tuple[int, Acknowledgement] | None:
        """The acknowledgement timer fired: number and content of what to send, if anything."""
        acks = self.acks
        position = self.acknowledged
        if position < 0:
            acks.due_at = None
            return None
        room = self.buffer.room
        round_trip = self._round_trip
        # A sender without a clock of its own steers by what we report, also while a gap holds the position back.
        patience = round_trip.patience
        if not self._agreement.has_playout:
            patience = min(patience, _REPORT_PERIOD)
        kind = acks.decide(position, room, patience=patience, is_measured=round_trip.is_own, now=now)
        if kind is AckKind.NONE:
            return None
        number = acks.sent(kind, position, now=now)
        figures = (position & SEQUENCE_MASK, self._round_trip.smoothed, self._round_trip.variance, room)
        if kind is AckKind.SMALL:
            return number, Acknowledgement(*figures)
        packets, size = self.rate.per_second(now=now)
        # What comes has fitted through: a pair that two reads took apart shows less than that.
        capacity = max(self.capacity.estimate, packets)
        if not self._agreement.has_playout:
            # libsrt's FileCC speeds up no further than this, and reading in batches shows no pair of packets apart.
            capacity = max(capacity, _LEAST_CAPACITY, _CAPACITY_OF_RATE * packets)
        return number, Acknowledgement(*figures, packets, capacity, size)

    def next_timeout(self) -> Micros | None:
        """When an acknowledgement, a repeated report or the end of waiting for a gap is due."""
        due = None
        if not self._is_over:
            due = self.acks.due_at
            report_at = self.reports.due_at
            if report_at is not None and (due is None or report_at < due):
                due = report_at
        if self._drops_late and self.buffer.ahead and not self._is_member:
            gap = self._gap()
            if gap is not None and (due is None or gap[1] < due):
                due = gap[1]
        return due

    @property
    def missing(self) -> int:
        """Packets that are being waited for."""
        return self.losses.count + self._gone.count

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits to be delivered."""
        if self.assembler is not None:
            return not self.assembler.is_ready
        return not self.buffer.line and not self.buffer.ahead
