"""An established SRT connection as a trio stream."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any, Final, NamedTuple, TypeVar

import trio

from terzetto.driver.clock import current_micros
from terzetto.driver.delivery import EventHub
from terzetto.driver.session import Session
from terzetto.errors import CallerError, PeerError, PeerTimedOut, UnsupportedOperation
from terzetto.primitives.datagrams import Address, Buffer
from terzetto.primitives.time import Micros, micros, seconds
from terzetto.srt.core.connection import Connection, Signal, State
from terzetto.srt.core.messages import Message
from terzetto.srt.core.multiplexer import Multiplexer, Notice
from terzetto.srt.events import SrtEvent
from terzetto.srt.log import log_event
from terzetto.srt.options import SrtOptions, with_knobs
from terzetto.srt.snapshots import snapshot
from terzetto.srt.statistics import SrtStatistics
from terzetto.srt.wire.key_material import CipherKind, KmState
from terzetto.srt.wire.numbers import SEQUENCE_MASK
from terzetto.srt.wire.stream_id import StreamName, parse_stream_id

__all__ = ["SrtMessage", "SrtPacket", "SrtStream"]

T = TypeVar("T")

# Enough to empty a full tick of a fast stream at a time, and a bound on what one read returns.
_READ_PACKETS: Final = 1024


class SrtPacket(NamedTuple):
    """One payload, and what is known of it."""

    payload: Buffer
    sequence: int
    """The 31-bit number on the wire."""
    source_time: float
    """When it was sent, on trio's clock here, as far as the handshake tells."""
    lost_before: int
    """Packets that were given up between the one before and this one."""


class SrtMessage(NamedTuple):
    """One message, whole, and what is known of it."""

    payload: Buffer
    number: int | None
    """The 26-bit number on the wire; None in live mode, where nobody counts messages apart from packets."""
    in_order: bool
    """Whether its sender asked for it to wait for the messages before it."""
    sequence: int
    """The 31-bit number of its first packet."""
    source_time: float
    """When it was sent, on trio's clock here, as far as the handshake tells."""


