"""Where endpoints come from: the kernel's network, or whichever one is installed.

Connections are opened on `current_network`. A context variable holds it, so a test can put a whole application
onto a simulated network without changing a line of the application::

    with use_network(simulated_host):
        await application()
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

from terzetto.errors import UnsupportedOperation
from terzetto.net.endpoint import Address, DatagramEndpoint, EndpointOptions
from terzetto.net.stream import ByteListener, ByteStream, StreamOptions
from terzetto.primitives.time import Micros

__all__ = ["Network", "current_network", "use_network"]


class Network(ABC):
    """What a session needs from the world around it: endpoints, names, entropy and the date."""

    @abstractmethod
    async def open_datagram_endpoint(self, options: EndpointOptions) -> DatagramEndpoint:
        """Open and bind a datagram endpoint.

        Raises `terzetto.errors.AddressInUse`, `NoRoute` (the address is not ours) or `PermissionRefused`.
        """

    async def open_tcp_stream(self, peer: Address, options: StreamOptions) -> ByteStream:
        """Connect to *peer*, a numeric address.

        Raises `terzetto.errors.ConnectionRefusedByPeer` where nobody listens, `PeerTimedOut` or `NoRoute`, and
        `UnsupportedOperation` on a network that has datagrams only.
        """
        raise UnsupportedOperation(f"{type(self).__name__} has no byte streams")

    async def open_tcp_listeners(self, local: Address, options: StreamOptions) -> Sequence[ByteListener]:
        """Listen on *local*; host ``""`` is every address, port 0 any free one.

        Raises `terzetto.errors.AddressInUse`, `NoRoute`, `PermissionRefused` or `UnsupportedOperation`.
        """
        raise UnsupportedOperation(f"{type(self).__name__} has no byte streams")

    @abstractmethod
    async def resolve(self, host: str, port: int, *, family: int = 0) -> list[Address]:
        """Numeric addresses of *host*, the preferred one first; *family* 4 or 6 restricts them.

        Raises `terzetto.errors.UnknownHost`.
        """

    @abstractmethod
    def entropy(self, size: int) -> bytes:
        """Random bytes for identifiers, nonces and keys; unguessable on a real network, seeded on a simulated one."""

    @abstractmethod
    def wall_clock_offset(self) -> Micros:
        """Microseconds since the Unix epoch at the moment that trio's clock calls zero."""


_installed: ContextVar[Network | None] = ContextVar("terzetto_network", default=None)


def current_network() -> Network:
    """The network that connections opened here and now will use."""
    network = _installed.get()
    if network is None:
        # Imported here, where it is needed: the kernel's network depends on this file.
        from terzetto.net.kernel import KERNEL

        return KERNEL
    return network


@contextmanager
def use_network(network: Network) -> Iterator[None]:
    """Open connections on *network* in this block, and in the tasks started from it."""
    token = _installed.set(network)
    try:
        yield
    finally:
        _installed.reset(token)
