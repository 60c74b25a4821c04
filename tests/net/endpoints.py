"""Endpoints for the tests of this folder: opened small, closed always, read until a count is reached."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import attrs
import trio

from terzetto.net.endpoint import Address, Buffer, DatagramEndpoint, EndpointOptions, Run
from terzetto.net.udp import UdpEndpoint, open_udp_endpoint

MODES = ("auto", "gso", "mmsg", "plain")
HOSTS = ("127.0.0.1", "::1")

# Below what every Linux grants without privileges, so that no test depends on who runs it.
SMALL = EndpointOptions(receive_buffer=200_000, send_buffer=200_000)


def small_options(host: str = "127.0.0.1", port: int = 0, **changes: object) -> EndpointOptions:
    """Options for an endpoint on *host* whose buffers any kernel grants."""
    return attrs.evolve(SMALL, local=Address(host, port), **changes)  # type: ignore[arg-type]


@asynccontextmanager
async def opened(*options: EndpointOptions) -> AsyncIterator[list[UdpEndpoint]]:
    """Endpoints as *options* say, closed when the block ends."""
    endpoints: list[UdpEndpoint] = []
    try:
        for each in options:
            endpoints.append(open_udp_endpoint(each))
        yield endpoints
    finally:
        for endpoint in endpoints:
            endpoint.close()


@asynccontextmanager
async def pair(
    host: str = "127.0.0.1", sending: str = "auto", receiving: str = "auto"
) -> AsyncIterator[tuple[UdpEndpoint, UdpEndpoint]]:
    """A sender and a receiver on *host*, batching as told."""
    async with opened(
        small_options(host, batching=sending), small_options(host, batching=receiving)
    ) as endpoints:
        yield endpoints[0], endpoints[1]


async def receive_runs(endpoint: DatagramEndpoint, count: int) -> list[Run]:
    """Runs until *count* datagrams have come; what goes on from one `receive` to the next is one run."""
    runs: list[Run] = []
    with trio.fail_after(5):
        while sum(len(run.datagrams) for run in runs) < count:
            for run in await endpoint.receive():
                if runs and (runs[-1].peer, runs[-1].local) == (run.peer, run.local):
                    runs[-1] = runs[-1]._replace(datagrams=[*runs[-1].datagrams, *run.datagrams])
                else:
                    runs.append(run)
    return runs


async def arrived() -> None:
    """Wait until the kernel has surely queued what was sent, for tests of what one `receive` takes.

    Loopback mostly delivers inside the call that sends, but a busy kernel may put it off.
    """
    await trio.sleep(0.02)


async def receive_datagrams(endpoint: DatagramEndpoint, count: int) -> list[bytes]:
    """The next *count* datagrams, whoever sent them."""
    return [bytes(datagram) for run in await receive_runs(endpoint, count) for datagram in run.datagrams]


def to(endpoint: DatagramEndpoint, datagrams: Sequence[Buffer], local: str | None = None) -> list[Run]:
    """One run of *datagrams* for *endpoint*."""
    return [Run(endpoint.local_address, datagrams, 0, local)]
