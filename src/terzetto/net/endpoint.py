"""What a datagram socket is to terzetto, whoever implements it.

An endpoint hands over *everything that is waiting* and takes *everything there is to send*, as runs of datagrams
(`terzetto.primitives.datagrams.Run`). Kernel sockets (`terzetto.net.udp`) and the simulated network
(`terzetto.net.simulated`) implement it; `terzetto.testing.check_endpoint` tells whether an implementation keeps
these promises.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import attrs
import trio

from terzetto.primitives.datagrams import Address, Buffer, Run

__all__ = [
    "Address",
    "Buffer",
    "DatagramEndpoint",
    "EndpointOptions",
    "EndpointStatistics",
    "Run",
    "SmallBufferWarning",
    "Trouble",
]


class SmallBufferWarning(RuntimeWarning):
    """The kernel grants a socket less memory than asked, so bursts may be lost inside this machine.

    Said once in a process; the message names the setting to raise.
    """


@attrs.frozen(kw_only=True)
class EndpointOptions:
    """How to open an endpoint; the defaults suit live media.

    ``local`` is the address to bind: host ``""`` is every address of the family, port 0 any free port.
    ``family`` decides what ``""`` means: 4, 6, or 0 for both where the system can (else IPv4).
    """

    local: Address = Address("", 0)
    family: int = 4
    interface: str | None = None
    """Leave by, and join groups on, this interface (a name, or one of its addresses)."""
    ttl: int | None = None
    """Time to live (hop limit) of what we send, multicast and unicast; None is the system's choice."""
    tos: int | None = None
    """The IP traffic class byte (DSCP and ECN) of what we send."""
    reuse_port: bool = False
    """Let several sockets bind the same port."""
    receive_buffer: int = 8 << 20
    """Bytes of kernel memory for what waits to be read; live media comes in bursts."""
    send_buffer: int = 8 << 20
    """Bytes of kernel memory for what waits to leave."""
    groups: tuple[str, ...] = ()
    """Multicast groups to join."""
    sources: tuple[str, ...] = ()
    """Accept the groups' traffic from these senders only (source-specific multicast)."""
    multicast_loop: bool = True
    """Whether what we send to a group is heard on this host too."""
    batching: str = "auto"
    """``auto`` uses what the kernel grants; ``gso``, ``mmsg`` and ``plain`` force one path (for tests)."""


@attrs.frozen
class EndpointStatistics:
    """Counters of one endpoint since it was opened."""

    datagrams_received: int = 0
    bytes_received: int = 0
    datagrams_sent: int = 0
    bytes_sent: int = 0
    calls_receive: int = 0
    """System calls (or their simulated like) that returned datagrams."""
    calls_send: int = 0
    dropped_by_kernel: int = 0
    """Datagrams that the receive buffer had no room for, where the system tells."""
    troubles: int = 0
    """Errors the network reported about what we sent: refused, unreachable, too big."""


class Trouble(NamedTuple):
    """The network's own word about something we sent: never fatal, often the best hint there is."""

    peer: Address | None
    kind: str
    """``refused`` (a port is closed), ``unreachable``, ``too_big`` or ``other``."""
    text: str


class DatagramEndpoint(trio.abc.AsyncResource):
    """A datagram socket that moves runs.

    Sending never blocks for the network: a datagram that finds no room is either waited for (`send`) or handed
    back (`send_nowait`). Only closing ends an endpoint; what the network says about unreachable peers is
    collected by `poll_troubles`. Every method but those of closing raises `trio.ClosedResourceError` once it is
    closed, and a task that waits meanwhile is woken with it.
    """

    @property
    @abstractmethod
    def local_address(self) -> Address:
        """The address we are bound to."""

    @abstractmethod
    async def receive(self) -> list[Run]:
        """Wait until something has arrived; return everything that is waiting, oldest first.

        Cancelled, it has taken nothing. One task at a time may wait: a second one gets
        `trio.BusyResourceError`.
        """

    @abstractmethod
    def receive_nowait(self) -> list[Run]:
        """Everything that is waiting, or an empty list."""

    async def wait_tick(self, period: float) -> None:
        """Wait for the next of a series of ticks *period* seconds apart, which `receive` ends.

        One that came while nobody waited counts at once. For those who read now and then rather than at every
        arrival; an endpoint that can do it cheaper than by sleeping does.
        """
        await trio.sleep(period)

    @abstractmethod
    async def send(self, runs: Sequence[Run]) -> None:
        """Send all of it, in order, waiting for room where needed."""

    @abstractmethod
    def send_nowait(self, runs: Sequence[Run]) -> list[Run]:
        """Send what fits at once; return the rest, in order."""

    @abstractmethod
    def poll_troubles(self) -> list[Trouble]:
        """What the network has said about our datagrams since the last call; bounded, the oldest are shed."""

    @abstractmethod
    def statistics(self) -> EndpointStatistics:
        """Counters since the endpoint was opened."""

    @abstractmethod
    def close(self) -> None:
        """Close at once; harmless when closed already."""

    async def aclose(self) -> None:
        """Close, and pass a checkpoint as trio's resources do."""
        self.close()
        await trio.lowlevel.checkpoint()
