"""SRT as an end of a route."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Final

import attrs
import trio

from terzetto.driver.reconnecting import Reconnector
from terzetto.errors import InvalidUrl, PeerError, TerzettoError
from terzetto.gateway.again import retell_reconnection
from terzetto.gateway.contract import Batch, InputSettings, Json, Report, Sink, SinkPlan, Source, SourcePlan
from terzetto.gateway.srt_audience import AudienceSink
from terzetto.net.network import current_network
from terzetto.primitives.datagrams import Buffer
from terzetto.primitives.reconnection import ReconnectGivenUp, Reconnection, ReconnectScheduled
from terzetto.srt import events
from terzetto.srt.api import connect_srt_listener, connect_srt_stream
from terzetto.srt.events import SrtEvent
from terzetto.srt.fan_out import fitting
from terzetto.srt.group import SrtGroup
from terzetto.srt.group_api import connect_srt_group, connect_srt_group_listener
from terzetto.srt.group_dialling import check_member_options
from terzetto.srt.group_listening import SrtGroupListener
from terzetto.srt.listening import SrtListener
from terzetto.srt.stream import SrtStream
from terzetto.srt.url import SrtTarget, target_from_url
from terzetto.url import EndpointUrl

__all__ = ["SrtSink", "SrtSource", "plan_sink", "plan_source"]

# To reach a listener that is not there yet.
_AGAIN: Final = Reconnection(initial=0.5, longest=2.0)
_BETWEEN_COMPLAINTS: Final = 60.0


class _End:
    """The one peer of a route's end, and the next one when it has gone.

    A caller calls again; a listening input takes the next caller, one at a time, as srt-live-transmit does. A
    listening output is an `AudienceSink` instead, unless it is a group's.
    """

    def __init__(self, urls: Sequence[EndpointUrl], nursery: trio.Nursery, report: Report) -> None:
        self._shown = urls
        self._urls = [url.to_string(reveal=True) for url in urls]
        self._wanted = _understand(urls)
        for target in _targets(urls):
            if target.doubt:
                report("doubtful_option", target.doubt, level="warning")
        self._nursery = nursery
        self._report = report
        self._connected = trio.Event()
        self._lost = trio.Event()
        self._details: Mapping[str, Json] = {}
        self._last_complaint = -_BETWEEN_COMPLAINTS
        self.stream: SrtStream | SrtGroup | None = None
        nursery.start_soon(self._keep_connected)

    async def connected(self) -> SrtStream | SrtGroup:
        """The stream to the peer, when there is one."""
        while self.stream is None:
            await self._connected.wait()
        return self.stream

    def statistics(self) -> Mapping[str, Json]:
        """What the present stream counted, or the last one."""
        if self.stream is not None:
            self._details = attrs.asdict(self.stream.statistics())
        return self._details

    def gone(self, stream: SrtStream | SrtGroup) -> None:
        """*stream* has ended; the next one is on its way."""
        if self.stream is stream:
            self.statistics()
            self.stream = None
            self._connected = trio.Event()
            self._lost.set()
        stream.abort()

    async def aclose(self) -> None:
        """Say goodbye when what was sent has arrived."""
        if self.stream is not None:
            await self.stream.aclose()
        else:
            await trio.lowlevel.checkpoint()

    async def _keep_connected(self) -> None:
        wanted = self._wanted
        if wanted.listens:
            listener: SrtListener | SrtGroupListener
            if wanted.is_group:
                listener = await connect_srt_group_listener(self._nursery, self._urls)
            else:
                listener = await connect_srt_listener(self._nursery, self._urls[0])
            while True:
                await self._use(await listener.accept())
        again = Reconnector(
            _AGAIN,
            ",".join(map(str, self._shown)),
            entropy=current_network().entropy,
            tell=lambda event: retell_reconnection(event, self._report),
        )
        while True:
            try:
                stream: SrtStream | SrtGroup
                if wanted.is_group:
                    stream = await connect_srt_group(self._nursery, self._urls, mode=wanted.mode)
                else:
                    stream = await connect_srt_stream(self._nursery, self._urls[0])
            except PeerError as exc:
                self._complain(exc)
                reason = str(exc)
            else:
                again.succeeded()
                await self._use(stream)
                reason = "the connection ended"
            may_go_on = await again.wait(reason)
            assert may_go_on, "this policy never gives up"

    async def _use(self, stream: SrtStream | SrtGroup) -> None:
        self._lost = trio.Event()
        self.stream = stream
        self._connected.set()
        who = f"a {stream.mode} group" if isinstance(stream, SrtGroup) else str(stream.peer_address)
        self._report("peer_connected", f"{who} is connected")
        self._nursery.start_soon(_retell, stream.events(), self._report)
        await self._lost.wait()

    def _complain(self, problem: TerzettoError) -> None:
        now = trio.current_time()
        if now - self._last_complaint >= _BETWEEN_COMPLAINTS:
            self._last_complaint = now
            self._report("no_answer", f"{problem}; trying on", level="warning")


class SrtSource(Source):
    """What one peer after the other sends us."""

    def __init__(self, end: _End) -> None:
        self._end = end

    async def receive(self) -> Batch:
        """The payloads that are due."""
        while True:
            stream = await self._end.connected()
            try:
                packets = await stream.receive_packets()
            except (trio.EndOfChannel, trio.ClosedResourceError, PeerError):
                self._end.gone(stream)
            else:
                return Batch([packet.payload for packet in packets], packets[0].source_time)

    async def deliver_to(self, consume: Callable[[Batch], None]) -> None:
        """Call *consume* in the very task that read the packets, where a single connection allows it."""

        def take(payloads: list[Buffer], source_time: float) -> None:
            consume(Batch(payloads, source_time))

        while True:
            stream = await self._end.connected()
            if isinstance(stream, SrtGroup):
                consume(await self.receive())
                continue
            try:
                await stream.deliver_to(take)
            except (trio.ClosedResourceError, PeerError):
                pass  # gone as well, and said by its events
            self._end.gone(stream)

    def statistics(self) -> Mapping[str, Json]:
        """The stream's counters."""
        return self._end.statistics()

    async def aclose(self) -> None:
        """Close at once."""
        if self._end.stream is not None:
            self._end.stream.abort()
        await trio.lowlevel.checkpoint()


