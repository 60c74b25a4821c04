"""Several streams through one tunnel of the Main profile, each on a virtual port of its own.

They are one flow, with one sequence, one recovery buffer and one set of statistics: what libRIST's tools do with
``stream-id``. Whoever wants streams that fail apart opens a session for each.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import trio

from terzetto.driver.delivery import PacketQueue
from terzetto.driver.nursery import open_session_nursery
from terzetto.errors import InvalidOption, TerzettoError, UnsupportedOperation
from terzetto.primitives.datagrams import Buffer
from terzetto.rist.core.stream_payload import StreamPayload, ports_of, stream_id_of
from terzetto.rist.events import RistPacket
from terzetto.rist.options import RistOptions
from terzetto.rist.wire.virtual_ports import VirtualPorts

if TYPE_CHECKING:
    from terzetto.rist.api import RistReceiver, RistSender

__all__ = [
    "MAX_STREAMS",
    "RistStreamReceiver",
    "RistStreamSender",
    "RistStreams",
    "check_multiplexing",
    "check_stream_id",
    "open_streams",
]

MAX_STREAMS: Final = 64
"""Streams that may be told apart at once; packets of any more are counted as ``unclaimed``."""


class RistStreamSender(trio.abc.SendStream):
    """One of several streams that a `RistSender` carries; made by `RistSender.open_stream`.

    Closing it closes nothing else: the tunnel is the sender's.
    """

    def __init__(self, sender: RistSender, ports: VirtualPorts, payload_size: int) -> None:
        self._sender = sender
        self._ports = ports
        self._payload_size = payload_size
        self._closed = False

    @property
    def stream_id(self) -> int:
        """The virtual port that names the stream."""
        return stream_id_of(self._ports)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send *data*, cut into payloads of the session's ``payload_size``; the last one may be shorter."""
        view = memoryview(data)
        size = self._payload_size
        await self.send_packets([view[start : start + size] for start in range(0, len(view), size)])

    async def send_packet(self, payload: Buffer, *, source_time: float | None = None) -> None:
        """Send one payload as one packet; see `RistSender.send_packet`."""
        await self.send_packets([payload], source_time=source_time)

    async def send_packets(self, payloads: Sequence[Buffer], *, source_time: float | None = None) -> None:
        """Send several payloads, one packet each; see `RistSender.send_packets`."""
        await self._sender.send_packets(self._marked(payloads), source_time=source_time)

    def send_packets_nowait(self, payloads: Sequence[Buffer], *, source_time: float | None = None) -> None:
        """Send several payloads now; see `RistSender.send_packets_nowait`."""
        self._sender.send_packets_nowait(self._marked(payloads), source_time=source_time)

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until there is a receiver and room to send."""
        self._check_open()
        await self._sender.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        """Send no more in this stream; the others go on."""
        self._closed = True
        await trio.lowlevel.checkpoint()

    def _marked(self, payloads: Sequence[Buffer]) -> list[Buffer]:
        self._check_open()
        return [StreamPayload.of(payload, self._ports) for payload in payloads]

    def _check_open(self) -> None:
        if self._closed:
            raise trio.ClosedResourceError


class RistStreamReceiver(trio.abc.ReceiveStream):
    """One of several streams that come by one tunnel; made by `RistStreams`.

    Packets are those of the whole flow that are of this stream: their sequences have gaps where others were sent, and
    ``lost_before`` counts packets of any stream, since a lost one did not say which it was of.
    """

    def __init__(self, streams: RistStreams, stream_id: int, queue: PacketQueue[RistPacket]) -> None:
        self._streams = streams
        self._stream_id = stream_id
        self._queue = queue
        self._rest = b""

    @property
    def stream_id(self) -> int:
        """The virtual port that names the stream."""
        return self._stream_id

    @property
    def shed(self) -> int:
        """Packets that were dropped because this stream was not read fast enough."""
        return self._queue.shed

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Consecutive payloads, joined: all that are due, at least one byte; ``b""`` at the end."""
        if max_bytes is not None and max_bytes < 1:
            raise ValueError("max_bytes must be at least 1")
        if self._rest:
            await trio.lowlevel.checkpoint()
        while not self._rest:
            packets = await self._queue.get()
            if not packets:
                return b""
            self._rest = b"".join([packet.payload for packet in packets])
        limit = len(self._rest) if max_bytes is None else max_bytes
        data, self._rest = self._rest[:limit], self._rest[limit:]
        return data

    async def receive_packet(self) -> RistPacket:
        """The next payload, with what is known of it; `trio.EndOfChannel` at the end."""
        first, *rest = await self.receive_packets()
        self._queue.put_back(rest)
        return first

    async def receive_packets(self) -> list[RistPacket]:
        """All payloads that are due, at least one; `trio.EndOfChannel` at the end."""
        packets = await self._queue.get()
        if not packets:
            raise trio.EndOfChannel
        return packets

    async def aclose(self) -> None:
        """Read no more of this stream; what still comes of it is dropped, and the others go on."""
        self._queue.close()
        await trio.lowlevel.checkpoint()


