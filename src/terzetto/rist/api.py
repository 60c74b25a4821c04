"""RIST senders and receivers as trio streams.

``open_x`` is for a block, ``connect_x`` for an object that lives in a nursery of the caller's. Who calls and who
listens is independent of which way the media goes: ``rist://host:port`` calls, ``rist://@host:port`` listens.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Unpack

import trio

from terzetto.driver.clock import current_micros
from terzetto.driver.delivery import PacketQueue
from terzetto.driver.nursery import open_session_nursery
from terzetto.errors import InvalidOption, UnsupportedOperation
from terzetto.primitives.datagrams import Address, Buffer
from terzetto.primitives.time import micros, seconds
from terzetto.rist.core.advanced_pieces import Piece
from terzetto.rist.core.inflow import Inflow
from terzetto.rist.core.outflow import Outflow
from terzetto.rist.core.receiver import Receiver
from terzetto.rist.core.sender import Sender
from terzetto.rist.events import OutOfBandReceived, RateAdvised, RistEvent, RistPacket
from terzetto.rist.gathering import start_gathering
from terzetto.rist.group import Group, start_group
from terzetto.rist.group_plans import group_options, new_inflow, new_outflow, split_urls
from terzetto.rist.many_paths import ManyPaths, Prepare
from terzetto.rist.options import MAX_PAYLOAD_SIZE, NackType, RistKnobs, RistOptions
from terzetto.rist.plan import Plan, prepare
from terzetto.rist.reflector import start_reflector
from terzetto.rist.runtime import Runtime, Silence, ignore, start_session
from terzetto.rist.snapshots import receiver_statistics, sender_statistics
from terzetto.rist.statistics import RistReceiverStatistics, RistSenderStatistics
from terzetto.rist.streams import (
    RistStreams,
    RistStreamSender,
    check_multiplexing,
    check_stream_id,
    open_streams,
)
from terzetto.rist.tunnel_controls import Authorize
from terzetto.rist.wire.gre import IPV4
from terzetto.rist.wire.virtual_ports import VirtualPorts

__all__ = [
    "RistReceiver",
    "RistSender",
    "connect_rist_receiver",
    "connect_rist_sender",
    "open_rist_receiver",
    "open_rist_sender",
]

# A receiver that reads joined bytes gets at most about this much at a time.
_RECEIVE_SIZE = 1 << 20
_LARGEST_FLOW_ID = 0xFFFF_FFFF


class RistSender(ManyPaths, trio.abc.SendStream):
    """Sends one flow of media.

    Bytes given to `send_all` are cut into payloads of ``payload_size``; `send_packet` keeps a payload as it is.
    Sending waits until a receiver has answered for the first time; when that receiver is lost later, media is
    dropped and counted (``withheld``) until it is back, because live media does not wait.
    """

    _runtime: Runtime[Sender] | Group[Sender]

    def __init__(
        self,
        runtime: Runtime[Sender] | Group[Sender],
        outflow: Outflow,
        prepare: Prepare | None = None,
    ) -> None:
        self._runtime = runtime
        self._prepare = prepare
        self._outflow = outflow
        self._session = runtime.session
        self._payload_size = runtime.options.payload_size
        self._closed = False
        self._last_sent: float | None = None

    @property
    def local_address(self) -> Address:
        """Where we send from; with ``@`` in the URL, where we listen."""
        return self._runtime.local_address

    @property
    def flow_id(self) -> int:
        """The number of our flow (its SSRC)."""
        return self._outflow.flow_id

    @property
    def is_connected(self) -> bool:
        """Whether a receiver answers."""
        return self._runtime.is_connected

    def explain_silence(self, waited: float) -> Silence:
        """The most helpful thing to say about a peer that has not answered in *waited* seconds: not raised."""
        return self._runtime.explain_silence(waited)

    async def wait_connected(self) -> None:
        """Wait until a receiver has answered.

        Raises `terzetto.errors.PeerTimedOut` after ``connect_timeout``, or `WrongProtocol` when what answers is
        something else. One way there are no answers to wait for.
        """
        if self._runtime.options.one_way:
            self._check_open()
            await trio.lowlevel.checkpoint()
            return
        await self._runtime.wait_connected()

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send *data*, cut into payloads of ``payload_size`` bytes; the last one may be shorter."""
        view = memoryview(bytes(data))
        size = self._payload_size
        await self.send_packets([view[start : start + size] for start in range(0, len(view), size)])

    async def send_packet(
        self,
        payload: Buffer,
        *,
        source_time: float | None = None,
        expedite: bool = False,
        advanced_flow_id: int | None = None,
    ) -> None:
        """Send one payload as one packet; *source_time* is its moment on trio's clock, if not now.

        With *expedite* the receiver hands it out as soon as it arrives, ahead of what is still missing before it;
        *advanced_flow_id* says which of several logical flows it belongs to, where not the one of the option of that
        name. Both are the Advanced profile's, and are left out while its session speaks Main.
        """
        if expedite or advanced_flow_id is not None:
            if self._runtime.options.profile != "advanced":
                raise UnsupportedOperation("only the Advanced profile has expedited packets and flow ids")
            if advanced_flow_id is not None and not 0 <= advanced_flow_id <= _LARGEST_FLOW_ID:
                raise InvalidOption(f"advanced_flow_id is {advanced_flow_id}, must be 0 to 4294967295")
            payload = Piece(payload, label=advanced_flow_id, is_expedited=expedite)
        await self.send_packets([payload], source_time=source_time)

    async def send_packets(self, payloads: Sequence[Buffer], *, source_time: float | None = None) -> None:
        """Send several payloads, one packet each, as one batch."""
        self._check_open()
        if not self._outflow.may_send:
            await self._runtime.wait_connected()
        else:
            await trio.lowlevel.checkpoint()
        self._check_open()
        self._send(payloads, source_time)
        await self._session.wait_writable()

    def send_packets_nowait(self, payloads: Sequence[Buffer], *, source_time: float | None = None) -> None:
        """Send several payloads now; `trio.WouldBlock` when there is no receiver yet, or the socket is full."""
        self._check_open()
        if not self._runtime.was_connected and not self._outflow.may_send:
            raise trio.WouldBlock
        if not self._session.is_writable:
            raise trio.WouldBlock
        self._send(payloads, source_time)

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until there is a receiver and room to send."""
        self._check_open()
        if not self._outflow.may_send:
            await self._runtime.wait_connected()
        await self._session.wait_writable()
        await trio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        """Stay until the receiver can no longer ask for repeats, say goodbye, and close.

        Cancelled, it closes at once.
        """
        if self._closed:
            await trio.lowlevel.checkpoint()
            return
        self._closed = True
        try:
            if self._last_sent is not None and self._runtime.is_connected:
                await trio.sleep_until(self._last_sent + seconds(self._outflow.linger))
            if not self._runtime.is_stopped:
                self._runtime.say_goodbye()
            await trio.lowlevel.checkpoint()
        finally:
            self._runtime.close()

    async def send_oob(self, data: bytes | memoryview, ether_type: int = IPV4) -> bool:
        """Send *data* beside the stream, once and unrepeated; False when nobody is there to send it to.

        Whole IPv4 packets, the default, are what libRIST takes; see `terzetto.rist.wire.oob.Ipv4Packet`.
        """
        self._runtime.check_open()
        sent = self._runtime.controls.send_oob(bytes(data), ether_type)
        await self._session.wait_writable()
        await trio.lowlevel.checkpoint()
        return sent

    async def receive_oob(self) -> OutOfBandReceived:
        """The next data that the peer sent beside the stream."""
        return await self._runtime.controls.receive_oob()

    def change_passphrase(self, secret: str) -> None:
        """Use another secret, without a gap in the media.

        Call it at the receiver first, which is then ready for both, and at the sender afterwards; after a login
        of libRIST 0.2.8 or later, or of ours, the sender tells its receiver by itself.
        """
        self._runtime.check_open()
        self._runtime.controls.change_passphrase(secret)

    def open_stream(self, stream_id: int, *, source_port: int | None = None) -> RistStreamSender:
        """One of several streams through this tunnel (Main profile), on the virtual port *stream_id*.

        libRIST's ``ristreceiver`` tells them apart by ``stream-id`` in its output URLs, and ours by
        `RistReceiver.open_streams`. The number must be even; what is sent without a stream has ``virt_dst_port``.
        A *source_port* below 32768 names the stream in its place, which libRIST's tools call ``multiplex-mode=1``.
        """
        options = self._runtime.options
        check_multiplexing(options)
        check_stream_id(stream_id)
        ports = VirtualPorts(options.virt_src_port if source_port is None else source_port, stream_id)
        return RistStreamSender(self, ports, self._payload_size)

    def send_flow_attribute(self, json: str) -> None:
        """Describe the flow to the receiver (Advanced profile): a JSON object, as TR-06-3 5.4.1 has it.

        It is said again twice a second, and ten times in the first, until another is given or ``""``. The receiver
        gets `terzetto.rist.events.FlowAttributesReceived` once for each text.
        """
        self._runtime.check_open()
        self._runtime.controls.send_flow_attribute(json)

    def statistics(self) -> RistSenderStatistics:
        """A snapshot of the counters."""
        return sender_statistics(
            self._outflow, now=current_micros(), batches_shed=self._session.statistics().batches_shed
        )

    def events(self) -> AsyncGenerator[RistEvent, None]:
        """What happens from now on, after the most recent of what has happened."""
        return self._runtime.events.listen()

    @property
    def advised_bitrate(self) -> int | None:
        """Bits a second that the encoder should send now; None without ``adaptation``."""
        controller = self._outflow.rate_controller
        return None if controller is None else controller.rate

    def on_advice(self, advise: Callable[[int], None] | None) -> None:
        """Call *advise* with the bit rate that the encoder should have, now and whenever that changes.

        It is called between awaits, so it must neither wait nor raise; `terzetto.rist.events.RateAdvised` says the
        same to who would rather wait for it.
        """
        if advise is None:
            self._runtime.on_event = ignore
            return
        if self._outflow.rate_controller is None:
            raise InvalidOption(
                "adaptation is off, so there will be no advice", hint="set adaptation at both ends"
            )

        def hear(event: RistEvent) -> None:
            if type(event) is RateAdvised:
                advise(event.bitrate)

        self._runtime.on_event = hear
        advise(self._outflow.rate_controller.rate)

    def set_bandwidth(self, kilobits: int) -> None:
        """Change the ceiling for media and repeats together, in kbit/s."""
        if kilobits < 1:
            raise InvalidOption(f"bandwidth is {kilobits!r}, must be at least 1 kbit/s")
        self._outflow.set_bandwidth(kilobits * 1000)

    def _send(self, payloads: Sequence[Buffer], source_time: float | None) -> None:
        longest = max(map(len, payloads), default=0)
        if longest > MAX_PAYLOAD_SIZE:
            raise InvalidOption(
                f"a payload has {longest} bytes, must have at most {MAX_PAYLOAD_SIZE}",
                hint="send_all() cuts bytes of any length into payloads",
            )
        now = current_micros()
        self._outflow.send(
            payloads, now=now, source_time=None if source_time is None else micros(source_time)
        )
        self._last_sent = now / 1e6
        self._session.commanded(now)

    def _check_open(self) -> None:
        if self._closed:
            raise trio.ClosedResourceError
        self._runtime.check_open()


class RistReceiver(ManyPaths, trio.abc.ReceiveStream):
    """Receives one flow of media, mended, in order and on time.

    Iterating gives bytes; `receive_packet` and `receive_packets` give payloads with what is known of each. The
    stream has no end of its own: a sender that stops is an event, and the next one continues it.
    """

    _runtime: Runtime[Receiver] | Group[Receiver]

    def __init__(
        self,
        runtime: Runtime[Receiver] | Group[Receiver],
        inflow: Inflow,
        queue: PacketQueue[RistPacket],
        prepare: Prepare | None = None,
    ) -> None:
        self._runtime = runtime
        self._prepare = prepare
        self._inflow = inflow
        self._session = runtime.session
        self._queue = queue
        self._rest = b""

    @property
    def local_address(self) -> Address:
        """Where we receive; with ``@`` in the URL, where we listen."""
        return self._runtime.local_address

    @property
    def is_connected(self) -> bool:
        """Whether a sender is there."""
        return self._runtime.is_connected

    def explain_silence(self, waited: float) -> Silence:
        """The most helpful thing to say about a peer that has not answered in *waited* seconds: not raised."""
        return self._runtime.explain_silence(waited)

    async def wait_connected(self) -> None:
        """Wait until a sender is there; raises like `RistSender.wait_connected`."""
        await self._runtime.wait_connected()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Consecutive payloads, joined: all that are due, at least one byte; gaps show in `statistics` only."""
        if max_bytes is not None and max_bytes < 1:
            raise ValueError("max_bytes must be at least 1")
        if self._rest:
            await trio.lowlevel.checkpoint()
        while not self._rest:
            packets = await self._next()
            if not packets:
                return b""
            # Payloads may be empty, but an empty answer would be taken for the end.
            if len(packets) == 1:
                self._rest = packets[0].payload
            else:
                self._rest = b"".join([packet.payload for packet in packets])
        limit = _RECEIVE_SIZE if max_bytes is None else max_bytes
        if len(self._rest) <= limit:
            data, self._rest = self._rest, b""
        else:
            data, self._rest = self._rest[:limit], self._rest[limit:]
        return data

    async def receive_packet(self) -> RistPacket:
        """The next payload, with its sequence, source time, path, flow and how many were lost before it."""
        packets = await self._next()
        if not packets:
            raise trio.EndOfChannel
        first, rest = packets[0], packets[1:]
        self._queue.put_back(rest)
        return first

    async def receive_packets(self) -> list[RistPacket]:
        """All payloads that are due, at least one."""
        packets = await self._next()
        if not packets:
            raise trio.EndOfChannel
        return packets

    async def deliver_to(self, consume: Callable[[list[RistPacket]], None]) -> None:
        """Call *consume* with all payloads that are due, whenever some are, until cancelled or closed.

        For relays: what `receive_packets` would hand over task to task arrives in the task that read it, which
        at low rates saves a good part of the work. *consume* must neither wait nor raise. Raises like
        `receive_packets`.
        """
        if self._runtime.options.connect_timeout is not None and not self._runtime.was_connected:
            await self._runtime.wait_connected()
        self._queue.divert(consume)
        try:
            await self._queue.get()
        finally:
            self._queue.divert(None)

    async def aclose(self) -> None:
        """Say goodbye and close, at once."""
        if not self._runtime.is_stopped:
            self._runtime.say_goodbye()
        self._queue.close()
        self._runtime.close()
        await trio.lowlevel.checkpoint()

    async def send_oob(self, data: bytes | memoryview, ether_type: int = IPV4) -> bool:
        """Send *data* beside the stream, once and unrepeated; False when nobody is there to send it to.

        Whole IPv4 packets, the default, are what libRIST takes; see `terzetto.rist.wire.oob.Ipv4Packet`.
        """
        self._runtime.check_open()
        sent = self._runtime.controls.send_oob(bytes(data), ether_type)
        await self._session.wait_writable()
        await trio.lowlevel.checkpoint()
        return sent

    async def receive_oob(self) -> OutOfBandReceived:
        """The next data that the peer sent beside the stream."""
        return await self._runtime.controls.receive_oob()

    def change_passphrase(self, secret: str) -> None:
        """Use another secret, without a gap in the media.

        Call it at the receiver first, which is then ready for both, and at the sender afterwards; after a login
        of libRIST 0.2.8 or later, or of ours, the sender tells its receiver by itself.
        """
        self._runtime.check_open()
        self._runtime.controls.change_passphrase(secret)

    def statistics(self) -> RistReceiverStatistics:
        """A snapshot of the counters."""
        return receiver_statistics(self._inflow, now=current_micros(), shed=self._queue.shed)

    def events(self) -> AsyncGenerator[RistEvent, None]:
        """What happens from now on, after the most recent of what has happened."""
        return self._runtime.events.listen()

    def open_streams(self) -> AbstractAsyncContextManager[RistStreams]:
        """Tell the streams of this tunnel apart by their virtual ports (Main profile): an async block.

        Inside it all that is received goes to the streams, and nothing to `receive_some` and its like.
        """
        self._inflow.tell_streams()
        return open_streams(self, self._runtime.options)

    def set_nack_type(self, nack_type: NackType) -> None:
        """Ask for repeats in another form from now on: ``range`` or ``bitmask``."""
        if nack_type not in ("range", "bitmask"):
            raise InvalidOption(f"nack_type is {nack_type!r}, must be one of 'range', 'bitmask'")
        for leg in self._inflow.legs:
            leg.translator.nack_type = nack_type

    async def _next(self) -> list[RistPacket]:
        if self._runtime.options.connect_timeout is not None and not self._runtime.was_connected:
            await self._runtime.wait_connected()
        return await self._queue.get()