class SrtSink(Sink):
    """Sends to one peer after the other."""

    def __init__(self, end: _End) -> None:
        self._end = end

    def send_nowait(self, batch: Batch) -> Batch | None:
        """Send now, if there is a peer and room."""
        stream = self._end.stream
        if stream is None:
            return batch
        try:
            stream.send_packets_nowait(fitting(batch.payloads, stream.payload_size))
        except trio.WouldBlock:
            return batch
        except (PeerError, trio.ClosedResourceError):
            self._end.gone(stream)
            return batch
        return None

    async def send(self, batch: Batch) -> None:
        """Send as soon as there is a peer and room."""
        while True:
            stream = await self._end.connected()
            try:
                await stream.send_packets(fitting(batch.payloads, stream.payload_size))
            except (PeerError, trio.ClosedResourceError):
                self._end.gone(stream)
            else:
                return

    async def wait_ready(self) -> None:
        """Wait until there is a peer."""
        await self._end.connected()

    def statistics(self) -> Mapping[str, Json]:
        """The stream's counters."""
        return self._end.statistics()

    async def aclose(self) -> None:
        """Stay until what was sent has arrived, then say goodbye."""
        await self._end.aclose()


@attrs.frozen
class _Wanted:
    """What the URLs of an end ask for together."""

    listens: bool
    is_group: bool
    mode: str


def _targets(urls: Sequence[EndpointUrl]) -> list[SrtTarget]:
    return [target_from_url(url.to_string(reveal=True), None, {}) for url in urls]


def _understand(urls: Sequence[EndpointUrl]) -> _Wanted:
    targets = _targets(urls)
    modes = {target.group_mode for target in targets if target.group_mode is not None}
    listens = {target.listen for target in targets}
    if len(listens) > 1:
        raise InvalidUrl("some of the paths call and some listen", hint="let one side call on all of them")
    if len(modes) > 1:
        raise InvalidUrl(f"groupmode is {' and '.join(sorted(modes))}; it must be the same on all paths")
    is_group = len(urls) > 1 or bool(modes) or any(target.options.group_connect for target in targets)
    if is_group:
        for target in targets:
            check_member_options(target.options)
    return _Wanted(listens.pop(), is_group, modes.pop() if modes else "broadcast")


def plan_source(url: EndpointUrl, settings: InputSettings) -> SourcePlan:
    """Receive from *url*, or from who calls there."""
    return plan_bonded_source([url], settings)


def plan_sink(url: EndpointUrl) -> SinkPlan:
    """Send to *url*, or to who calls there."""
    return plan_bonded_sink([url])


def plan_bonded_source(urls: Sequence[EndpointUrl], settings: InputSettings) -> SourcePlan:
    """Receive what comes over all *urls* as one stream."""
    del settings
    _understand(urls)

    async def open_source(nursery: trio.Nursery, report: Report) -> Source:
        await trio.lowlevel.checkpoint()
        return SrtSource(_End(urls, nursery, report))

    return SourcePlan(urls[0], open_source, tuple(urls[1:]))


def plan_bonded_sink(urls: Sequence[EndpointUrl]) -> SinkPlan:
    """Send one stream over all *urls*."""
    wanted = _understand(urls)

    async def open_sink(nursery: trio.Nursery, report: Report) -> Sink:
        if wanted.listens and not wanted.is_group:
            return await AudienceSink.open(urls[0].to_string(reveal=True), nursery, report)
        await trio.lowlevel.checkpoint()
        return SrtSink(_End(urls, nursery, report))

    return SinkPlan(urls[0], open_sink, tuple(urls[1:]))


async def _retell(happenings: AsyncGenerator[SrtEvent, None], report: Report) -> None:
    async for event in happenings:
        match event:
            case events.PeerLost():
                report("peer_lost", f"{event.peer}: {event.reason}", level="warning")
            case events.PeerClosed():
                report("peer_lost", f"{event.peer} said goodbye")
            case events.ConnectionRefused():
                report("refused", f"{event.peer} was turned away: {event.reason}", level="warning")
            case events.MemberJoined():
                report("member_joined", f"{event.peer} joined the group")
            case events.MemberLost():
                report("member_lost", f"{event.target}: {event.reason}", level="warning")
            case events.MemberChanged():
                report("member_changed", f"{event.peer} is {event.state.value}")
            case ReconnectScheduled() | ReconnectGivenUp():
                retell_reconnection(event, report)
            case events.KeyRotated():
                report("key_rotated", "the next key is in use")
