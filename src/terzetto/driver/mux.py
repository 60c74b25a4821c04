"""Many cores on one socket.

A listener has one port and many peers. The mux reads the shared endpoint and deals out what arrived to *virtual
endpoints*, one for each key that *route* finds in a run (its peer, unless told otherwise), so that a session
cannot tell that its socket is shared::

    shared endpoint -> reader --route--> MuxedEndpoint per key (bounded, sheds the oldest)
                                   \\--> strangers(key, runs), who may open one
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Final, TypeAlias

import attrs
import trio

from terzetto.net.coalesce import CoalescingReader
from terzetto.net.endpoint import Address, DatagramEndpoint, EndpointStatistics, Run, Trouble

__all__ = ["DatagramMux", "MuxStatistics", "MuxedEndpoint", "Route", "by_datagram", "by_peer"]

Route: TypeAlias = Callable[[Run], Iterable[tuple[Hashable, Run]]]
"""Takes a run apart into runs of one key each, in order. It reads what strangers wrote, and must not raise."""

# As much as a kernel socket of ours may hold: a session that is this far behind wants what is new.
DEFAULT_BACKLOG: Final = 8 << 20

# A stranger costs a session; how many are bearable is the application's to say, that there is an end to it is ours.
DEFAULT_LIMIT: Final = 4096

_TROUBLES_KEPT: Final = 64


def by_peer(run: Run) -> Iterable[tuple[Hashable, Run]]:
    """One key for each peer: its address."""
    return ((run.peer, run),)


def by_datagram(key: Callable[[Run, bytes | memoryview], Hashable]) -> Route:
    """A route that asks *key* of every datagram, and keeps neighbours of one key together."""

    def route(run: Run) -> Iterable[tuple[Hashable, Run]]:
        parts: list[tuple[Hashable, list[bytes | memoryview]]] = []
        for datagram in run.datagrams:
            found = key(run, datagram)
            if parts and parts[-1][0] == found:
                parts[-1][1].append(datagram)
            else:
                parts.append((found, [datagram]))
        return [(found, run._replace(datagrams=datagrams)) for found, datagrams in parts]

    return route


@attrs.frozen
class MuxStatistics:
    """Counters of one mux."""

    endpoints: int = 0
    """Virtual endpoints that are open now."""
    strangers: int = 0
    """Datagrams that no virtual endpoint was open for and no one opened one."""
    shed: int = 0
    """Datagrams dropped because a virtual endpoint was not read fast enough."""


class DatagramMux:
    """Shares *endpoint* among virtual endpoints; `run` must be running for them to receive.

    *strangers* is called with a key that no virtual endpoint is open for, and the run that brought it; it may call
    `open`, and the endpoint it opens starts with that run. It must not block. Once *limit* endpoints are open it is
    not asked any more. *backlog* bounds the bytes that may wait in each.
    """

    def __init__(
        self,
        endpoint: DatagramEndpoint,
        *,
        route: Route = by_peer,
        strangers: Callable[[Hashable, Run], None] | None = None,
        tick: float = 0.0,
        backlog: int = DEFAULT_BACKLOG,
        limit: int = DEFAULT_LIMIT,
    ) -> None:
        self.endpoint = endpoint
        self._route = route
        self._strangers = strangers
        self._tick = tick
        self._backlog = backlog
        self._limit = limit
        self._open: dict[Hashable, MuxedEndpoint] = {}
        # Who sent to an address last hears what the network says about it.
        self._senders: dict[Address, MuxedEndpoint] = {}
        # The kernel lets one task wait for room; with many sessions more may want to.
        self._send_lock = trio.Lock()
        self._ignored = 0
        self._shed = 0
        self._closed = False

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Deal out what arrives until the mux is closed or this is cancelled; closes everything on the way out."""
        reader = CoalescingReader(self.endpoint, tick=self._tick)
        task_status.started()
        try:
            while True:
                for run in await reader.receive():
                    for key, part in self._route(run):
                        self._hand_over(key, part)
                self.collect_troubles()
        except trio.ClosedResourceError:
            if not self._closed:
                raise
        finally:
            self.close()

    def open(self, key: Hashable) -> MuxedEndpoint:
        """A virtual endpoint that receives what is routed to *key* from now on."""
        if self._closed:
            raise trio.ClosedResourceError("this mux is closed")
        if key in self._open:
            raise trio.BusyResourceError(f"an endpoint for {key} is open already")
        endpoint = self._open[key] = MuxedEndpoint(self, key, self._backlog)
        return endpoint

    def close(self) -> None:
        """Close the shared endpoint and every virtual one; harmless when closed already."""
        self._closed = True
        for endpoint in list(self._open.values()):
            endpoint.close()
        self.endpoint.close()

    def statistics(self) -> MuxStatistics:
        """Counters since the mux was made."""
        return MuxStatistics(endpoints=len(self._open), strangers=self._ignored, shed=self._shed)

    def _hand_over(self, key: Hashable, run: Run) -> None:
        endpoint = self._open.get(key)
        if endpoint is None:
            if self._strangers is not None and len(self._open) < self._limit:
                self._strangers(key, run)
                endpoint = self._open.get(key)
            if endpoint is None:
                self._ignored += len(run.datagrams)
                return
        self._shed += endpoint.put(run)

    # What follows is for virtual endpoints.

    def send_nowait(self, sender: MuxedEndpoint, runs: Sequence[Run]) -> list[Run]:
        """Send on the shared endpoint what fits."""
        for run in runs:
            if self._senders.get(run.peer) is not sender:
                self._senders[run.peer] = sender
                sender.peers.add(run.peer)
        return self.endpoint.send_nowait(runs)

    async def send_rest(self, runs: Sequence[Run]) -> None:
        """Send on the shared endpoint what did not fit, one virtual endpoint after the other."""
        async with self._send_lock:
            await self.endpoint.send(runs)

    def forget(self, endpoint: MuxedEndpoint) -> None:
        """It was closed."""
        self._open.pop(endpoint.key, None)
        for peer in endpoint.peers:
            if self._senders.get(peer) is endpoint:
                del self._senders[peer]

    def collect_troubles(self) -> None:
        """Tell each virtual endpoint what the network said about its datagrams."""
        for trouble in self.endpoint.poll_troubles():
            if trouble.peer is None:
                for endpoint in self._open.values():
                    endpoint.troubles.append(trouble)
            elif trouble.peer in self._senders:
                self._senders[trouble.peer].troubles.append(trouble)


