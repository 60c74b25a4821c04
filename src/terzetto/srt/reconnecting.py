"""One live stream over one connection after the other: who called calls again, who was called waits again."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Final

import trio

from terzetto.driver.delivery import EventHub
from terzetto.driver.nursery import open_session_nursery
from terzetto.driver.reconnecting import Reconnector
from terzetto.errors import PeerError, TerzettoError
from terzetto.primitives.datagrams import Buffer, EntropySource
from terzetto.primitives.reconnection import Reconnection
from terzetto.srt.events import PeerClosed, PeerLost, SrtEvent
from terzetto.srt.log import log_event
from terzetto.srt.packet_reader import PacketReader, SrtPacket
from terzetto.srt.packet_stream import PacketStream
from terzetto.srt.statistics import SrtStatistics
from terzetto.srt.stream import SrtStream

__all__ = ["SrtReconnectingStream"]

# What a connection that broke had received is still read; nothing waits longer than its latency and this.
_LAST_WORDS: Final = 1.0

_OVER: Final = (PeerError, trio.ClosedResourceError, trio.BrokenResourceError)


class SrtReconnectingStream(PacketStream):
    """Sends and receives live media with one peer, over one connection after the other.

    While there is no connection, sending waits and nothing is received. What was on its way when a connection
    broke is lost, unless the break came in the middle of a batch, which then is sent again. Packets that the next
    connection brings go on where reading stopped. When the policy gives up, both raise what went wrong last.
    """

    def __init__(self, target: str, policy: Reconnection, *, entropy: EntropySource) -> None:
        self._again = Reconnector(policy, target, entropy=entropy, tell=self._publish)
        self._reader = PacketReader(self._receive)
        self._events: EventHub[SrtEvent] = EventHub()
        self._scope = trio.CancelScope()
        self._stream: SrtStream | None = None
        self._changed = trio.Event()
        self._was_read = trio.Event()
        self._payload_size = 0
        self._statistics: SrtStatistics | None = None
        self._failure: Exception | None = None
        self._is_closed = False
        self._is_sending = False
        self._is_receiving = False

    @property
    def stream(self) -> SrtStream | None:
        """The present connection; None while there is none."""
        return self._stream

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection."""
        return self._stream is not None

    @property
    def payload_size(self) -> int:
        """The most that one packet carries on the present connection, or the last one."""
        return self._payload_size

    def statistics(self) -> SrtStatistics:
        """The counters of the present connection, or the last one."""
        if self._stream is not None:
            self._statistics = self._stream.statistics()
        assert self._statistics is not None, "it is not handed out before its first connection"
        return self._statistics

    def events(self) -> AsyncGenerator[SrtEvent, None]:
        """What happens from now on, on every connection and between them, after the most recent of what has."""
        return self._events.listen()

    # Sending

    async def send_packets(self, payloads: Sequence[Buffer], *, source_time: float | None = None) -> None:
        """Send several payloads, one packet each, as one batch; waits while there is no connection.

        What has waited for a connection belongs to the moment when it leaves, whatever *source_time* says.
        """
        if self._is_sending:
            raise trio.BusyResourceError("another task is sending on this stream")
        self._is_sending = True
        try:
            if self._stream is None:
                source_time = None
            while True:
                stream = await self._connected()
                try:
                    await stream.send_packets(payloads, source_time=source_time)
                except _OVER:
                    source_time = None
                    await self._past(stream)
                else:
                    return
        finally:
            self._is_sending = False

    def send_packets_nowait(self, payloads: Sequence[Buffer]) -> None:
        """Send several payloads now, all or none; `trio.WouldBlock` when there is no room or no connection."""
        self._check_open()
        if self._stream is None:
            raise trio.WouldBlock
        try:
            self._stream.send_packets_nowait(payloads)
        except _OVER:
            raise trio.WouldBlock from None

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until there is a connection and room."""
        while True:
            stream = await self._connected()
            try:
                await stream.wait_send_all_might_not_block()
            except _OVER:
                await self._past(stream)
            else:
                return

    # Receiving

    async def _receive(self) -> list[SrtPacket]:
        if self._is_receiving:
            raise trio.BusyResourceError("another task is receiving from this stream")
        self._is_receiving = True
        try:
            await trio.lowlevel.checkpoint_if_cancelled()
            if kept := self._reader.take_kept():
                return kept
            while True:
                stream = await self._connected()
                try:
                    return await stream.receive_packets()
                except (trio.EndOfChannel, *_OVER):
                    self._was_read.set()
                    await self._past(stream)
        finally:
            self._is_receiving = False

    # Connections

    async def run(
        self,
        connect: Callable[[trio.Nursery], Awaitable[SrtStream]],
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Keep a connection up until closed. Started with the first one; what prevents that is raised."""
        is_first = True
        with self._scope:
            while True:
                try:
                    async with open_session_nursery() as nursery:
                        stream = await connect(nursery)
                        self._again.succeeded()
                        self._use(stream)
                        if is_first:
                            task_status.started()
                            is_first = False
                        reason = await self._follow(stream)
                        failure: Exception = PeerError(
                            f"the connection with {stream.peer_address} ended: {reason}"
                        )
                except (TerzettoError, OSError) as exc:
                    if is_first:
                        raise
                    failure, reason = exc, str(exc)
                finally:
                    self._use(None)
                if self._is_closed or not await self._again.wait(reason):
                    break
        if not self._is_closed:
            self._failure = failure
            self._use(None)

    def _use(self, stream: SrtStream | None) -> None:
        if self._stream is not None:
            self.statistics()
        self._stream = stream
        if stream is not None:
            self._payload_size = stream.payload_size
            self._was_read = trio.Event()
        self._changed.set()
        self._changed = trio.Event()

    async def _follow(self, stream: SrtStream) -> str:
        """Tell what happens to the connection, until it is over and read; why it is."""
        reason = "it was closed"
        async for event in stream.events():
            self._events.publish(event)
            if isinstance(event, PeerLost):
                reason = event.reason
                break
            if isinstance(event, PeerClosed):
                reason = "the peer said goodbye"
                break
        if self._is_receiving or stream.statistics().receive_buffer_packets:
            with trio.move_on_after(stream.latency + _LAST_WORDS):
                await self._was_read.wait()
        stream.abort()
        return reason

    async def _connected(self) -> SrtStream:
        await trio.lowlevel.checkpoint_if_cancelled()
        self._check_open()
        while self._stream is None:
            await self._changed.wait()
            self._check_open()
        return self._stream

    async def _past(self, stream: SrtStream) -> None:
        """Wait until *stream*, which is of no use any more, is not the present one."""
        while self._stream is stream and not self._is_closed:
            await self._changed.wait()

    def _check_open(self) -> None:
        if self._is_closed:
            raise trio.ClosedResourceError
        if self._failure is not None:
            raise self._failure

    def _publish(self, event: SrtEvent) -> None:
        self._events.publish(event)
        log_event(event, getattr(event, "peer", None))

    # The end

    async def aclose(self) -> None:
        """Wait until what was sent has arrived and been played (see ``linger``), say goodbye, and close.

        Cancelled, it says goodbye at once. Without a connection there is nothing to wait for.
        """
        stream = self._stream
        try:
            if stream is not None and not self._is_closed:
                await stream.aclose()
            await trio.lowlevel.checkpoint()
        finally:
            self.abort()

    def abort(self) -> None:
        """Say goodbye and close, at once."""
        if not self._is_closed:
            self._is_closed = True
            if self._stream is not None:
                self._stream.abort()
            self._scope.cancel()
            self._use(None)
            self._events.close()
