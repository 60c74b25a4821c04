"""Small helpers that the tests of the simulated network share."""

from __future__ import annotations

import attrs
import trio

from terzetto.net.endpoint import Address, EndpointOptions, Run
from terzetto.net.simulated import SimulatedEndpoint, SimulatedHost


def bind(host: SimulatedHost, port: int = 0, address: str = "", **options: object) -> SimulatedEndpoint:
    """An endpoint of *host*."""
    described = attrs.evolve(EndpointOptions(local=Address(address, port)), **options)  # type: ignore[arg-type]
    return host.bind(described)


async def receive_all(endpoint: SimulatedEndpoint, within: float = 1.0) -> list[Run]:
    """Every run that arrives in the next *within* seconds."""
    runs: list[Run] = []
    with trio.move_on_after(within):
        while True:
            runs += await endpoint.receive()
    return runs


def payloads(runs: list[Run]) -> list[bytes]:
    """The datagrams of *runs*, one after the other."""
    return [bytes(datagram) for run in runs for datagram in run.datagrams]
