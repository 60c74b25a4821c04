"""The real network: kernel sockets, the system's resolver, its entropy and its clock."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Sequence
from typing import Final

import trio

from terzetto.errors import InvalidOption, UnknownHost
from terzetto.net import tcp
from terzetto.net.addresses import address_of, sockaddr_of
from terzetto.net.endpoint import Address, DatagramEndpoint, EndpointOptions
from terzetto.net.network import Network
from terzetto.net.stream import ByteListener, ByteStream, StreamOptions
from terzetto.net.udp import open_udp_endpoint
from terzetto.primitives.time import MICROS_PER_SECOND, Micros

__all__ = ["KERNEL", "KernelNetwork"]

_FAMILIES: Final = {0: socket.AF_UNSPEC, 4: socket.AF_INET, 6: socket.AF_INET6}


class KernelNetwork(Network):
    """The network of this machine."""

    async def open_datagram_endpoint(self, options: EndpointOptions) -> DatagramEndpoint:
        """Open and bind a datagram endpoint."""
        # The checkpoint comes first: cancelled later, a socket would be open that nobody knows of.
        await trio.lowlevel.checkpoint()
        return open_udp_endpoint(options)

    async def open_tcp_stream(self, peer: Address, options: StreamOptions) -> ByteStream:
        """Connect to *peer*."""
        return await tcp.open_tcp_stream(peer, options)

    async def open_tcp_listeners(self, local: Address, options: StreamOptions) -> Sequence[ByteListener]:
        """Listen on *local*."""
        return await tcp.open_tcp_listeners(local, options)

    async def resolve(self, host: str, port: int, *, family: int = 0) -> list[Address]:
        """Numeric addresses of *host*, the preferred one first."""
        if family not in _FAMILIES:
            raise InvalidOption(f"family is {family}, and must be 4, 6 or 0 for both")
        if not host:
            raise UnknownHost("no host is given", hint="write the peer's name or address")
        numeric = _numeric(host, port)
        if numeric is not None:
            await trio.lowlevel.checkpoint()
            if family and numeric.is_ipv6 != (family == 6):
                raise UnknownHost(
                    f"{host} is not an IPv{family} address", hint="use the other address family"
                )
            return [numeric]
        try:
            found = await trio.socket.getaddrinfo(
                host, port, family=_FAMILIES[family], type=socket.SOCK_DGRAM
            )
        except (OSError, UnicodeError) as exc:
            raise _unknown(host, family, exc) from exc
        addresses = [address_of(sockaddr) for *_, sockaddr in found if isinstance(sockaddr[0], str)]
        return list(dict.fromkeys(addresses))

    def entropy(self, size: int) -> bytes:
        """Random bytes that nobody can guess."""
        return os.urandom(size)

    def wall_clock_offset(self) -> Micros:
        """Microseconds since the Unix epoch at the moment that trio's clock calls zero."""
        return time.time_ns() // 1000 - round(trio.current_time() * MICROS_PER_SECOND)


def _numeric(host: str, port: int) -> Address | None:
    bare = host.partition("%")[0]
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, bare)
        except (OSError, UnicodeError, ValueError):
            continue
        address = Address(host, port)
        sockaddr_of(address, socket.AF_INET6)  # refuses a zone or a port that cannot be
        return address
    return None


def _unknown(host: str, family: int, exc: Exception) -> UnknownHost:
    number = exc.errno if isinstance(exc, OSError) else None
    if number == socket.EAI_AGAIN:
        return UnknownHost(
            f"the name server did not answer for {host!r}", hint="look at the machine's network and try again"
        )
    wanted = f" with an IPv{family} address" if family else ""
    return UnknownHost(
        f"no host named {host!r}{wanted} is known", hint="check the spelling, or write its address"
    )


KERNEL: Final = KernelNetwork()
"""The one network of this machine; what connections use where no other is installed."""