async def connect_rist_sender(
    nursery: trio.Nursery,
    url: str | Sequence[str],
    *,
    options: RistOptions | None = None,
    authorize: Authorize | None = None,
    **knobs: Unpack[RistKnobs],
) -> RistSender:
    """Open a sender whose tasks live in *nursery*; close it with ``aclose()``. See `open_rist_sender`."""

    async def plan_for(path: str) -> Plan:
        return await prepare(path, options, knobs, sends=True, authorize=authorize is not None)

    plans = [await plan_for(path) for path in split_urls(url)]
    first = plans[0]
    if isinstance(url, str) and len(plans) == 1:
        return await _connect_one_sender(nursery, first, authorize)
    chosen = group_options(plans)
    outflow = new_outflow(first, chosen)
    group = Group(
        outflow,
        lambda plan: plan.make_sender(outflow),
        chosen,
        media_tick=0.0,
        queue=None,
        authorize=authorize,
    )
    await start_group(nursery, group, plans)
    return RistSender(group, outflow, plan_for)


async def _connect_one_sender(nursery: trio.Nursery, plan: Plan, authorize: Authorize | None) -> RistSender:
    if plan.options.reflector:
        reflector = await start_reflector(nursery, plan, authorize)
        return RistSender(reflector, reflector.outflow)
    endpoints = await plan.open_endpoints()
    runtime = await start_session(
        nursery, plan, plan.make_sender(), endpoints, media_tick=0.0, queue=None, authorize=authorize
    )
    return RistSender(runtime, runtime.core.outflow)


