"""Many flows on one port: a listener that accepts each sender's flow as a receiver of its own.

In the Simple profile the flow's number (SSRC) tells senders apart, on the media port and on the report port alike; in
the Main and Advanced profiles it is their address.
Each flow is a session with virtual endpoints on the shared sockets; strangers are bounded in number, and whoever
never sends media is let go when its session times out.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Hashable
from contextlib import asynccontextmanager
from struct import Struct
from typing import Final, Unpack

import trio

from terzetto.driver.delivery import EventHub, PacketQueue
from terzetto.driver.mux import DatagramMux, Route, by_datagram, by_peer
from terzetto.driver.nursery import open_session_nursery
from terzetto.errors import InvalidUrl, UnsupportedOperation
from terzetto.net.endpoint import DatagramEndpoint, Run
from terzetto.primitives.datagrams import Address, Buffer
from terzetto.primitives.time import seconds
from terzetto.rist.api import RistReceiver
from terzetto.rist.core.auto import looks_like_simple
from terzetto.rist.core.profile import MEDIA
from terzetto.rist.events import FlowStarted, PeerLost, RistEvent, RistPacket
from terzetto.rist.options import RistKnobs, RistOptions
from terzetto.rist.plan import Plan, prepare
from terzetto.rist.runtime import Runtime
from terzetto.rist.streams import check_multiplexing
from terzetto.rist.tunnel_controls import Authorize

__all__ = ["MAX_FLOWS", "RistListener", "open_rist_listener"]

MAX_FLOWS: Final = 256
"""Flows that may hold state at once; packets of any more are counted as strangers'."""

_MEDIA_SSRC: Final = Struct("!8xI")
_REPORT_SSRC: Final = Struct("!4xI")
_FLOW_MASK: Final = 0xFFFF_FFFE

# A login takes a handful of round trips, and may be asked about by the application.
_LOGIN_PATIENCE: Final = 15.0


class RistListener(trio.abc.Listener[RistReceiver]):
    """Accepts flows one by one; works with `trio.serve_listeners`.

    An accepted receiver ends (``receive_some`` gives ``b""``) when its sender has said goodbye, or was silent for
    ``session_timeout``.
    """

    def __init__(
        self,
        plan: Plan,
        endpoints: list[DatagramEndpoint],
        nursery: trio.Nursery,
        limit: int,
        authorize: Authorize | None = None,
        *,
        multiplexed: bool = False,
    ) -> None:
        self.multiplexed = multiplexed
        self.authorize = authorize
        self._plan = plan
        self._nursery = nursery
        self._endpoints = endpoints
        self._limit = limit
        self._flows: dict[Hashable, _Flow] = {}
        self._accepted, self._to_accept = trio.open_memory_channel[RistReceiver](limit)
        self._closed = False
        self.events_hub: EventHub[RistEvent] = EventHub()
        routes: list[Route] = [by_peer]
        if plan.options.profile == "simple":
            routes = [by_datagram(_flow_of(_MEDIA_SSRC)), by_datagram(_flow_of(_REPORT_SSRC))]
        elif plan.options.profile == "auto":
            routes = [by_datagram(_flow_or_peer), by_datagram(_flow_of(_REPORT_SSRC))]
        self.muxes = [
            DatagramMux(
                endpoint,
                route=route,
                strangers=self._meet,
                tick=plan.options.effective_tick if channel == MEDIA else 0.0,
                limit=limit,
            )
            for channel, (endpoint, route) in enumerate(zip(endpoints, routes, strict=True))
        ]

    @property
    def local_address(self) -> Address:
        """Where we listen."""
        return self._endpoints[MEDIA].local_address

    async def accept(self) -> RistReceiver:
        """Wait for the first media of a flow; a receiver of that flow."""
        if self._closed:
            raise trio.ClosedResourceError
        try:
            return await self._to_accept.receive()
        except trio.EndOfChannel:
            raise trio.ClosedResourceError from None

    async def aclose(self) -> None:
        """Stop listening, and close every flow."""
        self._closed = True
        for flow in list(self._flows.values()):
            flow.runtime.close()
        for mux in self.muxes:
            mux.close()
        self._accepted.close()
        self.events_hub.close()
        await trio.lowlevel.checkpoint()

    def events(self) -> AsyncGenerator[RistEvent, None]:
        """What happens to any of the flows, after the most recent of what has happened."""
        return self.events_hub.listen()

    @property
    def flows(self) -> int:
        """How many flows hold state now, those included that have not sent media yet."""
        return len(self._flows)

    def _meet(self, key: Hashable, run: Run) -> None:
        del run
        # Flows that were accepted by nobody yet count even when they have ended: the queue has so many places.
        held = len(self._flows) + self._to_accept.statistics().current_buffer_used
        if key is None or key in self._flows or held >= self._limit or self._closed:
            return
        flow = self._flows[key] = _Flow(self, key, self._plan)
        self._nursery.start_soon(flow.run)

    @property
    def has_logins(self) -> bool:
        """Whether peers have to log in, or wait for the application's word."""
        return self._plan.credentials is not None or self.authorize is not None

    def forget(self, key: Hashable) -> None:
        """A flow has ended."""
        self._flows.pop(key, None)

    def offer(self, receiver: RistReceiver) -> None:
        """A flow has begun; there is room, since no more flows than that may exist."""
        self._accepted.send_nowait(receiver)