class MuxedEndpoint(DatagramEndpoint):
    """One key's share of a socket; made by `DatagramMux.open`.

    Closing it leaves the socket open for the others. ``dropped_by_kernel`` counts what was shed because nobody
    read in time.
    """

    def __init__(self, mux: DatagramMux, key: Hashable, backlog: int) -> None:
        self.key = key
        self.peers: set[Address] = set()
        self.troubles: deque[Trouble] = deque(maxlen=_TROUBLES_KEPT)
        self._mux = mux
        self._backlog = backlog
        self._waiting: deque[Run] = deque()
        self._waiting_bytes = 0
        self._arrival: trio.Event | None = None
        self._sending: set[trio.CancelScope] = set()
        self._closed = False
        self._received = self._bytes_received = self._sent = self._bytes_sent = 0
        self._calls_receive = self._calls_send = self._shed = self._troubles_told = 0

    @property
    def local_address(self) -> Address:
        """The address that the shared endpoint is bound to."""
        return self._mux.endpoint.local_address

    async def receive(self) -> list[Run]:
        """Wait until something has arrived; return everything that is waiting, oldest first."""
        self._check_open()
        if self._arrival is not None:
            raise trio.BusyResourceError("another task is already receiving from this endpoint")
        await trio.lowlevel.checkpoint_if_cancelled()
        if self._waiting:
            runs = self._take_all()
            await trio.lowlevel.cancel_shielded_checkpoint()
            return runs
        try:
            while not self._waiting:
                self._arrival = trio.Event()
                await self._arrival.wait()
                self._check_open()
        finally:
            self._arrival = None
        return self._take_all()

    def receive_nowait(self) -> list[Run]:
        """Everything that is waiting, or an empty list."""
        self._check_open()
        return self._take_all()

    async def send(self, runs: Sequence[Run]) -> None:
        """Send all of it, in order, waiting for room where needed."""
        self._check_open()
        await trio.lowlevel.checkpoint_if_cancelled()
        left = self.send_nowait(runs)
        if not left:
            await trio.lowlevel.cancel_shielded_checkpoint()
            return
        with trio.CancelScope() as scope:
            self._sending.add(scope)
            try:
                await self._mux.send_rest(left)
            finally:
                self._sending.discard(scope)
        self._check_open()
        self._count_sent(left, [])

    def send_nowait(self, runs: Sequence[Run]) -> list[Run]:
        """Send what fits at once; return the rest, in order."""
        self._check_open()
        left = self._mux.send_nowait(self, runs)
        self._calls_send += 1
        self._count_sent(runs, left)
        return left

    def poll_troubles(self) -> list[Trouble]:
        """What the network has said about our datagrams since the last call."""
        self._check_open()
        self._mux.collect_troubles()
        told = list(self.troubles)
        self.troubles.clear()
        self._troubles_told += len(told)
        return told

    def statistics(self) -> EndpointStatistics:
        """Counters since this virtual endpoint was opened."""
        self._check_open()
        return EndpointStatistics(
            datagrams_received=self._received,
            bytes_received=self._bytes_received,
            datagrams_sent=self._sent,
            bytes_sent=self._bytes_sent,
            calls_receive=self._calls_receive,
            calls_send=self._calls_send,
            dropped_by_kernel=self._shed,
            troubles=self._troubles_told + len(self.troubles),
        )

    def close(self) -> None:
        """Close at once; harmless when closed already."""
        if self._closed:
            return
        self._closed = True
        self._mux.forget(self)
        self._waiting.clear()
        if self._arrival is not None:
            self._arrival.set()
        for scope in self._sending:
            scope.cancel()

    def put(self, run: Run) -> int:
        """For the mux: *run* has arrived. Returns how many datagrams had to be shed for it."""
        self._waiting.append(run)
        self._waiting_bytes += sum(map(len, run.datagrams))
        shed = 0
        while self._waiting_bytes > self._backlog and len(self._waiting) > 1:
            oldest = self._waiting.popleft()
            self._waiting_bytes -= sum(map(len, oldest.datagrams))
            shed += len(oldest.datagrams)
        self._shed += shed
        if self._arrival is not None:
            self._arrival.set()
        return shed

    def _take_all(self) -> list[Run]:
        runs = list(self._waiting)
        if runs:
            self._waiting.clear()
            self._calls_receive += 1
            self._bytes_received += self._waiting_bytes
            self._waiting_bytes = 0
            self._received += sum(len(run.datagrams) for run in runs)
        return runs

    def _count_sent(self, runs: Sequence[Run], left: Sequence[Run]) -> None:
        for factor, counted in ((1, runs), (-1, left)):
            for run in counted:
                self._sent += factor * len(run.datagrams)
                self._bytes_sent += factor * sum(map(len, run.datagrams))

    def _check_open(self) -> None:
        if self._closed:
            raise trio.ClosedResourceError("this endpoint is closed")
