"""Reliable byte streams between simulated hosts: the delay, rate and partitions of a link, and resets.

What a link loses arrives later rather than not at all, as TCP makes it; the order stays. A sender has a window: what
the receiver has not read counts against it, so a slow reader is felt.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from operator import index
from random import Random
from typing import TYPE_CHECKING, Final

import trio

from terzetto.errors import ConnectionRefusedByPeer, NoRoute, PeerTimedOut
from terzetto.net.simulated.addresses import canonical, is_loopback
from terzetto.net.simulated.nat import Nat
from terzetto.net.stream import ByteListener, ByteStream
from terzetto.primitives.datagrams import Address, Buffer
from terzetto.primitives.impairment import IndependentLoss
from terzetto.primitives.time import Micros

if TYPE_CHECKING:
    from terzetto.net.simulated.host import SimulatedHost
    from terzetto.net.simulated.link import Link
    from terzetto.net.simulated.network import SimulatedNetwork

__all__ = ["DEFAULT_WINDOW", "SimulatedListener", "SimulatedStream", "connect", "listen"]

DEFAULT_WINDOW: Final = 256 * 1024
_SEGMENT: Final = 1448
_HEADERS: Final = 52
# Linux's floor for the retransmission timer.
_LEAST_TIMEOUT: Final = 0.2
# While a link is cut senders try again ever more rarely; this is a fair middle.
_RETRY: Final = 0.5
_PATIENCE: Final = 60.0


class _Pipe:
    """One direction of a connection."""

    def __init__(self, link: Link, random: Random, window: int) -> None:
        self._link = link
        self._random = random
        self._window = window
        self._in_flight: deque[tuple[float, bytes]] = deque()
        self._waiting: deque[bytes] = deque()
        self._arrived = bytearray()
        self._busy_until = 0.0
        self._last_arrival = 0.0
        self._ends_at = math.inf
        self._outstanding = 0
        self.changed = trio.Event()
        self.is_reset = False
        self.is_abandoned = False
        self.holds: Callable[[], bool] | None = None
        self.refuse: Callable[[], None] | None = None

    @property
    def room(self) -> int:
        return max(0, self._window - self._outstanding)

    def send(self, data: Buffer) -> int:
        taken = bytes(data[: self.room])
        self._outstanding += len(taken)
        for start in range(0, len(taken), _SEGMENT):
            self._waiting.append(taken[start : start + _SEGMENT])
        self.settle()
        self.wake()
        return len(taken)

    def finish(self) -> None:
        """No more comes after what was sent."""
        self._waiting.append(b"")
        self.settle()
        self.wake()

    def reset(self) -> None:
        self.is_reset = True
        self.wake()

    def abandon(self) -> None:
        """Nobody reads any more; whoever writes is told, as by a reset."""
        if self._passes():
            self.is_abandoned = True
        self.wake()

    def _passes(self) -> bool:
        """Whether the translator between the ends, where there is one, still knows the connection."""
        if self.holds is None or self.holds():
            return True
        if self.refuse is not None:
            self._waiting.clear()
            self.refuse()
        return False

    def settle(self) -> None:
        """Let what waits enter the link, if it is up, and what is due arrive."""
        now = trio.current_time()
        conditions = self._link.conditions
        is_open = conditions.up and (not self._waiting or self._passes())
        while self._waiting and is_open:
            segment = self._waiting.popleft()
            start = max(now, self._busy_until)
            if conditions.rate is not None:
                self._busy_until = start = start + 8 * (len(segment) + _HEADERS) / conditions.rate
            arrival = start + conditions.delay
            for model in conditions.loss:
                if isinstance(model, IndependentLoss) and self._random.random() < model.probability:
                    arrival += max(_LEAST_TIMEOUT, 2 * conditions.delay)
            self._last_arrival = max(self._last_arrival, arrival)
            self._in_flight.append((self._last_arrival, segment))
        while self._in_flight and self._in_flight[0][0] <= now:
            moment, segment = self._in_flight.popleft()
            if segment:
                self._arrived += segment
            else:
                self._ends_at = moment

    def next_moment(self) -> float:
        """When there is something to settle."""
        if self._waiting:
            return trio.current_time() + _RETRY
        return self._in_flight[0][0] if self._in_flight else math.inf

    def take(self, size: int) -> bytes | None:
        """What has arrived; empty at the end, None when nothing has."""
        self.settle()
        if self._arrived:
            data = bytes(self._arrived[:size])
            del self._arrived[:size]
            self._outstanding -= len(data)
            self.wake()
            return data
        return b"" if self._ends_at <= trio.current_time() else None

    def wake(self) -> None:
        self.changed.set()
        self.changed = trio.Event()


class SimulatedStream(ByteStream):
    """One end of a simulated connection."""

    def __init__(self, local: Address, peer: Address, outgoing: _Pipe, incoming: _Pipe) -> None:
        self._local = local
        self._peer = peer
        self._outgoing = outgoing
        self._incoming = incoming
        self._closed = False
        self._is_sending = False
        self._is_receiving = False

    @property
    def local_address(self) -> Address:
        """Our end."""
        return self._local

    @property
    def peer_address(self) -> Address:
        """The other end, as we see it."""
        return self._peer

    def send_nowait(self, data: Buffer) -> int:
        """Send as much as the window takes."""
        self._check()
        if self._outgoing.is_abandoned:
            raise trio.BrokenResourceError("the other end was closed")
        return self._outgoing.send(data)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send all of *data*, waiting for the window."""
        if self._is_sending:
            raise trio.BusyResourceError("another task is sending on this connection")
        self._is_sending = True
        try:
            await trio.lowlevel.checkpoint()
            view = memoryview(bytes(data))
            self._check()
            while view:
                view = view[self.send_nowait(view) :]
                if view:
                    await self._outgoing.changed.wait()
        finally:
            self._is_sending = False

    async def wait_send_all_might_not_block(self) -> None:
        """Wait for the window."""
        if self._is_sending:
            raise trio.BusyResourceError("another task is sending on this connection")
        self._is_sending = True
        try:
            await trio.lowlevel.checkpoint()
            self._check()
            while not self._outgoing.room and not self._outgoing.is_abandoned:
                await self._outgoing.changed.wait()
                self._check()
        finally:
            self._is_sending = False

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Wait for bytes; empty at the end."""
        # A fraction of a byte is the caller's mistake, to be heard before anybody waits.
        if max_bytes is not None and index(max_bytes) < 1:
            raise ValueError("max_bytes must be at least 1")
        if self._is_receiving:
            raise trio.BusyResourceError("another task is receiving on this connection")
        self._is_receiving = True
        try:
            await trio.lowlevel.checkpoint()
            pipe = self._incoming
            while True:
                self._check()
                data = pipe.take(max_bytes or DEFAULT_WINDOW)
                if data is not None:
                    return data
                with trio.move_on_at(pipe.next_moment()):
                    await pipe.changed.wait()
        finally:
            self._is_receiving = False

    def reset(self) -> None:
        """Break the connection for both ends, now."""
        self._outgoing.reset()
        self._incoming.reset()

    def close(self) -> None:
        """Close; what was sent still arrives."""
        if not self._closed:
            self._closed = True
            self._outgoing.finish()
            self._incoming.abandon()

    async def aclose(self) -> None:
        """Close; what was sent still arrives."""
        self.close()
        await trio.lowlevel.checkpoint()

    def _check(self) -> None:
        if self._closed:
            raise trio.ClosedResourceError
        if self._outgoing.is_reset:
            raise trio.BrokenResourceError("the connection was reset")


class SimulatedListener(ByteListener):
    """Accepts simulated connections."""

    def __init__(self, host: SimulatedHost, local: Address, backlog: int) -> None:
        self._host = host
        self._local = local
        self._send, self._receive = trio.open_memory_channel[SimulatedStream](backlog)
        self._closed = False

    @property
    def local_address(self) -> Address:
        """Where it listens."""
        return self._local

    def offer(self, stream: SimulatedStream) -> bool:
        """A connection arrives; whether there is room for it."""
        try:
            self._send.send_nowait(stream)
        except (trio.WouldBlock, trio.BrokenResourceError, trio.ClosedResourceError):
            return False
        return True

    async def accept(self) -> SimulatedStream:
        """Wait for a connection."""
        try:
            return await self._receive.receive()
        except trio.EndOfChannel:
            raise trio.ClosedResourceError from None

    async def aclose(self) -> None:
        """Stop listening."""
        if not self._closed:
            self._closed = True
            self._host.tcp_listeners.pop(self._local.port, None)
            self._send.close()
            self._receive.close()
        await trio.lowlevel.checkpoint()


def listen(host: SimulatedHost, local: Address, backlog: int) -> SimulatedListener:
    """Listen on a port of *host*, which must be free."""
    listener = SimulatedListener(host, local, backlog)
    host.tcp_listeners[local.port] = listener
    return listener


async def connect(host: SimulatedHost, peer: Address, local_port: int) -> SimulatedStream:
    """Connect from *host* to *peer*, which takes a round trip."""
    target = canonical(peer.host)
    network = host.network
    owner = host if is_loopback(target) else network.owner(target)
    if owner is None or isinstance(owner, Nat):
        await trio.sleep(_RETRY)
        raise NoRoute(f"nobody takes connections at {peer}")
    source_host = target if owner is host else host.interface_address(None, ipv6=":" in target)
    if source_host is None:
        raise NoRoute(f"{host.name} has no address to reach {peer} from")
    source = Address(source_host, local_port)
    seen = source
    holds: Callable[[Micros], bool] | None = None
    if owner is host:
        there = back = network.loopback(host.name)
    else:
        if host.nat is not None and not host.nat.is_inside(owner):
            seen = host.nat.translate(source, peer, network.elapsed()) or source
            holds = host.nat.find(seen, peer, network.elapsed())[1]
        there = network.link_for((source_host, host.name), (target, owner.name))
        back = network.link_for((target, owner.name), (source_host, host.name))
    with trio.move_on_after(_PATIENCE) as patience:
        # A sender of SYNs polls as well.
        while not (there.conditions.up and back.conditions.up):  # noqa: ASYNC110
            await trio.sleep(_RETRY)
        await trio.sleep(there.conditions.delay + back.conditions.delay)
    if patience.cancelled_caught:
        raise PeerTimedOut(f"{peer} does not answer", hint="check the address, and any firewall between")
    listener = owner.tcp_listeners.get(peer.port)
    if listener is None or listener.local_address.host not in ("", "0.0.0.0", "::", target):
        raise ConnectionRefusedByPeer(
            f"nobody listens on {peer}", hint="check the port, and whether the server runs"
        )
    random = Random(f"{network.seed}/tcp/{seen}/{peer}")
    forth_pipe, back_pipe = _Pipe(there, random, DEFAULT_WINDOW), _Pipe(back, random, DEFAULT_WINDOW)
    if holds is not None:
        _translate(network, forth_pipe, back_pipe, holds)
    if not listener.offer(SimulatedStream(Address(target, peer.port), seen, back_pipe, forth_pipe)):
        raise PeerTimedOut(f"{peer} does not answer: its backlog is full")
    return SimulatedStream(source, peer, forth_pipe, back_pipe)


def _translate(network: SimulatedNetwork, forth: _Pipe, back: _Pipe, holds: Callable[[Micros], bool]) -> None:
    """Let a connection stand only as long as the translator between its ends remembers it."""

    def refuse() -> None:
        forth.reset()
        back.wake()  # who waits for what comes back is reset as well

    def still() -> bool:
        return holds(network.elapsed())

    forth.holds, forth.refuse, back.holds = still, refuse, still
