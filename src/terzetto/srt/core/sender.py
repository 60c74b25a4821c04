"""The sending half of a connection: headers, encryption, pace, repeats, and giving up on what is too late."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from terzetto.primitives.datagrams import Buffer
from terzetto.primitives.time import MICROS_PER_SECOND, Micros, micros
from terzetto.srt.congestion import AckNotice, CongestionController, LossNotice, PathLimits
from terzetto.srt.core.counters import Counters
from terzetto.srt.core.expiry import Expiries
from terzetto.srt.core.negotiation import Agreement
from terzetto.srt.core.pacing import LiveController, Pacer, RetransmitAllowance
from terzetto.srt.core.packet_filter import FilterSender
from terzetto.srt.core.probing_congestion import ProbingController
from terzetto.srt.core.range_list import RangeList
from terzetto.srt.core.round_trip import RoundTrip
from terzetto.srt.core.send_buffer import SendBuffer
from terzetto.srt.options import PER_PACKET_OVERHEAD, SrtOptions
from terzetto.srt.wire.ack import Acknowledgement
from terzetto.srt.wire.data import (
    BOUNDARY_FIRST,
    BOUNDARY_LAST,
    DATA_HEADER,
    HEADER_SIZE,
    IN_ORDER_FLAG,
    KEY_SHIFT,
    SOLO_FLAGS,
)
from terzetto.srt.wire.drop_request import DropRequest
from terzetto.srt.wire.extensions import Capability
from terzetto.srt.wire.numbers import MESSAGE_NUMBER_MAX, SEQUENCE_MASK, unwrap_sequence

__all__ = ["Sender"]

# A sender keeps packets at least this long, whatever the latency, and a bit more for the timers of both ends.
_DROP_FLOOR: Final = MICROS_PER_SECOND
_DROP_GRACE: Final = 20_000

_REPEAT_GRACE: Final = 20_000
_REPEAT_TICK: Final = 10_000

# Packets from the first unacknowledged one on that go out again when a report may have been lost.
_SUSPECTS: Final = 64

# How long to wait for the bucket of repeats to fill again.
_ALLOWANCE_TICK: Final = 5_000


def make_controller(agreement: Agreement) -> CongestionController:
    """What paces a connection: the application's own controller, or the one that both sides named."""
    options = agreement.options
    if options.controller is None and options.congestion == "live":
        return LiveController(options, payload_limit=agreement.payload_limit)
    limits = PathLimits(
        mss=agreement.mss,
        payload_limit=agreement.payload_limit,
        largest_window=agreement.flow_window,
        first_position=agreement.initial_sequence,
        max_bandwidth=options.max_bandwidth,
    )
    return (options.controller or ProbingController)(limits)