class _Flow:
    """One flow from its first datagram to its end."""

    def __init__(self, listener: RistListener, key: Hashable, plan: Plan) -> None:
        self._listener = listener
        self._key = key
        self._queue = PacketQueue[RistPacket](plan.options.delivery_limit)
        endpoints = [mux.open(key) for mux in listener.muxes]
        self.runtime = Runtime(
            plan.make_receiver(),
            endpoints,
            plan,
            media_tick=0.0,
            queue=self._queue,
            authorize=listener.authorize,
        )
        if listener.multiplexed:
            self.runtime.core.inflow.tell_streams()
        self._started = False
        self._over = trio.Event()

    async def run(self) -> None:
        """Serve the flow until its sender is gone."""
        self.runtime.on_event = self._hear
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self.runtime.run)
                nursery.start_soon(self._expire_silently)
                await self._over.wait()
                await self._let_the_rest_out()
                nursery.cancel_scope.cancel()
        finally:
            self._queue.end()
            self.runtime.stop()
            self._listener.forget(self._key)

    def _hear(self, event: RistEvent) -> None:
        self._listener.events_hub.publish(event)
        if isinstance(event, FlowStarted) and not self._started:
            self._started = True
            self._listener.offer(RistReceiver(self.runtime, self.runtime.core.inflow, self._queue))
        elif isinstance(event, PeerLost):
            self._over.set()

    async def _expire_silently(self) -> None:
        """Whoever opened a session and sends no media does not keep it."""
        patience = self.runtime.options.session_timeout
        if self._listener.has_logins:
            patience = max(patience, _LOGIN_PATIENCE)
        await trio.sleep(patience)
        if not self._started:
            self._over.set()

    async def _let_the_rest_out(self) -> None:
        """Packets in the recovery buffer are still delivered when their time comes."""
        flow = self.runtime.core.flow
        if flow is not None and flow.waiting:
            await trio.sleep(seconds(flow.buffer) + self.runtime.options.effective_tick)


def _flow_of(where: Struct) -> Callable[[Run, Buffer], Hashable]:
    def flow_of(_run: Run, datagram: Buffer) -> Hashable:
        if len(datagram) < where.size:
            return None
        (ssrc,) = where.unpack_from(datagram)
        return int(ssrc & _FLOW_MASK)

    return flow_of


def _flow_or_peer(run: Run, datagram: Buffer) -> Hashable:
    return _MEDIA_FLOW(run, datagram) if looks_like_simple(datagram) else run.peer


_MEDIA_FLOW: Final = _flow_of(_MEDIA_SSRC)


@asynccontextmanager
async def open_rist_listener(
    url: str,
    *,
    options: RistOptions | None = None,
    limit: int = MAX_FLOWS,
    authorize: Authorize | None = None,
    multiplexed: bool = False,
    **knobs: Unpack[RistKnobs],
) -> AsyncIterator[RistListener]:
    """Listen for RIST senders at ``rist://@:port`` and accept each flow as a receiver of its own.

    At most *limit* flows hold state at a time. *authorize* is asked about every peer that calls. With *multiplexed*
    each flow of the Main profile may carry several streams on virtual ports of their own, which
    `RistReceiver.open_streams` tells apart from the first packet on. For the knobs see `RistOptions`.
    """
    plan = await prepare(url, options, knobs, authorize=authorize is not None)
    if multiplexed:
        check_multiplexing(plan.options)
    if plan.options.fec is not None:
        raise UnsupportedOperation(
            "fec cannot be told apart by flow, and a listener has many",
            hint="leave fec out, or receive one flow with open_rist_receiver",
        )
    if plan.options.merge_callers:
        raise UnsupportedOperation(
            "a listener accepts every caller as a receiver of its own", hint="use open_rist_receiver"
        )
    if plan.remote is not None:
        raise InvalidUrl(
            f"{plan.url} calls, and a listener waits to be called", hint="write rist://@host:port"
        )
    async with open_session_nursery() as nursery:
        listener = RistListener(
            plan, await plan.open_endpoints(), nursery, limit, authorize, multiplexed=multiplexed
        )
        try:
            for mux in listener.muxes:
                await nursery.start(mux.run)
            yield listener
        finally:
            with trio.CancelScope(shield=True):
                await listener.aclose()