async def connect_rist_receiver(
    nursery: trio.Nursery,
    url: str | Sequence[str],
    *,
    options: RistOptions | None = None,
    authorize: Authorize | None = None,
    **knobs: Unpack[RistKnobs],
) -> RistReceiver:
    """Open a receiver whose tasks live in *nursery*; close it with ``aclose()``. See `open_rist_receiver`."""

    async def plan_for(path: str) -> Plan:
        return await prepare(path, options, knobs, authorize=authorize is not None)

    plans = [await plan_for(path) for path in split_urls(url)]
    first = plans[0]
    queue = PacketQueue[RistPacket](first.options.delivery_limit)
    if isinstance(url, str) and len(plans) == 1:
        return await _connect_one_receiver(nursery, first, queue, authorize)
    chosen = group_options(plans)
    if any(plan.options.merge_callers for plan in plans):
        raise UnsupportedOperation(
            "merge_callers and a list of URLs are both given",
            hint="write one URL, or leave out merge_callers",
        )
    inflow = new_inflow(first, chosen)
    group = Group(
        inflow,
        lambda plan: plan.make_receiver(inflow),
        chosen,
        media_tick=chosen.effective_tick,
        queue=queue,
        authorize=authorize,
    )
    await start_group(nursery, group, plans)
    return RistReceiver(group, inflow, queue, plan_for)