class Sender:
    """Takes payloads in, gives datagrams out (``outgoing``), and answers the peer's reports."""

    def __init__(self, agreement: Agreement, counters: Counters, round_trip: RoundTrip) -> None:
        options = agreement.options
        self.buffer = SendBuffer(first=agreement.initial_sequence, capacity=options.send_buffer_packets)
        self.controller = make_controller(agreement)
        self.pacer = Pacer(self.controller)
        self.outgoing: list[bytes] = []
        self.flow_window = agreement.flow_window
        self.acknowledged_to = agreement.initial_sequence
        """The peer has everything below this position, or gave it up."""
        self.path_capacity = 0
        """Packets per second that our path to the peer carries, as it tells us; 0 while it has not."""
        self.news_at: Micros = 0
        """When the peer last told something that only our packets can have told it."""
        self._reported_to = agreement.initial_sequence
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
        self._expiries = Expiries()
        self._losses = RangeList()
        self._repeated: dict[int, Micros] = {}
        self._allowance = RetransmitAllowance(options.max_retransmit_bandwidth)
        self.is_held = False
        """Whether nothing may leave yet."""
        self._progress_at: Micros = 0
        self._held_back_until: Micros = 0
        self._silent_rounds = 1
        self._busy_since: Micros | None = None
        self._drop_after: Micros | None = None
        self.adopt(agreement)

    def adopt(self, agreement: Agreement) -> None:
        """What the peer can do is known, or known better than it was."""
        self._agreement = agreement
        options = agreement.options
        flags = agreement.peer_flags
        self._marks_repeats = bool(flags & Capability.RETRANSMIT_FLAG)
        self._originals_first = bool(flags & Capability.TOO_LATE_DROP)
        self._peer_reports = bool(flags & Capability.PERIODIC_NAK)
        self._spares_repeats = options.retransmit_algorithm == 1 and self._peer_reports
        self.configure(options)

    def configure(self, options: SrtOptions) -> None:
        """Take over options that may change while connected."""
        if isinstance(self.controller, LiveController):
            self.controller.configure(options)
        else:
            self.controller.limit(options.max_bandwidth)
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
        self.controller.on_input(len(payloads), size, now=now)
        self.pump(now)
        return len(payloads)

    def send_message(
        self, message: Buffer, *, in_order: bool, expires_at: Micros | None, origin: Micros, now: Micros
    ) -> bool:
        """Take in one message of any length; False when there is no room for all of it."""
        size = self._agreement.payload_limit
        message = memoryview(message)
        pieces = [message[start : start + size] for start in range(0, len(message), size)]
        buffer = self.buffer
        if buffer.room < len(pieces):
            return False
        if self._busy_since is None:
            self._busy_since = now
        first = buffer.end
        number = self._message
        buffer.extend(self._build_message(pieces, origin, in_order=in_order), origin=origin)
        if expires_at is not None:
            self._expiries.add(first, buffer.end - 1, number, expires_at)
        self.controller.on_input(len(pieces), len(message), now=now)
        self.pump(now)
        return True

    def align(self, position: int, message: int) -> None:
        """Go on at *position* with *message*, as the other members of a group do. Never backwards.

        What is left of before is given up: on this link nobody waits for it any more.
        """
        self._give_up_below(self.buffer.end)
        self.buffer.restart(position)
        self.acknowledged_to = self._reported_to = position
        self._losses.clear()
        self._message = message

    def number_from(self, message: int) -> None:
        """The next packet has this message number, and those behind it count on: in a balancing group."""
        self._message = message

    def make_room(self, count: int) -> None:
        """Give the oldest up for *count* new packets, where the other members of a group go on without us."""
        missing = count - self.buffer.room
        if missing > 0:
            self._give_up_below(self.buffer.base + missing)

    def _build(self, payloads: Sequence[Buffer], origin: Micros) -> list[bytes]:
        pack = DATA_HEADER.pack
        stamp = (origin - self._agreement.started_at) & 0xFFFF_FFFF
        peer_id = self._peer_id
        position = self.buffer.end
        message = self._message
        sending = self._keys.sending
        flags = SOLO_FLAGS if sending is None else SOLO_FLAGS | sending.active << KEY_SHIFT
        headers: list[bytes] = []
        append = headers.append
        for at in range(position, position + len(payloads)):
            append(pack(at & SEQUENCE_MASK, flags | message, stamp, peer_id))
            message = message + 1 if message < MESSAGE_NUMBER_MAX else 1
        self._message = message
        if sending is None:
            return [header + payload for header, payload in zip(headers, payloads, strict=True)]
        return sending.cipher.seal_run(position, headers, payloads)

    def packets_of(self, message: Buffer) -> int:
        """How many packets a message takes."""
        return -(-len(message) // self._agreement.payload_limit)

    def _build_message(self, pieces: Sequence[Buffer], origin: Micros, *, in_order: bool) -> list[bytes]:
        stamp = (origin - self._agreement.started_at) & 0xFFFF_FFFF
        sending = self._keys.sending
        flags = self._message | (IN_ORDER_FLAG if in_order else 0)
        if sending is not None:
            flags |= sending.active << KEY_SHIFT
        last = len(pieces) - 1
        packets: list[bytes] = []
        for index, piece in enumerate(pieces):
            boundary = (BOUNDARY_FIRST if index == 0 else 0) | (BOUNDARY_LAST if index == last else 0)
            sequence = (self.buffer.end + index) & SEQUENCE_MASK
            header = DATA_HEADER.pack(sequence, flags | boundary << 30, stamp, self._peer_id)
            packets.append(
                header + (piece if sending is None else sending.cipher.seal(sequence, header, piece))
            )
        self._message = self._message + 1 if self._message < MESSAGE_NUMBER_MAX else 1
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
        if (not pending and not self._losses) or self.is_held:
            return
        allowance = self.pacer.allowance(now=now)
        if allowance and self._originals_first:
            allowance -= self._send_originals(min(pending, allowance), now)
            # libsrt leaves the slot empty when the window is closed. A repeat is what would open it.
            self._send_repeats(allowance, now)
        elif allowance:
            allowance -= self._send_repeats(allowance, now)
            self._send_originals(min(pending, allowance), now)
        has_originals = buffer.unsent < buffer.end and buffer.in_flight < self._window
        self.pacer.is_limiting = has_originals or bool(self._losses)

    def _send_originals(self, most: int, now: Micros) -> int:
        buffer = self.buffer
        if self._expiries:
            most = min(most, self._expiries.clear_way(buffer, most, now))
        most = min(most, self._window - buffer.in_flight)
        if most <= 0:
            return 0
        first = buffer.unsent
        if self._peer_reports or not buffer.in_flight:
            # What follows shows a gap to the peer. One that asks for it once alone may have asked in vain, so there
            # only an acknowledgement counts, or a sender that never falls silent would never repeat by itself.
            self._progress_at = now
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
        # libsrt subtracts the variance, so it repeats what may still be on its way: right for who cannot wait.
        hurry = 4 * round_trip.variance if self._agreement.has_playout else 0
        spare_after = now - (round_trip.smoothed - hurry)
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
            if self._expiries and self._expiries.is_expired(position, now):
                losses.remove_range(*self._expiries.refuse(position))
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
        released = position - buffer.base
        if released > 0:
            self._progress_at = now
            self._silent_rounds = 1
            self.acknowledged_to = position
            self.news_at = now
            self._release(position)
            if ack.available_buffer is None:
                self.flow_window = max(0, self.flow_window - released)
        if ack.available_buffer is not None:
            self.flow_window = min(ack.available_buffer, self._agreement.flow_window)
        if ack.link_capacity:
            known = self.path_capacity
            self.path_capacity = (7 * known + ack.link_capacity) // 8 if known else ack.link_capacity
        self._tell_controller(ack, max(0, released), now)
        if not buffer.packets and self._busy_since is not None:
            self._counters.sending_micros += now - self._busy_since
            self._busy_since = None
        self.pump(now)
        return True

    def reported_lost(self, losses: list[tuple[int, int]], *, now: Micros) -> tuple[list[DropRequest], bool]:
        """The peer misses packets: what to tell it is gone, and whether the report made sense."""
        gone: list[DropRequest] = []
        buffer = self.buffer
        count = 0
        lowest = buffer.unsent
        for wire_first, wire_last in losses:
            first = unwrap_sequence(wire_first, buffer.base)
            last = first + ((wire_last - wire_first) & SEQUENCE_MASK)
            if last >= buffer.unsent:
                return gone, False
            if last > self._reported_to:
                self._reported_to = last
                self.news_at = now
            if first < buffer.base:
                gone.append(DropRequest(wire_first, min(last, buffer.base - 1) & SEQUENCE_MASK))
                first = buffer.base
            if first <= last:
                count += last - first + 1
                lowest = min(lowest, first)
                self._losses.add(first, last)
        if count:
            self._counters.lost_reported_by_peer += count
            self.controller.on_loss(
                LossNotice(
                    first=lowest,
                    reported=count,
                    lost=self._losses.count,
                    highest_sent=buffer.unsent - 1,
                    in_flight=buffer.in_flight,
                    round_trip=self._round_trip.smoothed,
                    now=now,
                )
            )
        self.pump(now)
        return gone, True

    def _tell_controller(self, ack: Acknowledgement, released: int, now: Micros) -> None:
        self.controller.on_ack(
            AckNotice(
                position=self.buffer.base,
                acknowledged=released,
                in_flight=self.buffer.in_flight,
                round_trip=self._round_trip.smoothed if self._round_trip.is_measured else 0,
                receive_rate=ack.receive_packet_rate,
                capacity=ack.link_capacity,
                lost=self._losses.count,
                now=now,
            )
        )

    def take_refusals(self) -> list[tuple[DropRequest, int]]:
        """Messages, with their numbers, that the peer need not wait for: their time was over."""
        return self._expiries.take_refusals()

    @property
    def _window(self) -> int:
        window = self.controller.window
        return self.flow_window if window >= self.flow_window else int(window)

    def repeat_due(self, now: Micros) -> None:
        """Nothing was acknowledged for a while: the end of what we sent may be lost with nothing behind it.

        A peer that reports losses sees a gap only when something follows it, so the last packet goes out
        again; when that alone does not help, the first does by turns, for a peer whose packet filter waits for
        more before it asks. One that does not report gets everything.
        """
        due = self.repeat_at()
        if due is None or now < due:
            return
        self._silent_rounds += 1
        self.controller.on_timeout(now=now)
        buffer = self.buffer
        if self._peer_reports:
            position = buffer.base if self._silent_rounds % 2 else buffer.unsent - 1
            self._losses.add(position, position)
            self._repeated.pop(position, None)
        elif self._agreement.has_playout:
            self._losses.add(buffer.base, buffer.unsent - 1)
        else:
            self._suspect(now)
        self.pump(now)

    def _suspect(self, now: Micros) -> None:
        """What a peer that asks once may miss: the first packet, all that were repeated, and the very last.

        libsrt repeats the whole window, which may be thousands of packets that have arrived.
        """
        buffer = self.buffer
        self._losses.add(buffer.base, min(buffer.base + _SUSPECTS, buffer.unsent) - 1)
        for position, repeated_at in list(self._repeated.items()):
            if now - repeated_at > self._round_trip.patience:
                self._losses.add(position, position)
        self._losses.add(buffer.unsent - 1, buffer.unsent - 1)

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
        has_originals = buffer.unsent < buffer.end and buffer.in_flight < self._window
        if (has_originals or (self._losses and self._allowance.rate != 0)) and not self.is_held:
            paced = self.pacer.next_at
            if not has_originals:
                paced = max(paced, self._held_back_until)
            due = paced if due is None else min(due, paced)
        return due

    @property
    def waiting_since(self) -> Micros | None:
        """Since when something waits to be acknowledged."""
        return self._busy_since

    @property
    def is_drained(self) -> bool:
        """Whether everything handed in was acknowledged or given up."""
        return not self.buffer.packets

    def _release(self, position: int) -> int:
        released = self.buffer.release(position)
        self._losses.remove_below(position)
        if self._expiries:
            self._expiries.release(position)
        if self._repeated:
            for old in [old for old in self._repeated if old < position]:
                del self._repeated[old]
        return released
