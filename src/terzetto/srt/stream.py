"""An established SRT connection as a trio stream."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any

import trio

from terzetto.driver.clock import current_micros
from terzetto.driver.delivery import EventHub
from terzetto.driver.session import Session
from terzetto.errors import CallerError, PeerError, PeerTimedOut, UnsupportedOperation
from terzetto.primitives.datagrams import Address, Buffer
from terzetto.primitives.time import Micros, micros, seconds
from terzetto.srt.core.connection import Connection, Signal, State
from terzetto.srt.core.multiplexer import Multiplexer, Notice
from terzetto.srt.events import SrtEvent
from terzetto.srt.log import log_event
from terzetto.srt.options import SrtOptions, with_knobs
from terzetto.srt.packet_reader import SrtPacket
from terzetto.srt.packet_stream import PacketStream
from terzetto.srt.receiving_side import ReceivingSide, SrtMessage
from terzetto.srt.snapshots import snapshot
from terzetto.srt.statistics import SrtStatistics
from terzetto.srt.wire.key_material import CipherKind, KmState
from terzetto.srt.wire.stream_id import StreamName, parse_stream_id

__all__ = ["SrtMessage", "SrtPacket", "SrtStream"]


class SrtStream(PacketStream):
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
        self._writable = trio.Event()
        self._is_closed = False
        self._is_sending = False
        self._reader = self._receiving = ReceivingSide(connection, self._settle, self._raise_if_broken)
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
    def initial_sequence(self) -> int:
        """The number of the first packet we sent, or will send."""
        return self._connection.agreement.initial_sequence

    @property
    def state(self) -> State:
        """How far the life of the connection has come."""
        return self._connection.state

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
            "packet_filter": "" if agreement.packet_filter is None else str(agreement.packet_filter),
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
                now = current_micros()
                self._session.accompany(now)
                self._check_open_to_send()
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
        self._check_sizes(payloads)
        now = current_micros()
        self._session.accompany(now)
        self._check_open()
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

    async def deliver_to(self, consume: Callable[[list[Buffer], float], None]) -> None:
        """Call *consume* with all payloads that are due and the source time of the first, until the peer has closed.

        For relays: what `receive_packets` would hand over task to task arrives in the task that read it, which
        saves a good part of the work. *consume* must neither wait nor raise. Raises like `receive_packets`, but for
        the end, which is a return.
        """
        await self._receiving.deliver_to(consume)

    async def receive_message(self) -> SrtMessage:
        """The next whole message; `trio.EndOfChannel` when the peer has closed."""
        return await self._receiving.message()

    async def receive_pieces(self, at_least: int) -> list[Buffer]:
        """Pieces of a stream of bytes, in order: *at_least* so many bytes, or all there are before the end.

        For who moves much: nothing is joined and nothing told of the pieces. An empty list is the end.
        """
        return await self._receiving.pieces(at_least)

    def report_error(self, code: int) -> None:
        """Tell the peer that what it sends is of no use here (4000: it cannot be written); its sending fails."""
        if not self._is_closed:
            now = current_micros()
            self._connection.report_error(code, now=now)
            self._settle(now)

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
        self._receiving.close()
        self._writable.set()
        self._events.close()

    def notify(self, what: SrtEvent | Signal) -> None:
        """Something happened to our connection."""
        if what is Signal.READABLE:
            self._receiving.wake()
        elif what is Signal.WRITABLE:
            self._writable.set()
        elif what is Signal.ENDED:
            self._receiving.end()
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