class SrtStream(trio.abc.Stream):
    """Sends and receives with one peer: live media, messages, or a stream of bytes.

    Bytes given to `send_all` are cut into payloads; `send_packet` keeps a payload as it is. Live media is
    delivered in order at its time: `receive_some` joins what is due, `receive_packet` keeps payloads apart.
    With ``transmission_type="file"`` everything is delivered, in order and as soon as it comes; with
    ``message_api=True`` besides, `send_message` and `receive_message` keep messages of any length apart.
    """

    def __init__(
        self,
        connection: Connection,
        core: Multiplexer,
        session: Session[Notice],
        local_address: Address,
        forget: Callable[[SrtStream], None],
    ) -> None:
        self._connection = connection
        self._core = core
        self._session = session
        self._local = local_address
        self._forget = forget
        self._events: EventHub[SrtEvent] = EventHub()
        self._readable = trio.Event()
        self._writable = trio.Event()
        self._ended = trio.Event()
        self._is_closed = False
        self._is_sending = False
        self._is_receiving = False
        self._consume: Callable[[list[Buffer], float], None] | None = None
        self._rest: Buffer = b""
        self._waiting: list[SrtPacket] = []
        self._messages: list[Message] = []
        self._next_position = connection.agreement.first_received
        agreement = connection.agreement
        self._payload_size = agreement.payload_limit
        self._has_long_messages = agreement.has_long_messages

    @property
    def socket_id(self) -> int:
        """Our socket id, by which packets find us."""
        return self._connection.agreement.local_id

    @property
    def peer_address(self) -> Address:
        """Whom we talk with."""
        return self._connection.agreement.peer

    @property
    def local_address(self) -> Address:
        """Where our socket is bound, or the very address the peer reached us at where that is known."""
        local = self._connection.agreement.local
        return self._local if local is None else Address(local, self._local.port)

    @property
    def stream_id(self) -> str:
        """The stream id that the caller gave."""
        return self._connection.agreement.stream_id

    @property
    def stream_name(self) -> StreamName:
        """The stream id, taken apart."""
        return parse_stream_id(self.stream_id)

    @property
    def peer_version(self) -> int:
        """The peer's version of SRT, 0xMMmmpp."""
        return self._connection.agreement.peer_version

    @property
    def payload_size(self) -> int:
        """The most that one packet carries here."""
        return self._payload_size

    @property
    def is_byte_stream(self) -> bool:
        """Whether what is sent and received is one stream of bytes, without messages."""
        return self._connection.agreement.is_stream

    @property
    def latency(self) -> float:
        """How long we hold what we receive, as negotiated."""
        return seconds(self._connection.agreement.receive_delay)

    @property
    def peer_latency(self) -> float:
        """How long the peer holds what we send, as negotiated."""
        return seconds(self._connection.agreement.peer_delay)

    @property
    def sending_security(self) -> KmState:
        """How the keys of what we send stand."""
        return self._connection.security().sending

    @property
    def receiving_security(self) -> KmState:
        """How the keys of what we receive stand."""
        return self._connection.security().receiving

    @property
    def options(self) -> SrtOptions:
        """The options in force, with what was negotiated in the place of what was asked for."""
        agreement = self._connection.agreement
        options = self._connection.options
        sending = agreement.keys.sending
        changes: dict[str, Any] = {
            "latency": None,
            "receive_latency": seconds(agreement.receive_delay),
            "peer_latency": seconds(agreement.peer_delay),
            "mss": agreement.mss,
            "stream_id": agreement.stream_id,
            "payload_size": agreement.payload_limit,
        }
        if sending is not None:
            changes["key_length"] = sending.key_size
            changes["crypto_mode"] = "gcm" if sending.kind is CipherKind.AES_GCM else "ctr"
        return with_knobs(options, changes)

    def configure(self, **changes: Any) -> None:
        """Change options that may change while connected; for the others it is too late, and that is said."""
        self._check_open()
        self._connection.configure(self._connection.options.changed(connected=True, **changes))
        self._settle(current_micros())

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send *data*, cut into payloads; returns when all of it is in the send buffer."""
        view = memoryview(data if isinstance(data, bytes) else bytes(data))
        size = self._payload_size
        await self.send_packets([view[start : start + size] for start in range(0, len(view), size)])

    async def send_packet(self, payload: Buffer, *, source_time: float | None = None) -> None:
        """Send one payload as one packet; *source_time* is its moment on trio's clock, if not now."""
        await self.send_packets([payload], source_time=source_time)

    async def send_packets(self, payloads: Sequence[Buffer], *, source_time: float | None = None) -> None:
        """Send several payloads, one packet each, as one batch."""
        if self._is_sending:
            raise trio.BusyResourceError("another task is sending on this stream")
        self._check_sizes(payloads)
        self._is_sending = True
        try:
            await trio.lowlevel.checkpoint()
            sent = 0
            while True:
                self._check_open_to_send()
                now = current_micros()
                left = payloads[sent:] if sent else payloads
                # Made before we look: whatever happens from here on is meant for this wait.
                self._writable = trio.Event()
                sent += self._connection.send(left, origin=self._origin(source_time, now), now=now)
                self._settle(now)
                if sent >= len(payloads):
                    break
                await self._writable.wait()
            await self._session.wait_writable()
        finally:
            self._is_sending = False

    def send_packets_nowait(self, payloads: Sequence[Buffer]) -> None:
        """Send several payloads now, all or none; `trio.WouldBlock` when there is no room for them."""
        if self._is_sending:
            raise trio.BusyResourceError("another task is sending on this stream")
        self._check_open()
        self._check_sizes(payloads)
        now = current_micros()
        if not self._session.is_writable or not self._connection.has_room_for(len(payloads), now=now):
            raise trio.WouldBlock
        self._connection.send(payloads, now=now)
        self._settle(now)

    async def send_message(
        self,
        message: Buffer,
        *,
        time_to_live: float | None = None,
        in_order: bool = True,
        source_time: float | None = None,
    ) -> None:
        """Send one message; the peer gets it whole or not at all.

        A message may be as long as the send buffer where the connection keeps messages
        (``transmission_type="file"`` and ``message_api=True``); in live mode it is one packet. With
        *time_to_live* (seconds) it is given up when that is over and it has not arrived. One that need not be
        *in_order* may overtake earlier ones that wait for repairs.
        """
        if not self._has_long_messages:
            if self._connection.agreement.is_stream:
                raise UnsupportedOperation(
                    "a stream of bytes has no messages", hint="set message_api=True on both sides"
                )
            if time_to_live is not None or not in_order:
                raise UnsupportedOperation(
                    "live messages go by the clock alone",
                    hint="time_to_live and in_order=False are for transmission_type='file'",
                )
            await self.send_packets([message], source_time=source_time)
            return
        if self._is_sending:
            raise trio.BusyResourceError("another task is sending on this stream")
        self._check_message(message, time_to_live)
        expires = None if time_to_live is None else micros(time_to_live)
        self._is_sending = True
        try:
            await trio.lowlevel.checkpoint()
            handed_in = current_micros()
            while True:
                self._check_open_to_send()
                now = current_micros()
                # The time that a message waits for room is part of its life.
                left = None if expires is None else max(0, expires - (now - handed_in))
                self._writable = trio.Event()
                taken = self._connection.send_message(
                    message,
                    in_order=in_order,
                    time_to_live=left,
                    origin=self._origin(source_time, now),
                    now=now,
                )
                self._settle(now)
                if taken:
                    break
                await self._writable.wait()
            await self._session.wait_writable()
        finally:
            self._is_sending = False

    async def wait_delivered(self) -> None:
        """Wait until the peer has acknowledged everything that was sent, or it was given up."""
        await trio.lowlevel.checkpoint()
        while not self._connection.sender.is_drained:
            self._check_open_to_send()
            self._writable = trio.Event()
            self._connection.wait_for_delivery()
            await self._writable.wait()
        if self._connection.state is State.BROKEN:
            self._raise_if_broken()

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until the send buffer has room."""
        await trio.lowlevel.checkpoint()
        self._check_open()
        while not self._connection.wait_for_room():
            self._writable = trio.Event()
            await self._writable.wait()
            self._check_open()
        await self._session.wait_writable()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """What is due, joined; ``b""`` when the peer has closed.

        Without *max_bytes* whole payloads are returned, several if several are due.
        """
        if max_bytes is not None and max_bytes < 1:
            raise ValueError("max_bytes must be at least 1")
        if not self._rest:
            packets = await self._receive()
            self._rest = packets[0].payload if len(packets) == 1 else b"".join(p.payload for p in packets)
        else:
            await trio.lowlevel.checkpoint()
        if max_bytes is None or len(self._rest) <= max_bytes:
            data, self._rest = self._rest, b""
        else:
            data, self._rest = self._rest[:max_bytes], self._rest[max_bytes:]
        return bytes(data)

    async def receive_packet(self) -> SrtPacket:
        """The next payload; `trio.EndOfChannel` when the peer has closed."""
        if self._waiting:
            await trio.lowlevel.checkpoint()
        else:
            self._waiting = (await self.receive_packets())[::-1]
        return self._waiting.pop()

    async def receive_packets(self) -> list[SrtPacket]:
        """All payloads that are due, at least one; `trio.EndOfChannel` when the peer has closed."""
        packets = await self._receive()
        if not packets:
            raise trio.EndOfChannel
        return packets

    async def deliver_to(self, consume: Callable[[list[Buffer], float], None]) -> None:
        """Call *consume* with all payloads that are due and the source time of the first, until the peer has closed.

        For relays: what `receive_packets` would hand over task to task arrives in the task that read it, which
        saves a good part of the work. *consume* must neither wait nor raise. Raises like `receive_packets`, but for
        the end, which is a return.
        """
        if self._has_long_messages:
            while packets := await self._receive():
                consume([packet.payload for packet in packets], packets[0].source_time)
            return

        def take(now: Micros) -> list[None]:
            self._hand_over(consume, now)
            return []

        self._consume = consume
        try:
            await self._wait_for(take)
        finally:
            self._consume = None

    def _hand_over(self, consume: Callable[[list[Buffer], float], None], now: Micros) -> None:
        connection = self._connection
        clock = connection.receiver.clock
        while taken := connection.take(now=now, limit=_READ_PACKETS):
            self._next_position = taken[-1][1] + 1
            consume([entry[3] for entry in taken], seconds(taken[0][0] - clock.delay - clock.drift))

    async def receive_message(self) -> SrtMessage:
        """The next whole message; `trio.EndOfChannel` when the peer has closed."""
        if self._connection.agreement.is_stream:
            raise UnsupportedOperation(
                "a stream of bytes has no messages", hint="set message_api=True on both sides"
            )
        if not self._has_long_messages:
            packet = await self.receive_packet()
            return SrtMessage(packet.payload, None, True, packet.sequence, packet.source_time)
        if not self._messages:
            messages = await self._wait_for(self._take_messages)
            if not messages:
                raise trio.EndOfChannel
            self._messages = messages[::-1]
        else:
            await trio.lowlevel.checkpoint()
        message = self._messages.pop()
        source_time = seconds(message.play_at)
        return SrtMessage(
            message.payload,
            message.number,
            message.in_order,
            message.position & SEQUENCE_MASK,
            source_time,
        )

    async def receive_pieces(self, at_least: int) -> list[Buffer]:
        """Pieces of a stream of bytes, in order: *at_least* so many bytes, or all there are before the end.

        For who moves much: nothing is joined and nothing told of the pieces. An empty list is the end.
        """
        pieces: list[Buffer] = []
        size = 0
        while size < at_least:
            more = await self._wait_for(self._take_payloads)
            if not more:
                break
            pieces += more
            size += sum(map(len, more))
        return pieces

    def _take_payloads(self, now: Micros) -> list[Buffer]:
        return [entry[3] for entry in self._connection.take(now=now, limit=_READ_PACKETS)]

    def report_error(self, code: int) -> None:
        """Tell the peer that what it sends is of no use here (4000: it cannot be written); its sending fails."""
        if not self._is_closed:
            now = current_micros()
            self._connection.report_error(code, now=now)
            self._settle(now)

    def _take_messages(self, now: Micros) -> list[Message]:
        return self._connection.take_messages(now=now, limit=_READ_PACKETS)

    def _take_packets(self, now: Micros) -> list[SrtPacket]:
        if self._has_long_messages:
            whole = self._take_messages(now)
            return [SrtPacket(m.payload, m.position & SEQUENCE_MASK, seconds(m.play_at), 0) for m in whole]
        return self._describe(self._connection.take(now=now, limit=_READ_PACKETS))

    async def _receive(self) -> list[SrtPacket]:
        if self._waiting and not self._is_receiving:
            await trio.lowlevel.checkpoint_if_cancelled()
            packets, self._waiting = self._waiting[::-1], []
            return packets
        return await self._wait_for(self._take_packets)

    async def _wait_for(self, take: Callable[[Micros], list[T]]) -> list[T]:
        if self._is_receiving:
            raise trio.BusyResourceError("another task is receiving from this stream")
        self._is_receiving = True
        try:
            await trio.lowlevel.checkpoint_if_cancelled()
            while True:
                if self._is_closed:
                    raise trio.ClosedResourceError
                now = current_micros()
                self._readable = trio.Event()
                taken = take(now)
                self._settle(now)
                if taken:
                    return taken
                if self._ended.is_set():
                    self._raise_if_broken()
                    if self._connection.receiver.was_cut_short:
                        raise PeerError(
                            f"{self.peer_address} closed the connection before everything had arrived"
                        )
                    return []
                await self._readable.wait()
        finally:
            self._is_receiving = False

    def _describe(self, taken: list[tuple[Micros, int, int, Buffer]]) -> list[SrtPacket]:
        expected = self._next_position
        clock = self._connection.receiver.clock
        delay = clock.delay + clock.drift
        packets = []
        for play_at, position, _, payload in taken:
            packets.append(
                SrtPacket(payload, position & SEQUENCE_MASK, (play_at - delay) / 1e6, position - expected)
            )
            expected = position + 1
        self._next_position = expected
        return packets

    def statistics(self) -> SrtStatistics:
        """A snapshot of the counters; an interval is ``now.since(earlier)``."""
        return snapshot(self._connection, now=current_micros())

    def events(self) -> AsyncGenerator[SrtEvent, None]:
        """What happens from now on, after the most recent of what has happened."""
        return self._events.listen()

    async def aclose(self) -> None:
        """Wait until what was sent has arrived and been played (see ``linger``), say goodbye, and close.

        Cancelled, it says goodbye at once.
        """
        if self._is_closed:
            await trio.lowlevel.checkpoint()
            return
        try:
            if self._connection.state is State.CONNECTED:
                now = current_micros()
                self._connection.close(now=now)
                self._settle(now)
            while self._connection.state is State.CLOSING:
                self._writable = trio.Event()
                await self._writable.wait()
            await trio.lowlevel.checkpoint()
        finally:
            self.abort()

    def abort(self) -> None:
        """Say goodbye and close, at once."""
        if not self._is_closed:
            now = current_micros()
            self._connection.abort(now=now)
            self._settle(now)
            self.cut_off()
            self._forget(self)

    def cut_off(self) -> None:
        """The socket below is gone: wake whoever waits."""
        self._is_closed = True
        self._readable.set()
        self._writable.set()
        self._events.close()

    def notify(self, what: SrtEvent | Signal) -> None:
        """Something happened to our connection."""
        if what is Signal.READABLE:
            if self._consume is not None:
                now = current_micros()
                self._hand_over(self._consume, now)
                self._settle(now)
            else:
                self._readable.set()
        elif what is Signal.WRITABLE:
            self._writable.set()
        elif what is Signal.ENDED:
            self._ended.set()
            self._readable.set()
        elif not isinstance(what, Signal):
            self._events.publish(what)
            log_event(what, self.peer_address)

    def _settle(self, now: Micros) -> None:
        self._core.touch(self._connection, now=now)
        self._session.drain()

    def _origin(self, source_time: float | None, now: Micros) -> Micros:
        if source_time is None:
            return now
        origin = micros(source_time)
        if not self._connection.agreement.started_at <= origin <= now:
            raise ValueError("source_time must lie between the connection's beginning and now")
        return origin

    def _check_sizes(self, payloads: Sequence[Buffer]) -> None:
        if max(map(len, payloads), default=0) <= self._payload_size:
            return
        for payload in payloads:
            if len(payload) > self._payload_size:
                raise CallerError(
                    f"a payload has {len(payload)} bytes; this connection takes {self._payload_size} at most",
                    hint="use send_all, or set payload_size before connecting",
                )

    def _check_message(self, message: Buffer, time_to_live: float | None) -> None:
        if not len(message):
            raise CallerError("a message has no bytes, and SRT has no packet for nothing")
        most = self._connection.sender.buffer.capacity * self._payload_size
        if len(message) > most:
            raise CallerError(
                f"a message has {len(message)} bytes; the send buffer holds {most}",
                hint="set a larger send_buffer, and receive_buffer on the other side",
            )
        if time_to_live is not None and time_to_live < 0:
            raise ValueError("time_to_live must not be negative")

    def _check_open_to_send(self) -> None:
        self._check_open()
        if self._connection.peer_error:
            raise PeerError(
                f"{self.peer_address} cannot use what we send (its error {self._connection.peer_error})",
                hint="4000 means that it cannot write its file",
            )

    def _check_open(self) -> None:
        if self._is_closed:
            raise trio.ClosedResourceError
        state = self._connection.state
        if state is State.PEER_CLOSED:
            raise PeerError(f"{self.peer_address} has closed the connection")
        self._raise_if_broken()

    def _raise_if_broken(self) -> None:
        if self._connection.state is State.BROKEN:
            reason = self._connection.reason
            error = PeerTimedOut if "silent" in reason else PeerError
            raise error(f"the connection with {self.peer_address} broke: {reason}")
