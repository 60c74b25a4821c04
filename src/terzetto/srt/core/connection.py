"""One established connection: the sending and the receiving half, what they tell each other, and its end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from typing import Final

from terzetto.errors import MalformedPacket
from terzetto.primitives.datagrams import Buffer, Run
from terzetto.primitives.time import MICROS_PER_SECOND, Micros, micros, seconds
from terzetto.srt.core.counters import Counters
from terzetto.srt.core.legacy import LegacyExchange
from terzetto.srt.core.messages import Message
from terzetto.srt.core.negotiation import Agreement, RefusedError
from terzetto.srt.core.receiver import Receiver
from terzetto.srt.core.round_trip import RoundTrip
from terzetto.srt.core.sender import Sender
from terzetto.srt.events import (
    KeyAnnounced,
    KeyRotated,
    PacketsSkipped,
    PeerClosed,
    PeerLost,
    SecurityChanged,
    SrtEvent,
)
from terzetto.srt.options import SrtOptions
from terzetto.srt.wire.ack import Acknowledgement
from terzetto.srt.wire.control import ControlHeader, ControlType, ExtensionSubtype, encode_control
from terzetto.srt.wire.data import HEADER_SIZE
from terzetto.srt.wire.drop_request import DropRequest
from terzetto.srt.wire.handshake import CONCLUSION, Handshake
from terzetto.srt.wire.key_material import LARGEST_KEY_MATERIAL, KmState
from terzetto.srt.wire.nak import decode_losses
from terzetto.srt.wire.numbers import SEQUENCE_MASK

__all__ = ["Connection", "Signal", "State"]

_KEEPALIVE: Final = MICROS_PER_SECOND
_ACKACK_PERIOD: Final = 10_000

# Together a fifth of a second, which outlives most bursts of loss.
_GOODBYE_PAUSES: Final = (10_000, 30_000, 60_000, 100_000)

# After the last packet's time the peer's reader still has to wake up and read.
_PLAYOUT_GRACE: Final = 50_000


class State(Enum):
    """The life of a connection once it is established."""

    CONNECTED = "connected"
    CLOSING = "closing"
    """We want to go; what was sent is given time to arrive."""
    PEER_CLOSED = "peer closed"
    """The peer said goodbye; what came before is still delivered."""
    BROKEN = "broken"
    CLOSED = "closed"


class Signal(Enum):
    """What whoever waits on a connection wants to be woken for."""

    READABLE = "readable"
    WRITABLE = "writable"
    ENDED = "ended"
    """Nothing will ever be readable again."""


class Connection:
    """Driven by a `Multiplexer`, which finds it by socket id and address.

    ``transmits`` and ``happenings`` are what it wants sent and told; whoever gives an input takes them after
    it.
    """

    def __init__(self, agreement: Agreement, *, now: Micros) -> None:
        self.agreement = agreement
        self.state = State.CONNECTED
        self.options = agreement.options
        self.counters = Counters()
        self.round_trip = RoundTrip()
        self.sender = Sender(agreement, self.counters, self.round_trip)
        self.receiver = Receiver(agreement, self.counters, self.round_trip)
        self.transmits: list[bytes] = []
        self.happenings: list[SrtEvent | Signal] = []
        self.reason = ""
        """Why the connection broke."""
        self.peer_error = 0
        """The peer cannot use what we send, and this is its reason; 0 where it has not complained."""
        self.established_at = now
        self.before_run: Callable[[Micros], None] | None = None
        """What the group of this member does before anything is taken in."""
        self.last_data_at: Micros | None = None
        self._keys = agreement.keys
        self._legacy = LegacyExchange(agreement) if agreement.is_legacy else None
        self._last_heard_at = now
        self._last_sent_at = now
        self._last_ackack_at: Micros = 0
        self._last_ackack = -1
        self._is_readable_told = False
        self._is_blocked = False
        self._is_awaited = False
        self._room_wanted = 0
        self._goodbyes = 0
        self._goodbye_at: Micros | None = None
        self._close_by: Micros | None = None
        self._last_origin: Micros | None = None
        self._has_ended = False

    def handle_run(self, packets: Sequence[Buffer], *, now: Micros) -> list[Buffer]:
        """Take in datagrams of our peer; returns those that are addressed to another socket id."""
        strangers: list[Buffer] = []
        if self.before_run is not None:
            self.before_run(now)
        receiver = self.receiver
        is_open = self.state in (State.CONNECTED, State.CLOSING)
        before = self.counters.received
        index = 0
        while index < len(packets):
            if is_open:
                index = receiver.take_run(packets, index, now=now)
            if index < len(packets):
                if not self._handle_other(packets[index], now):
                    strangers.append(packets[index])
                index += 1
        if len(strangers) < len(packets):
            self._last_heard_at = now
        arrived = self.counters.received - before
        if arrived:
            self.last_data_at = now
        if arrived and self.state in (State.CONNECTED, State.CLOSING):
            self._report_arrivals(arrived, now)
        if receiver.overflowed:
            self._break("the peer is ahead of us by more than a whole buffer", now)
        self._finish(now)
        return strangers

    def handle_timeout(self, *, now: Micros) -> None:
        """Do what is due."""
        receiver = self.receiver
        if self.state in (State.CONNECTED, State.CLOSING):
            self._check_peer_is_alive(now)
        if self.state in (State.CONNECTED, State.CLOSING):
            if receiver.acks.due_at is not None and receiver.acks.due_at <= now:
                self._acknowledge(now)
            for report in receiver.reports.repeated(receiver.highest, now=now):
                self._send_nak(report, now)
            self.sender.drop_too_late(now)
            self.sender.repeat_due(now)
            self._introduce_ourselves(now)
            self.sender.pump(now)
            self._announce_key(now)
            if now - self._last_sent_at >= _KEEPALIVE:
                self._control(ControlType.KEEPALIVE, now=now)
        self._finish(now)

    def next_timeout(self) -> Micros | None:
        """When to call `handle_timeout`, or None for never."""
        due = self.receiver.next_timeout()
        if self.state in (State.CONNECTED, State.CLOSING):
            candidates = [self._last_sent_at + _KEEPALIVE, self._last_heard_at + self._idle_limit]
            sending = self.sender.next_timeout()
            if sending is not None:
                candidates.append(sending)
            if self._close_by is not None:
                candidates.append(self._closing_time())
            if self._keys.sending is not None and self._keys.sending.retry_at is not None:
                candidates.append(self._keys.sending.retry_at)
            if self.sender.is_held and self._legacy is not None:
                asking = self._legacy.next_timeout()
                if asking is not None:
                    candidates.append(asking)
            soonest = min(candidates)
            if due is None or soonest < due:
                due = soonest
        if not self._is_readable_told:
            playout = self.receiver.next_due()
            if playout is not None and (due is None or playout < due):
                due = playout
        return due

    def send(self, payloads: Sequence[Buffer], *, origin: Micros | None = None, now: Micros) -> int:
        """Send payloads of at most ``payload_limit`` bytes each; how many found room."""
        if not self._may_send(now):
            self.counters.dropped_by_sender += len(payloads)
            return len(payloads)
        taken = self.sender.send(payloads, origin=now if origin is None else origin, now=now)
        self._is_blocked = taken < len(payloads)
        if taken:
            self._took_in(taken, now)
        self._finish(now)
        return taken

    def _may_send(self, now: Micros) -> bool:
        """Whether what is handed in may travel; where that makes us the sender, the peer is told first."""
        legacy = self._legacy
        if legacy is not None and not legacy.has_begun:
            legacy.begin(now=now)
            self.sender.is_held = True
            self._introduce_ourselves(now)
        # Not enforced, and the peer has no passphrase: sending in the clear is not what anybody asked for.
        return self._keys.sending is not None or not self.options.passphrase

    def _introduce_ourselves(self, now: Micros) -> None:
        """Ask an old peer what it can do, and let go of what waited for its answer."""
        legacy = self._legacy
        if legacy is None or not self.sender.is_held:
            return
        question = legacy.question(retry_after=self.round_trip.smoothed * 3 // 2, now=now)
        if question is not None:
            self._control(ControlType.EXTENSION, subtype=ExtensionSubtype.HSREQ, body=question, now=now)
        self._announce_key(now)
        if not legacy.holds(now):
            self.sender.is_held = False
            self.sender.pump(now)

    def _took_in(self, packets: int, now: Micros) -> None:
        self._last_origin = now
        sending = self._keys.sending
        if sending is not None:
            buffer = self.sender.buffer
            if sending.count(packets, oldest=buffer.base, end=buffer.end):
                self.happenings.append(KeyRotated(sending=True))
        self._announce_key(now)

    def send_message(
        self, message: Buffer, *, in_order: bool, time_to_live: Micros | None, origin: Micros, now: Micros
    ) -> bool:
        """Send one message of any length; False when there is no room for all of it yet."""
        if not self._may_send(now):
            self.counters.dropped_by_sender += 1
            return True
        before = self.sender.buffer.end
        expires_at = None if time_to_live is None else now + time_to_live
        taken = self.sender.send_message(
            message, in_order=in_order, expires_at=expires_at, origin=origin, now=now
        )
        self._is_blocked = not taken
        # There must be room for all of it, so a bit of room is no reason to wake whoever waits.
        self._room_wanted = 0 if taken else self.sender.packets_of(message)
        if taken:
            self._took_in(self.sender.buffer.end - before, now)
        self._finish(now)
        return taken

    def report_error(self, code: int, *, now: Micros) -> None:
        """Tell the peer that what it sends is of no use to us."""
        if self.state in (State.CONNECTED, State.CLOSING):
            self._control(ControlType.PEERERROR, now=now, information=code)

    def take(self, *, now: Micros, limit: int) -> list[tuple[Micros, int, int, Buffer]]:
        """Up to *limit* packets that are due; see `Receiver.take`. Empty: wait for `Signal.READABLE`."""
        # First, so that what stands behind a gap whose time is up is part of this answer: announced after an
        # empty one, it would reach a reader that has not begun to wait.
        self._skip_due(now)
        taken = self.receiver.take(now, limit)
        self.was_read(now=now)
        return taken

    def take_messages(self, *, now: Micros, limit: int) -> list[Message]:
        """The same where messages may be longer than a packet."""
        taken = self.receiver.take_messages(now, limit)
        self.was_read(now=now)
        return taken

    def was_read(self, *, now: Micros) -> None:
        """Whoever reads has seen what is due now; `Signal.READABLE` tells of the next."""
        due = self.receiver.next_due()
        self._is_readable_told = due is not None and due <= now
        self._finish(now)

    def keep_alive(self, *, now: Micros) -> None:
        """Tell the peer at once that we are here, and send nothing else for now."""
        if self.state is State.CONNECTED:
            self._control(ControlType.KEEPALIVE, now=now)

    def fail(self, reason: str, *, now: Micros) -> None:
        """Give the connection up, as if the peer had fallen silent."""
        self._break(reason, now)
        self._finish(now)

    def has_room_for(self, count: int, *, now: Micros) -> bool:
        """Whether *count* packets would all be taken in now."""
        self.sender.drop_too_late(now)
        return self.sender.buffer.room >= count

    def wait_for_room(self) -> bool:
        """Whether there is room to send; where there is none, `Signal.WRITABLE` will tell."""
        self._is_blocked = self.sender.buffer.room <= 0
        return not self._is_blocked

    def wait_for_delivery(self) -> None:
        """`Signal.WRITABLE` will tell when everything was acknowledged."""
        self._is_awaited = True

    def configure(self, options: SrtOptions) -> None:
        """Take over options that may change while connected."""
        self.options = options
        self.sender.configure(options)
        self.receiver.configure(options)

    def close(self, *, now: Micros) -> None:
        """Say goodbye once what was sent had its time to arrive; see ``linger``."""
        if self.state is State.CONNECTED:
            self.state = State.CLOSING
            linger = self.options.linger
            if linger is None:
                patience = self.agreement.peer_delay + self.round_trip.patience + MICROS_PER_SECOND
                self._close_by = now + (patience if self._last_origin is not None else 0)
            else:
                self._close_by = now + micros(linger)
            self._finish(now)
        elif self.state in (State.PEER_CLOSED, State.BROKEN):
            self._enter_closed()

    def abort(self, *, now: Micros) -> None:
        """Say goodbye at once."""
        if self.state in (State.CONNECTED, State.CLOSING):
            self._control(ControlType.SHUTDOWN, now=now)
        self._enter_closed()

    @property
    def _idle_limit(self) -> Micros:
        return micros(self.options.peer_idle_timeout)

    def _stamp(self, now: Micros) -> int:
        return now - self.agreement.started_at

    def _control(
        self,
        kind: ControlType,
        *,
        now: Micros,
        information: int = 0,
        subtype: int = 0,
        body: bytes = bytes(4),
    ) -> None:
        self.transmits.append(
            encode_control(
                kind,
                timestamp=self._stamp(now),
                destination=self.agreement.peer_id,
                information=information,
                subtype=subtype,
                body=body,
            )
        )
        self._last_sent_at = now

    def _handle_other(self, packet: Buffer, now: Micros) -> bool:
        """A packet that is no data for an open connection; False when it is not for us at all."""
        if len(packet) < HEADER_SIZE:
            self.counters.count_malformed("packet is shorter than a header")
            return True
        if int.from_bytes(packet[12:16], "big") != self.agreement.local_id:
            return False
        if not packet[0] & 0x80:
            return True  # data after the end
        try:
            self._handle_control(ControlHeader.decode(packet), packet[HEADER_SIZE:], now)
        except MalformedPacket as exc:
            self.counters.count_malformed(exc.reason)
        return True

    def _handle_control(self, header: ControlHeader, body: Buffer, now: Micros) -> None:
        if self.state not in (State.CONNECTED, State.CLOSING):
            return
        kind = header.kind
        if kind == ControlType.ACK:
            self._handle_ack(header.information, Acknowledgement.decode(body), now)
        elif kind == ControlType.ACKACK:
            sample = self.receiver.acks.confirmed(header.information, now=now)
            if sample is not None:
                self.round_trip.measure(sample)
                self.receiver.clock.trace(header.timestamp, now=now, round_trip=sample)
        elif kind == ControlType.NAK:
            self._handle_nak(decode_losses(body), now)
        elif kind == ControlType.KEEPALIVE:
            self.receiver.clock.trace(header.timestamp, now=now, round_trip=None)
        elif kind == ControlType.DROPREQ:
            self.counters.drop_requests_received += 1
            if not self.receiver.dropped_by_sender(DropRequest.decode(body)):
                self.counters.count_malformed("drop request is out of range")
        elif kind == ControlType.SHUTDOWN:
            self.state = State.PEER_CLOSED
            self.happenings.append(PeerClosed(self.agreement.peer))
            self._no_more_arrives()
        elif kind == ControlType.EXTENSION:
            self._handle_extension(header, bytes(body), now)
        elif kind == ControlType.PEERERROR:
            self.peer_error = header.information
            self._unblock()
        elif kind == ControlType.HANDSHAKE:
            self._repeat_last_word(body, now)
        elif kind != ControlType.CONGESTION_WARNING:
            self.counters.count_malformed("control packet of an unknown type")

    def _repeat_last_word(self, body: Buffer, now: Micros) -> None:
        """A peer that we met and that still asks has not heard that we agree."""
        word = self.agreement.last_word
        if word and Handshake.decode(body).kind == CONCLUSION:
            self._control(ControlType.HANDSHAKE, now=now, body=word)

    def _handle_ack(self, number: int, ack: Acknowledgement, now: Micros) -> None:
        self.counters.acks_received += 1
        if not self.sender.acknowledged(ack, now=now):
            # One forged packet must not end a session, so this is dropped, where libsrt closes.
            self.counters.count_malformed("acknowledgement of what was never sent")
            return
        if ack.available_buffer is None and ack.round_trip is None and number == 0:
            return
        if now - self._last_ackack_at > _ACKACK_PERIOD or number == self._last_ackack:
            self._control(ControlType.ACKACK, now=now, information=number)
            self._last_ackack_at = now
            self._last_ackack = number
        if ack.round_trip is not None and ack.round_trip_variance is not None:
            self.round_trip.adopt(ack.round_trip, ack.round_trip_variance)

    def _handle_nak(self, losses: list[tuple[int, int]], now: Micros) -> None:
        self.counters.naks_received += 1
        gone, is_sound = self.sender.reported_lost(losses, now=now)
        if not is_sound:
            self.counters.count_malformed("loss report of what was never sent")
        for request in gone:
            self._send_drop_request(request, 0, now)

    def _send_drop_request(self, request: DropRequest, message: int, now: Micros) -> None:
        self.counters.drop_requests_sent += 1
        self._control(ControlType.DROPREQ, now=now, information=message, body=request.encode())

    def _handle_extension(self, header: ControlHeader, body: bytes, now: Micros) -> None:
        if self._legacy is not None:
            try:
                self._handle_legacy(self._legacy, header, body, now)
            except RefusedError as refusal:
                self._break(str(refusal), now)
        elif header.subtype == ExtensionSubtype.KMREQ:
            self._check_key_size(body)
            # What cannot be confirmed is not answered: no message may talk a secured connection down.
            if self._keys.refresh_received(body, highest=self.receiver.highest, now=now):
                self._control(ControlType.EXTENSION, subtype=ExtensionSubtype.KMRSP, body=body, now=now)
                self.happenings.append(KeyAnnounced(sending=False))
            else:
                self.counters.count_malformed("key material is not acceptable")
        elif header.subtype == ExtensionSubtype.KMRSP:
            sending = self._keys.sending
            if sending is None or not sending.confirmed(body):
                self.counters.count_malformed("key confirmation is unexpected")

    def _check_key_size(self, body: bytes) -> None:
        if len(body) > LARGEST_KEY_MATERIAL:
            raise MalformedPacket("key material is too long")

    def _handle_legacy(self, legacy: LegacyExchange, header: ControlHeader, body: bytes, now: Micros) -> None:
        """What a peer of before 1.3.0 tells of itself."""
        subtype = header.subtype
        if subtype == ExtensionSubtype.HSREQ:
            answer = legacy.answer(body, timestamp=header.timestamp, now=now)
            if answer is None:
                self.counters.count_malformed("handshake request makes no sense")
                return
            self._control(ControlType.EXTENSION, subtype=ExtensionSubtype.HSRSP, body=answer, now=now)
            self._adopt(legacy.agreement)
        elif subtype == ExtensionSubtype.HSRSP:
            if legacy.conclude(body, timestamp=header.timestamp, now=now):
                self._adopt(legacy.agreement)
                self._introduce_ourselves(now)
            else:
                self.counters.count_malformed("handshake response is unexpected")
        elif subtype == ExtensionSubtype.KMREQ:
            self._check_key_size(body)
            before = self._keys.receiving_state
            was_awaiting = self._keys.is_awaiting
            reply = self._keys.take_one_way(body, highest=self.receiver.highest, now=now)
            if reply is None:
                self.counters.count_malformed("key material is not acceptable")
                return
            self._control(ControlType.EXTENSION, subtype=ExtensionSubtype.KMRSP, body=reply, now=now)
            if was_awaiting and not self._keys.is_awaiting:
                self.receiver.unseal()
            self._judge_keys(before, self._keys.receiving_state, now)
        elif subtype == ExtensionSubtype.KMRSP:
            before = self._keys.sending_state
            state = self._keys.answered_one_way(body)
            if state is not None:
                self._judge_keys(before, state, now)
                self._introduce_ourselves(now)
            elif self._keys.sending is None or not self._keys.sending.confirmed(body):
                self.counters.count_malformed("key confirmation is unexpected")
        else:
            self.counters.count_malformed("extension is of an unknown type")

    def _adopt(self, agreement: Agreement) -> None:
        if agreement is not self.agreement:
            self.agreement = agreement
            self.sender.adopt(agreement)
            self.sender.configure(self.options)
            self.receiver.adopt(agreement)

    def _judge_keys(self, before: KmState, state: KmState, now: Micros) -> None:
        if state is not before:
            self.happenings.append(self.security())
        if self.options.enforced_encryption and state is not KmState.SECURED:
            self._break("the passphrases differ, or only one side has one", now)

    def _report_arrivals(self, arrived: int, now: Micros) -> None:
        receiver = self.receiver
        if receiver.acks.arrived(arrived, now=now) and receiver.acks.light(receiver.acknowledged):
            light = Acknowledgement(receiver.acknowledged & SEQUENCE_MASK)
            self._control(ControlType.ACK, now=now, body=light.encode())
            self.counters.acks_sent += 1
        report = receiver.reports.fresh(now=now)
        if report is not None:
            self._send_nak(report, now)

    def _send_nak(self, report: bytes, now: Micros) -> None:
        self._control(ControlType.NAK, now=now, body=report)
        self.counters.naks_sent += 1

    def _acknowledge(self, now: Micros) -> None:
        answer = self.receiver.acknowledge(now=now)
        if answer is not None:
            number, ack = answer
            self._control(ControlType.ACK, now=now, information=number, body=ack.encode())
            self.counters.acks_sent += 1

    def _announce_key(self, now: Micros) -> None:
        sending = self._keys.sending
        if sending is None or sending.retry_at is None:
            return
        message = sending.announcement(retry_after=self.round_trip.smoothed * 3 // 2, now=now)
        if message:
            self._control(ControlType.EXTENSION, subtype=ExtensionSubtype.KMREQ, body=message, now=now)
            self.happenings.append(KeyAnnounced(sending=True))

    def _check_peer_is_alive(self, now: Micros) -> None:
        silence = now - self._last_heard_at
        if silence >= self._idle_limit:
            self._break(f"the peer has been silent for {seconds(silence):.1f} s", now)

    def _break(self, reason: str, now: Micros) -> None:
        if self.state in (State.BROKEN, State.CLOSED):
            return
        self.state = State.BROKEN
        self.reason = reason
        self._control(ControlType.SHUTDOWN, now=now)
        self.happenings.append(PeerLost(self.agreement.peer, reason, seconds(now - self._last_heard_at)))
        self._no_more_arrives()

    def _no_more_arrives(self) -> None:
        self.receiver.end_repairs()
        self._unblock()

    def _unblock(self) -> None:
        self._is_blocked = False
        self.happenings.append(Signal.WRITABLE)

    def _enter_closed(self) -> None:
        if self.state is not State.CLOSED:
            self.sender.give_up()
        self.state = State.CLOSED
        self._unblock()

    def _say_goodbye(self, now: Micros) -> None:
        """Where the goodbye is the only end that a file has, it is said several times: nobody confirms it."""
        self._control(ControlType.SHUTDOWN, now=now)
        said = self._goodbyes
        self._goodbyes += 1
        if self.agreement.has_playout or self._goodbyes > len(_GOODBYE_PAUSES):
            self._enter_closed()
        else:
            self._goodbye_at = now + _GOODBYE_PAUSES[said]

    def _closing_time(self) -> Micros:
        """When the goodbye may leave: everything arrived and was played, or waiting is no use any more."""
        assert self._close_by is not None
        if self._goodbye_at is not None:
            return self._goodbye_at
        if not self.sender.is_drained:
            return self._close_by
        if self.options.linger is not None or self._last_origin is None:
            return 0
        played = self._last_origin + self.agreement.peer_delay + self.round_trip.variance + _PLAYOUT_GRACE
        return min(self._close_by, played)

    def _skip_due(self, now: Micros) -> None:
        if self.receiver.buffer.ahead:
            skipped = self.receiver.skip_due(now)
            if skipped:
                self.happenings.append(PacketsSkipped(skipped))

    def _finish(self, now: Micros) -> None:
        """After every input: deliver what is due, notice what became possible, take what is to be sent."""
        receiver = self.receiver
        self._skip_due(now)
        if not self._is_readable_told:
            due = receiver.next_due()
            if due is not None and due <= now:
                self._is_readable_told = True
                self.happenings.append(Signal.READABLE)
        sender = self.sender
        if sender.outgoing:
            self.transmits += sender.outgoing
            sender.outgoing = []
            self._last_sent_at = now
        for request, message in sender.take_refusals():
            self._send_drop_request(request, message, now)
        least = max(sender.buffer.capacity // 8 + 1, self._room_wanted)
        if self._is_blocked and sender.buffer.room >= least:
            self._unblock()
        if self._is_awaited and sender.is_drained:
            self._is_awaited = False
            self._unblock()
        if self._close_by is not None and self.state is State.CLOSING and now >= self._closing_time():
            self._say_goodbye(now)
        if not self._has_ended and receiver.is_empty and self.state not in (State.CONNECTED, State.CLOSING):
            self._has_ended = True
            self.happenings.append(Signal.ENDED)

    def poll_run(self) -> Run | None:
        """What to send, as one run to the peer."""
        if not self.transmits:
            return None
        run = Run(self.agreement.peer, self.transmits, local=self.agreement.local)
        self.transmits = []
        return run

    def security(self) -> SecurityChanged:
        """How both directions stand with their keys."""
        return SecurityChanged(self._keys.sending_state, self._keys.receiving_state)

    @property
    def is_secured(self) -> bool:
        """Whether what we send is encrypted and the peer can read it."""
        return self._keys.sending_state is KmState.SECURED