class RistStreams(trio.abc.Listener[RistStreamReceiver]):
    """The streams that come by one tunnel; made by `RistReceiver.open_streams`.

    `open` takes one that is known by its number, `accept` the next that begins and nobody has opened; that works with
    `trio.serve_listeners`, too.
    """

    def __init__(self, options: RistOptions) -> None:
        self._options = options
        self._queues: dict[int, PacketQueue[RistPacket]] = {}
        self._unclaimed, self._accepted = trio.open_memory_channel[RistStreamReceiver](MAX_STREAMS)
        self._is_over = False
        self._error: Exception | None = None
        self.unclaimed = 0
        """Packets of streams beyond the most that can be told apart."""

    def open(self, stream_id: int) -> RistStreamReceiver:
        """The stream of that number, whether it has begun or not; each can be opened once."""
        if stream_id in self._queues:
            raise InvalidOption(f"stream {stream_id} is open already, or waits to be accepted")
        if len(self._queues) >= MAX_STREAMS:
            raise InvalidOption(f"{MAX_STREAMS} streams are open, and no more can be")
        return self._add(stream_id)

    async def accept(self) -> RistStreamReceiver:
        """Wait for a stream to begin that nobody has opened; `trio.ClosedResourceError` when all is over."""
        try:
            return await self._accepted.receive()
        except trio.EndOfChannel:
            raise trio.ClosedResourceError from None

    async def aclose(self) -> None:
        """Accept no more; streams that are open go on."""
        self._accepted.close()
        await trio.lowlevel.checkpoint()

    def take(self, packets: list[RistPacket]) -> None:
        """Deal out packets of all streams."""
        by_stream: dict[int, list[RistPacket]] = {}
        for packet in packets:
            ports = ports_of(packet.payload)
            number = self._options.virt_dst_port if ports is None else stream_id_of(ports)
            by_stream.setdefault(number, []).append(packet)
        for number, its in by_stream.items():
            queue = self._queues.get(number)  # an empty one is false, and still there
            if queue is None:
                queue = self._begin(number)
            if queue is None:
                self.unclaimed += len(its)
            else:
                queue.put(its)

    def end(self, error: Exception | None = None) -> None:
        """Nothing more comes."""
        self._is_over, self._error = True, error
        for queue in self._queues.values():
            queue.end(error)
        self._unclaimed.close()

    def _begin(self, stream_id: int) -> PacketQueue[RistPacket] | None:
        """A stream that nobody has opened, to be accepted."""
        if len(self._queues) >= MAX_STREAMS:
            return None
        stream = self._add(stream_id)
        try:
            self._unclaimed.send_nowait(stream)
        except (trio.WouldBlock, trio.BrokenResourceError):
            self._queues[stream_id].close()  # nobody accepts any more
        return self._queues[stream_id]

    def _add(self, stream_id: int) -> RistStreamReceiver:
        queue = self._queues[stream_id] = PacketQueue[RistPacket](self._options.delivery_limit)
        if self._is_over:
            queue.end(self._error)
        return RistStreamReceiver(self, stream_id, queue)


@asynccontextmanager
async def open_streams(receiver: RistReceiver, options: RistOptions) -> AsyncIterator[RistStreams]:
    """Tell the streams of *receiver* apart for as long as the block lasts."""
    check_multiplexing(options)
    streams = RistStreams(options)

    async def deal_out() -> None:
        try:
            await receiver.deliver_to(streams.take)
        except trio.ClosedResourceError:
            streams.end()
        except TerzettoError as error:
            streams.end(error)
        else:
            streams.end()

    async with open_session_nursery() as nursery:
        nursery.start_soon(deal_out)
        yield streams
        nursery.cancel_scope.cancel()


def check_stream_id(stream_id: int) -> None:
    """A stream's media has an even port, and its reports the odd one above."""
    if not 2 <= stream_id <= 65534 or stream_id % 2:
        raise InvalidOption(f"stream_id is {stream_id}, must be even, from 2 to 65534")


def check_multiplexing(options: RistOptions) -> None:
    """Whether a session with these options can carry several streams."""
    if options.profile != "main":
        raise UnsupportedOperation(
            f"the {options.profile.capitalize()} profile has no virtual ports to tell streams apart by",
            hint="use profile=main at both ends",
        )
    if options.fec is not None:
        raise UnsupportedOperation(
            "what fec rebuilds does not say which stream it is of", hint="leave fec out, or send one stream"
        )
