"""The sending half of a connection: headers, encryption, pace, repeats, and giving up on what is too late."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from terzetto.primitives.datagrams import Buffer
from terzetto.primitives.time import MICROS_PER_SECOND, Micros, micros
from terzetto.srt.core.counters import Counters
from terzetto.srt.core.negotiation import Agreement
from terzetto.srt.core.pacing import Pacer, RetransmitAllowance
from terzetto.srt.core.packet_filter import FilterSender
from terzetto.srt.core.range_list import RangeList
from terzetto.srt.core.round_trip import RoundTrip
from terzetto.srt.core.send_buffer import SendBuffer
from terzetto.srt.options import PER_PACKET_OVERHEAD, SrtOptions
from terzetto.srt.wire.ack import Acknowledgement
from terzetto.srt.wire.data import DATA_HEADER, HEADER_SIZE, KEY_SHIFT, SOLO_FLAGS
from terzetto.srt.wire.drop_request import DropRequest
from terzetto.srt.wire.extensions import Capability
from terzetto.srt.wire.numbers import MESSAGE_NUMBER_MAX, SEQUENCE_MASK, unwrap_sequence

__all__ = ["Sender"]

# A sender keeps packets at least this long, whatever the latency, and a bit more for the timers of both ends.
_DROP_FLOOR: Final = MICROS_PER_SECOND
_DROP_GRACE: Final = 20_000

_REPEAT_GRACE: Final = 20_000
_REPEAT_TICK: Final = 10_000

# How long to wait for the bucket of repeats to fill again.
_ALLOWANCE_TICK: Final = 5_000


class Sender:
    """Takes payloads in, gives datagrams out (``outgoing``), and answers the peer's reports."""

    def __init__(self, agreement: Agreement, counters: Counters, round_trip: RoundTrip) -> None:
        options = agreement.options
        self.buffer = SendBuffer(first=agreement.initial_sequence, capacity=options.send_buffer_packets)
        self.pacer = Pacer(options, payload_limit=agreement.payload_limit)
        self.outgoing: list[bytes] = []
        self.flow_window = agreement.flow_window
        self._agreement = agreement
        self._counters = counters
        self._round_trip = round_trip
        self._keys = agreement.keys
        self._peer_id = agreement.peer_id
        self._filter: FilterSender | None = None
        if agreement.packet_filter is not None:
            self._filter = FilterSender(
                agreement.packet_filter,
                first=agreement.initial_sequence,
                size=agreement.protected_size,
                destination=agreement.peer_id,
            )
        self._message = 1
        self._losses = RangeList()
        self._repeated: dict[int, Micros] = {}
        self._allowance = RetransmitAllowance(options.max_retransmit_bandwidth)
        flags = agreement.peer_flags
        self._marks_repeats = bool(flags & Capability.RETRANSMIT_FLAG)
        self._originals_first = bool(flags & Capability.TOO_LATE_DROP)
        self._peer_reports = bool(flags & Capability.PERIODIC_NAK)
        self._spares_repeats = options.retransmit_algorithm == 1 and self._peer_reports
        self._progress_at: Micros = 0
        self._held_back_until: Micros = 0
        self._silent_rounds = 1
        self._busy_since: Micros | None = None
        self._drop_after: Micros | None = None
        self.configure(options)

    def configure(self, options: SrtOptions) -> None:
        """Take over options that may change while connected."""
        self.pacer.configure(options)
        self._allowance.rate = options.max_retransmit_bandwidth
        self._drop_after = None
        if self._originals_first and options.too_late_drop and options.send_drop_delay >= 0:
            delay = self._agreement.peer_delay + micros(options.send_drop_delay)
            self._drop_after = max(delay, _DROP_FLOOR) + _DROP_GRACE

    def send(self, payloads: Sequence[Buffer], *, origin: Micros, now: Micros) -> int:
        """Take in payloads that belong to the moment *origin*; how many found room."""
        self.drop_too_late(now)
        room = self.buffer.room
        if room < len(payloads):
            payloads = payloads[:room]
        if not payloads:
            return 0
        if self._busy_since is None:
            self._busy_since = now
        size = sum(map(len, payloads))
        self.buffer.extend(self._build(payloads, origin), origin=origin)
        self.pacer.took_in(len(payloads), size, now=now)
        self.pump(now)
        return len(payloads)

    def _build(self, payloads: Sequence[Buffer], origin: Micros) -> list[bytes]:
        pack = DATA_HEADER.pack
        stamp = (origin - self._agreement.started_at) & 0xFFFF_FFFF
        peer_id = self._peer_id
        position = self.buffer.end
        message = self._message
        sending = self._keys.sending
        packets: list[bytes] = []
        append = packets.append
        if sending is None:
            for payload in payloads:
                append(pack(position & SEQUENCE_MASK, SOLO_FLAGS | message, stamp, peer_id) + payload)
                position += 1
                message = message + 1 if message < MESSAGE_NUMBER_MAX else 1
        else:
            seal = sending.cipher.seal
            flags = SOLO_FLAGS | sending.active << KEY_SHIFT
            for payload in payloads:
                sequence = position & SEQUENCE_MASK
                header = pack(sequence, flags | message, stamp, peer_id)
                append(header + seal(sequence, header, payload))
                position += 1
                message = message + 1 if message < MESSAGE_NUMBER_MAX else 1
        self._message = message
        return packets

    def drop_too_late(self, now: Micros) -> None:
        """Give up on what the peer would no longer play."""
        oldest = self.buffer.oldest
        if self._drop_after is None or oldest is None or now - oldest <= self._drop_after:
            return
        self._give_up_below(self.buffer.handed_in_before(now - self._drop_after))

    def give_up(self) -> None:
        """The connection is over: what was not acknowledged counts as dropped."""
        self._give_up_below(self.buffer.end)

    def _give_up_below(self, position: int) -> None:
        counters = self._counters
        count = position - self.buffer.base
        counters.dropped_by_sender += count
        counters.bytes_dropped_by_sender += sum(
            len(packet) - HEADER_SIZE + PER_PACKET_OVERHEAD for packet in self.buffer.packets[:count]
        )
        self._release(position)

    def pump(self, now: Micros) -> None:
        """Move what may leave into ``outgoing``."""
        buffer = self.buffer
        pending = buffer.end - buffer.unsent
        if not pending and not self._losses:
            return
        allowance = self.pacer.allowance(now=now)
        if allowance and self._originals_first:
            allowance -= self._send_originals(min(pending, allowance), now)
            # libsrt leaves the slot empty when the window is closed. A repeat is what would open it.
            self._send_repeats(allowance, now)
        elif allowance:
            allowance -= self._send_repeats(allowance, now)
            self._send_originals(min(pending, allowance), now)

    def _send_originals(self, most: int, now: Micros) -> int:
        buffer = self.buffer
        most = min(most, self.flow_window - buffer.in_flight)
        if most <= 0:
            return 0
        first = buffer.unsent
        batch = buffer.next_originals(most)
        count = len(batch)
        size = sum(map(len, batch)) - HEADER_SIZE * count
        extra = 0
        if self._filter is None:
            self.outgoing += batch
        else:
            woven = self._filter.weave(batch, first)
            self.outgoing += woven
            extra = len(woven) - count
            self._counters.filter_sent += extra
        self._progress_at = now
        counters = self._counters
        counters.sent += count
        counters.sent_unique += count
        counters.bytes_sent += size + PER_PACKET_OVERHEAD * count
        counters.bytes_sent_unique += size + PER_PACKET_OVERHEAD * count
        # A parity is paced like any packet, and counts for nothing else.
        self.pacer.sent(count + extra, size + extra * self._agreement.protected_size, now=now)
        return count

    def _send_repeats(self, most: int, now: Micros) -> int:
        losses = self._losses
        round_trip = self._round_trip
        spare_after = now - (round_trip.smoothed - 4 * round_trip.variance)
        count = 0
        size = 0
        while losses and count < most:
            if not self._allowance.allows(
                self._agreement.payload_limit,
                round_trip=round_trip.smoothed,
                variance=round_trip.variance,
                now=now,
            ):
                self._held_back_until = now + _ALLOWANCE_TICK
                break
            position = losses.first[0]
            losses.remove(position)
            if position < self.buffer.base:
                continue
            if self._spares_repeats and self._repeated.get(position, -1) >= spare_after:
                continue  # it may still be on its way; the peer asks again if it is not
            packet = self.buffer.repeat(position, flagged=self._marks_repeats)
            self._repeated[position] = now
            self._allowance.spent(len(packet) - HEADER_SIZE)
            self.outgoing.append(packet)
            count += 1
            size += len(packet) - HEADER_SIZE
        if count:
            self._count_repeats(count, size, now)
        return count

    def _count_repeats(self, count: int, size: int, now: Micros) -> None:
        counters = self._counters
        counters.sent += count
        counters.retransmitted += count
        counters.bytes_sent += size + PER_PACKET_OVERHEAD * count
        counters.bytes_retransmitted += size + PER_PACKET_OVERHEAD * count
        self.pacer.sent(count, size, now=now)

    def acknowledged(self, ack: Acknowledgement, *, now: Micros) -> bool:
        """The peer acknowledges; False when it claims what was never sent."""
        buffer = self.buffer
        position = unwrap_sequence(ack.sequence, buffer.base)
        if position > buffer.unsent:
            return False
        if position > buffer.base:
            self._progress_at = now
            self._silent_rounds = 1
            released = self._release(position)
            if ack.available_buffer is None:
                self.flow_window = max(0, self.flow_window - released)
        if ack.available_buffer is not None:
            self.flow_window = min(ack.available_buffer, self._agreement.flow_window)
        if not buffer.packets and self._busy_since is not None:
            self._counters.sending_micros += now - self._busy_since
            self._busy_since = None
        self.pump(now)
        return True

    def reported_lost(self, losses: list[tuple[int, int]], *, now: Micros) -> tuple[list[DropRequest], bool]:
        """The peer misses packets: what to tell it is gone, and whether the report made sense."""
        gone: list[DropRequest] = []
        buffer = self.buffer
        for wire_first, wire_last in losses:
            first = unwrap_sequence(wire_first, buffer.base)
            last = first + ((wire_last - wire_first) & SEQUENCE_MASK)
            if last >= buffer.unsent:
                return gone, False
            if first < buffer.base:
                gone.append(DropRequest(wire_first, min(last, buffer.base - 1) & SEQUENCE_MASK))
                first = buffer.base
            if first <= last:
                self._counters.lost_reported_by_peer += last - first + 1
                self._losses.add(first, last)
        self.pump(now)
        return gone, True

    def repeat_due(self, now: Micros) -> None:
        """Nothing was acknowledged for a while: the end of what we sent may be lost with nothing behind it.

        A peer that reports losses sees a gap only when something follows it, so the last packet goes out
        again; one that does not report gets everything.
        """
        due = self.repeat_at()
        if due is None or now < due:
            return
        self._silent_rounds += 1
        buffer = self.buffer
        if self._peer_reports:
            self._losses.add(buffer.unsent - 1, buffer.unsent - 1)
            self._repeated.pop(buffer.unsent - 1, None)
        else:
            self._losses.add(buffer.base, buffer.unsent - 1)
        self.pump(now)

    def repeat_at(self) -> Micros | None:
        """When `repeat_due` has something to do."""
        if not self.buffer.in_flight:
            return None
        wait = self._silent_rounds * (self._round_trip.patience + _REPEAT_GRACE) + _REPEAT_TICK
        return self._progress_at + wait

    def next_timeout(self) -> Micros | None:
        """When to `pump` or to call `repeat_due`."""
        buffer = self.buffer
        due = self.repeat_at()
        has_originals = buffer.unsent < buffer.end and buffer.in_flight < self.flow_window
        if has_originals or (self._losses and self._allowance.rate != 0):
            paced = self.pacer.next_at
            if not has_originals:
                paced = max(paced, self._held_back_until)
            due = paced if due is None else min(due, paced)
        return due

    @property
    def is_drained(self) -> bool:
        """Whether everything handed in was acknowledged or given up."""
        return not self.buffer.packets

    def _release(self, position: int) -> int:
        released = self.buffer.release(position)
        self._losses.remove_below(position)
        if self._repeated:
            for old in [old for old in self._repeated if old < position]:
                del self._repeated[old]
        return released
