"""One flow for many receivers on one port: whoever calls, and may, gets the stream from then on.

Each caller has a session of its own on the shared socket: its keys, its login, its round trip and its repeats are
nobody else's business, and one that loses much costs the others nothing. Their number is bounded.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Hashable, Sequence
from contextlib import asynccontextmanager
from typing import Final, Unpack

import trio

from terzetto.driver.clock import current_micros
from terzetto.driver.delivery import EventHub
from terzetto.driver.mux import DatagramMux
from terzetto.driver.nursery import open_session_nursery
from terzetto.errors import InvalidOption, InvalidUrl, UnsupportedOperation
from terzetto.net.endpoint import DatagramEndpoint, Run
from terzetto.primitives.datagrams import Address, Buffer
from terzetto.primitives.time import micros
from terzetto.rist.core.sender import Sender
from terzetto.rist.events import PeerConnected, PeerLost, RistEvent
from terzetto.rist.options import MAX_PAYLOAD_SIZE, RistKnobs, RistOptions
from terzetto.rist.plan import Plan, prepare
from terzetto.rist.runtime import Runtime
from terzetto.rist.snapshots import sender_statistics
from terzetto.rist.statistics import RistSenderStatistics
from terzetto.rist.tunnel_controls import Authorize

__all__ = ["MAX_RECEIVERS", "RistBroadcaster", "open_rist_broadcaster"]

MAX_RECEIVERS: Final = 256
"""Callers that may hold state at once; datagrams of any more are counted as strangers'."""

# A login takes a handful of round trips, and may be asked about by the application.
_LOGIN_PATIENCE: Final = 15.0


class RistBroadcaster(trio.abc.SendStream):
    """Sends one flow to every receiver that calls.

    It never waits for a receiver: live media goes to those who are there, and to nobody when nobody is. A receiver's
    first packet is the first that was sent after it had connected.
    """

    def __init__(
        self,
        plan: Plan,
        endpoint: DatagramEndpoint,
        nursery: trio.Nursery,
        limit: int,
        authorize: Authorize | None = None,
    ) -> None:
        self.plan = plan
        self.authorize = authorize
        self._endpoint = endpoint
        self._nursery = nursery
        self._limit = limit
        self._flow_id = plan.choose_flow_id()
        self._members: dict[Hashable, _Member] = {}
        self._closed = False
        self.events_hub: EventHub[RistEvent] = EventHub()
        self.mux = DatagramMux(endpoint, strangers=self._meet, limit=limit)

    @property
    def local_address(self) -> Address:
        """Where we listen."""
        return self._endpoint.local_address

    @property
    def flow_id(self) -> int:
        """The number of our flow (its SSRC), the same for all."""
        return self._flow_id

    @property
    def receivers(self) -> int:
        """How many receivers get what is sent now."""
        return sum(member.core.may_send for member in self._members.values())

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send *data*, cut into payloads of ``payload_size`` bytes; the last one may be shorter."""
        view = memoryview(bytes(data))
        size = self.plan.options.payload_size
        await self.send_packets([view[start : start + size] for start in range(0, len(view), size)])

    async def send_packet(self, payload: Buffer, *, source_time: float | None = None) -> None:
        """Send one payload as one packet; *source_time* is its moment on trio's clock, if not now."""
        await self.send_packets([payload], source_time=source_time)

    async def send_packets(self, payloads: Sequence[Buffer], *, source_time: float | None = None) -> None:
        """Send several payloads, one packet each, as one batch; for a receiver that lags behind it is shed."""
        await trio.lowlevel.checkpoint()
        if self._closed:
            raise trio.ClosedResourceError
        longest = max(map(len, payloads), default=0)
        if longest > MAX_PAYLOAD_SIZE:
            raise InvalidOption(f"a payload has {longest} bytes, must have at most {MAX_PAYLOAD_SIZE}")
        now = current_micros()
        moment = None if source_time is None else micros(source_time)
        for member in self._members.values():
            if member.core.may_send:
                member.core.send(payloads, now=now, source_time=moment)
                member.runtime.session.commanded(now)

    async def wait_send_all_might_not_block(self) -> None:
        """It never does."""
        await trio.lowlevel.checkpoint()
        if self._closed:
            raise trio.ClosedResourceError

    async def aclose(self) -> None:
        """Say goodbye to every receiver, and close, at once."""
        if not self._closed:
            self._closed = True
            for member in list(self._members.values()):
                member.core.close(now=current_micros())
                member.runtime.session.drain()
                member.runtime.close()
            self.mux.close()
            self.events_hub.close()
        await trio.lowlevel.checkpoint()

    def statistics(self) -> list[RistSenderStatistics]:
        """A snapshot of each receiver's counters."""
        now = current_micros()
        return [
            sender_statistics(
                member.core.outflow, now=now, batches_shed=member.runtime.session.statistics().batches_shed
            )
            for member in self._members.values()
        ]

    def events(self) -> AsyncGenerator[RistEvent, None]:
        """What happens to any of the receivers, after the most recent of what has happened."""
        return self.events_hub.listen()

    def _meet(self, key: Hashable, run: Run) -> None:
        del run
        if key in self._members or len(self._members) >= self._limit or self._closed:
            return
        member = self._members[key] = _Member(self, key)
        self._nursery.start_soon(member.run)

    def make_core(self) -> Sender:
        """A sending core for one more caller."""
        return self.plan.make_sender(flow_id=self._flow_id)

    def forget(self, key: Hashable) -> None:
        """A receiver is gone."""
        self._members.pop(key, None)


