"""A datagram socket of a simulated host."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import trio

from terzetto.net.endpoint import (
    Address,
    DatagramEndpoint,
    EndpointOptions,
    EndpointStatistics,
    Run,
    Trouble,
)
from terzetto.primitives.datagrams import Buffer
from terzetto.primitives.time import Micros

if TYPE_CHECKING:
    from terzetto.net.simulated.host import SimulatedHost
    from terzetto.net.simulated.port import Parcel, Port

__all__ = ["SimulatedEndpoint"]

# Enough for a burst of complaints; who does not read them does not want them.
_TROUBLES_KEPT: Final = 64

# What a datagram takes of the receive buffer beside its bytes, so that empty ones are not free. Linux books several
# hundred bytes; what matters is that it is not zero.
_BOOKKEEPING: Final = 128


class SimulatedEndpoint(DatagramEndpoint):
    """Opened by `SimulatedHost.open_datagram_endpoint`."""

    def __init__(self, host: SimulatedHost, options: EndpointOptions, bound: Address, port: Port) -> None:
        self._host = host
        self._options = options
        self._bound = bound
        self.port = port
        self._waiting: list[tuple[Address, str, bytes]] = []
        self._waiting_bytes = 0
        self._troubles: deque[Trouble] = deque(maxlen=_TROUBLES_KEPT)
        self._sleeper: trio.CancelScope | None = None
        self._senders: set[trio.CancelScope] = set()
        self._closed = False
        self._received = self._bytes_received = self._sent = self._bytes_sent = 0
        self._calls_receive = self._calls_send = self._no_room = self._troubles_seen = 0

    @property
    def local_address(self) -> Address:
        """The address we are bound to."""
        return self._bound

    async def receive(self) -> list[Run]:
        """Wait until something has arrived; return everything that is waiting, oldest first."""
        self._check_open()
        if self._sleeper is not None:
            raise trio.BusyResourceError("another task is already receiving from this endpoint")
        await trio.lowlevel.checkpoint_if_cancelled()
        self._settle()
        if self._waiting:
            # Taken before the yield, so that nothing can come between; shielded, so that it cannot be lost.
            runs = self._take_all()
            await trio.lowlevel.cancel_shielded_checkpoint()
            return runs
        try:
            while True:
                with trio.CancelScope() as self._sleeper:
                    due = self.port.next_arrival
                    if due is not None:
                        self.wake_by(due)
                    await trio.sleep_forever()
                self._check_open()
                self._settle()
                if self._waiting:
                    return self._take_all()
        finally:
            self._sleeper = None

    def receive_nowait(self) -> list[Run]:
        """Everything that is waiting, or an empty list."""
        self._check_open()
        self._settle()
        return self._take_all()

    async def send(self, runs: Sequence[Run]) -> None:
        """Send all of it, in order, waiting for room where needed."""
        self._check_open()
        await trio.lowlevel.checkpoint_if_cancelled()
        left = self.send_nowait(runs)
        if not left:
            await trio.lowlevel.cancel_shielded_checkpoint()
        while left:
            with trio.CancelScope() as scope:
                self._senders.add(scope)
                try:
                    await self._host.wait_for_room(len(left[0].datagrams[0]), self._options.send_buffer)
                finally:
                    self._senders.discard(scope)
            left = self.send_nowait(left)

    def send_nowait(self, runs: Sequence[Run]) -> list[Run]:
        """Send what fits at once; return the rest, in order."""
        self._check_open()
        for index, run in enumerate(runs):
            if not run.datagrams:
                continue
            self._calls_send += 1
            taken = self._host.transmit(self, run, self._options.send_buffer)
            self._sent += taken
            self._bytes_sent += sum(map(len, run.datagrams[:taken]))
            if taken < len(run.datagrams):
                return [run._replace(datagrams=run.datagrams[taken:]), *runs[index + 1 :]]
        return []

    def poll_troubles(self) -> list[Trouble]:
        """What the network has said about our datagrams since the last call."""
        self._check_open()
        self._settle()
        troubles = list(self._troubles)
        self._troubles.clear()
        return troubles

    def statistics(self) -> EndpointStatistics:
        """Counters since the endpoint was opened."""
        self._check_open()
        self._settle()
        return EndpointStatistics(
            datagrams_received=self._received,
            bytes_received=self._bytes_received,
            datagrams_sent=self._sent,
            bytes_sent=self._bytes_sent,
            calls_receive=self._calls_receive,
            calls_send=self._calls_send,
            dropped_by_kernel=self._no_room,
            troubles=self._troubles_seen,
        )

    def close(self) -> None:
        """Close at once; harmless when closed already."""
        if self._closed:
            return
        self._closed = True
        self._host.forget(self)
        self._waiting.clear()
        if self._sleeper is not None:
            self._sleeper.cancel()
        for scope in self._senders:
            scope.cancel()

    # What follows is for the network, not for users.

    @property
    def options(self) -> EndpointOptions:
        """As it was opened."""
        return self._options

    @property
    def is_wildcard(self) -> bool:
        """Whether it is bound to every address of its host."""
        return self._bound.host in ("0.0.0.0", "::")

    def has_family_of(self, host: str) -> bool:
        """Whether it speaks the IP version of *host*."""
        if self._bound.host == "::":
            return ":" in host or self._options.family != 6
        return (":" in self._bound.host) == (":" in host)

    def accepts(self, parcel: Parcel) -> bool:
        """Whether *parcel*, arrived at our port, is for us."""
        options = self._options
        if parcel.group is not None:
            return parcel.group in options.groups and (
                not options.sources or parcel.source.host in options.sources
            )
        return self._bound.host == parcel.local_host or (
            self.is_wildcard and self.has_family_of(parcel.local_host)
        )

    def take(self, parcel: Parcel) -> bool:
        """Put *parcel* where `receive` finds it; False when the receive buffer has no room."""
        size = len(parcel.datagram) + _BOOKKEEPING
        if self._waiting_bytes + size > self._options.receive_buffer:
            self._no_room += 1
            return False
        self._waiting_bytes += size
        self._waiting.append((parcel.source, parcel.local_host, parcel.datagram))
        return True

    def take_trouble(self, trouble: Trouble) -> None:
        """Put *trouble* where `poll_troubles` finds it."""
        if self._closed:
            return
        self._troubles.append(trouble)
        self._troubles_seen += 1

    def wake_by(self, at: Micros) -> None:
        """Let a waiting `receive` look again no later than network time *at*."""
        if self._sleeper is not None:
            deadline = self._host.clock_time(at)
            if deadline < self._sleeper.deadline:
                self._sleeper.deadline = deadline

    def _settle(self) -> None:
        self.port.settle(self._host.now())

    def _check_open(self) -> None:
        if self._closed:
            raise trio.ClosedResourceError("this endpoint is closed")

    def _take_all(self) -> list[Run]:
        waiting = self._waiting
        if not waiting:
            return []
        self._waiting = []
        self._waiting_bytes = 0
        self._calls_receive += 1
        runs: list[Run] = []
        datagrams: list[Buffer] = []
        last: tuple[Address, str] | None = None
        for source, local, datagram in waiting:
            if last is None or source != last[0] or local != last[1]:
                last = (source, local)
                datagrams = []
                runs.append(Run(source, datagrams, 0, local))
            datagrams.append(datagram)
            self._bytes_received += len(datagram)
        self._received += len(waiting)
        return runs

    def __repr__(self) -> str:
        state = "closed" if self._closed else "open"
        return f"<SimulatedEndpoint {self._bound} on {self._host.name}, {state}>"
