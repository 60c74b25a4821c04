"""Hosts on a simulated network exchange datagrams as real ones would."""

from __future__ import annotations

import trio
from trio.testing import MockClock

from terzetto.net.endpoint import Address, DatagramEndpoint, EndpointOptions, Run
from terzetto.net.network import current_network, use_network
from terzetto.net.simulated import LinkConditions, SimulatedNetwork


async def open_at(host: object, port: int = 0) -> DatagramEndpoint:
    with use_network(host):  # type: ignore[arg-type]
        return await current_network().open_datagram_endpoint(EndpointOptions(local=Address("", port)))


async def test_a_datagram_arrives_after_the_delay_of_its_link(autojump_clock: MockClock) -> None:
    network = SimulatedNetwork(seed=1)
    alice, bob = network.add_host("alice"), network.add_host("bob")
    network.connect(alice, bob, LinkConditions(delay=0.040))
    tx, rx = await open_at(alice), await open_at(bob, 5000)
    [where] = await alice.resolve("bob", 5000, family=4)
    start = trio.current_time()
    await tx.send([Run(where, [b"one", b"two"])])
    [run] = await rx.receive()
    assert list(run.datagrams) == [b"one", b"two"]
    assert run.peer == Address("10.0.0.1", tx.local_address.port)
    assert run.local == "10.0.0.2"
    assert abs(trio.current_time() - start - 0.040) < 1e-9