class _Member:
    """One receiver, from its first datagram to its loss."""

    def __init__(self, broadcaster: RistBroadcaster, key: Hashable) -> None:
        self._broadcaster = broadcaster
        self._key = key
        self.core = broadcaster.make_core()
        self.runtime = Runtime(
            self.core,
            [broadcaster.mux.open(key)],
            broadcaster.plan,
            media_tick=0.0,
            queue=None,
            authorize=broadcaster.authorize,
        )
        self._connected = False
        self._over = trio.Event()

    async def run(self) -> None:
        """Serve the receiver until it is gone."""
        self.runtime.on_event = self._hear
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self.runtime.run)
                nursery.start_soon(self._expire)
                await self._over.wait()
                nursery.cancel_scope.cancel()
        finally:
            self.runtime.close()
            self._broadcaster.forget(self._key)

    def _hear(self, event: RistEvent) -> None:
        self._broadcaster.events_hub.publish(event)
        if isinstance(event, PeerConnected):
            self._connected = True
        elif isinstance(event, PeerLost):
            self._over.set()

    async def _expire(self) -> None:
        """Whoever knocks and does not come in does not keep a place."""
        plan = self._broadcaster.plan
        patience = plan.options.session_timeout
        if plan.credentials is not None or self._broadcaster.authorize is not None:
            patience = max(patience, _LOGIN_PATIENCE)
        await trio.sleep(patience)
        if not self._connected:
            self._over.set()


@asynccontextmanager
async def open_rist_broadcaster(
    url: str,
    *,
    options: RistOptions | None = None,
    limit: int = MAX_RECEIVERS,
    authorize: Authorize | None = None,
    **knobs: Unpack[RistKnobs],
) -> AsyncIterator[RistBroadcaster]:
    """Send one flow to every receiver that calls ``rist://@:port``, at most *limit* at a time.

    *authorize* is asked about every peer that calls. For the knobs see `RistOptions`; the profile is Main or
    Advanced, in which one port serves many.
    """
    plan = await prepare(url, options, knobs, sends=True, authorize=authorize is not None)
    if plan.remote is not None:
        raise InvalidUrl(
            f"{plan.url} calls, and a broadcaster waits to be called", hint="write rist://@host:port"
        )
    if plan.options.profile not in ("main", "advanced") or plan.options.fec is not None:
        raise UnsupportedOperation(
            "receivers cannot be told apart by one port in the Simple profile, nor with fec",
            hint="use profile=main, and leave fec out",
        )
    async with open_session_nursery() as nursery:
        (endpoint,) = await plan.open_endpoints()
        broadcaster = RistBroadcaster(plan, endpoint, nursery, limit, authorize)
        try:
            await nursery.start(broadcaster.mux.run)
            yield broadcaster
        finally:
            with trio.CancelScope(shield=True):
                await broadcaster.aclose()