async def _connect_one_receiver(
    nursery: trio.Nursery, plan: Plan, queue: PacketQueue[RistPacket], authorize: Authorize | None
) -> RistReceiver:
    if plan.options.merge_callers:
        gathering = await start_gathering(nursery, plan, queue, authorize)
        return RistReceiver(gathering, gathering.inflow, queue)
    endpoints = await plan.open_endpoints()
    runtime = await start_session(
        nursery,
        plan,
        plan.make_receiver(),
        endpoints,
        media_tick=plan.options.effective_tick,
        queue=queue,
        authorize=authorize,
    )
    return RistReceiver(runtime, runtime.core.inflow, queue)


@asynccontextmanager
async def open_rist_sender(
    url: str | Sequence[str],
    *,
    options: RistOptions | None = None,
    authorize: Authorize | None = None,
    **knobs: Unpack[RistKnobs],
) -> AsyncIterator[RistSender]:
    """Send media to a RIST receiver.

    ``rist://host:port`` calls a receiver, ``rist://@host:port`` (or ``rist://@:port``) waits for one to call. The
    URL's query, *options* and the keywords name the same knobs (`RistOptions`); a keyword beats the query, the
    query beats *options*. *authorize* is asked about every peer that calls (`terzetto.rist.tunnel_controls.Authorize`).

    With a list of URLs the flow travels over all of these paths: over each of them in full, or, where ``weight`` is
    set, in shares. A path that fails is an event (`terzetto.rist.events.PathDown`), and the others carry on.

    Leaving the block normally stays until the receiver can no longer ask for repeats; leaving it by an exception
    closes at once.
    """
    async with open_session_nursery() as nursery:
        sender = await connect_rist_sender(nursery, url, options=options, authorize=authorize, **knobs)
        yield sender
        await sender.aclose()


@asynccontextmanager
async def open_rist_receiver(
    url: str | Sequence[str],
    *,
    options: RistOptions | None = None,
    authorize: Authorize | None = None,
    **knobs: Unpack[RistKnobs],
) -> AsyncIterator[RistReceiver]:
    """Receive media from a RIST sender.

    ``rist://@host:port`` (or ``rist://@:port``) waits for a sender to call, ``rist://host:port`` calls a sender that
    listens. For the URL's query, *options* and keywords see `open_rist_sender`. With a list of
    URLs what comes by all of these paths is merged: each packet is handed out once, whichever brought it first.
    """
    async with open_session_nursery() as nursery:
        receiver = await connect_rist_receiver(nursery, url, options=options, authorize=authorize, **knobs)
        yield receiver
        await receiver.aclose()
