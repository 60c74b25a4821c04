"""Pairs of neighbouring ports, on any network."""

from __future__ import annotations

import attrs
import pytest
import trio
import trio.testing

from terzetto.errors import AddressInUse, InvalidOption, NoRoute
from terzetto.net.endpoint import (
    Address,
    DatagramEndpoint,
    EndpointOptions,
    EndpointStatistics,
    Run,
    Trouble,
)
from terzetto.net.kernel import KERNEL
from terzetto.net.network import Network
from terzetto.net.ports import open_port_group, open_port_pair
from tests.net.endpoints import HOSTS, small_options


class NumberedEndpoint(DatagramEndpoint):
    """A port and nothing else."""

    def __init__(self, network: CountingNetwork, address: Address) -> None:
        self._network = network
        self._address = address

    @property
    def local_address(self) -> Address:
        return self._address

    async def receive(self) -> list[Run]:
        raise NotImplementedError

    def receive_nowait(self) -> list[Run]:
        raise NotImplementedError

    async def send(self, runs: object) -> None:
        raise NotImplementedError

    def send_nowait(self, runs: object) -> list[Run]:
        raise NotImplementedError

    def poll_troubles(self) -> list[Trouble]:
        raise NotImplementedError

    def statistics(self) -> EndpointStatistics:
        raise NotImplementedError

    def close(self) -> None:
        self._network.open.discard(self._address.port)


@attrs.define(eq=False)
class CountingNetwork(Network):
    """Gives out ports in order, except those that *taken* holds."""

    next_port: int
    taken: set[int] = attrs.field(factory=set)
    open: set[int] = attrs.field(factory=set)
    tries: int = 0

    async def open_datagram_endpoint(self, options: EndpointOptions) -> DatagramEndpoint:
        await trio.lowlevel.checkpoint()
        self.tries += 1
        port = options.local.port
        if not port:
            port = self.next_port
            while port in self.taken or port in self.open:
                port += 1
        if port in self.taken or port in self.open:
            raise AddressInUse(f"port {port} is in use", hint="choose another")
        self.open.add(port)
        return NumberedEndpoint(self, Address(options.local.host, port))

    async def resolve(self, host: str, port: int, *, family: int = 0) -> list[Address]:
        raise NotImplementedError

    def entropy(self, size: int) -> bytes:
        raise NotImplementedError

    def wall_clock_offset(self) -> int:
        raise NotImplementedError


def ports(pair: tuple[DatagramEndpoint, DatagramEndpoint]) -> tuple[int, int]:
    return pair[0].local_address.port, pair[1].local_address.port


def at(port: int) -> EndpointOptions:
    return EndpointOptions(local=Address("192.0.2.1", port))


@pytest.mark.parametrize("host", HOSTS)
async def test_the_kernel_finds_a_free_pair(host: str) -> None:
    even, odd = await open_port_pair(KERNEL, small_options(host))
    async with even, odd:
        assert even.local_address.port % 2 == 0
        assert odd.local_address == Address(host, even.local_address.port + 1)


async def test_an_even_port_brings_the_odd_one_above_it() -> None:
    network = CountingNetwork(5000)

    assert ports(await open_port_pair(network, at(5004))) == (5004, 5005)


async def test_an_odd_port_is_refused_before_anything_is_opened() -> None:
    network = CountingNetwork(5000)
    with pytest.raises(InvalidOption, match=r"port 5005 is odd.*use 5004 or 5006"):
        await open_port_pair(network, at(5005))

    assert network.tries == 0


@pytest.mark.parametrize(("taken", "which"), [(5004, "even"), (5005, "odd")])
async def test_the_error_says_which_of_the_two_was_taken_and_nothing_stays_open(
    taken: int, which: str
) -> None:
    network = CountingNetwork(5000, taken={taken})
    with pytest.raises(
        AddressInUse, match=f"port {taken}, the {which} one of the pair 5004 and 5005"
    ) as caught:
        await open_port_pair(network, at(5004))

    assert caught.value.hint == "choose another"
    assert network.open == set()


@pytest.mark.parametrize(
    ("first", "taken", "found"),
    [
        (6000, set[int](), (6000, 6001)),
        (6001, set[int](), (6000, 6001)),
        (6000, {6001}, (6002, 6003)),
        (6000, {6001, 6002}, (6004, 6005)),
        (6000, {6001, 6003, 6005, 6007}, (6008, 6009)),
    ],
)
async def test_the_search_passes_over_halves_of_pairs(
    first: int, taken: set[int], found: tuple[int, int]
) -> None:
    network = CountingNetwork(first, taken=taken)

    assert ports(await open_port_pair(network, at(0))) == found
    assert network.open == set(found)


async def test_the_search_ends_and_leaves_nothing_open() -> None:
    network = CountingNetwork(6000, taken=set(range(6001, 8000, 2)))
    with pytest.raises(AddressInUse, match="no even port with a free neighbour"):
        await open_port_pair(network, at(0))

    assert network.open == set()
    assert network.tries == 65


@pytest.mark.parametrize("port", [0, 5004])
@pytest.mark.parametrize("opened", [0, 1])
async def test_cancelled_it_leaves_nothing_open(port: int, opened: int) -> None:
    network = CountingNetwork(5000)
    with trio.CancelScope() as scope:

        async def cancel() -> None:
            while network.tries < opened:
                await trio.lowlevel.checkpoint()
            scope.cancel()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(cancel)
            await trio.lowlevel.checkpoint()
            pair = await open_port_pair(network, at(port))
            for endpoint in pair:
                endpoint.close()

    assert network.open == set()


async def test_other_refusals_pass_unchanged() -> None:
    with pytest.raises(NoRoute, match=r"192\.0\.2\.77 is not an address of this machine"):
        await open_port_pair(KERNEL, small_options("192.0.2.77", 5004))


async def test_a_group_brings_the_ports_beyond_the_pair() -> None:
    network = CountingNetwork(5000)
    group = await open_port_group(network, at(5004), beyond=(2, 4))
    assert [endpoint.local_address.port for endpoint in group] == [5004, 5005, 5006, 5008]


async def test_the_search_passes_over_groups_that_are_not_whole() -> None:
    network = CountingNetwork(5000, taken={5004})
    group = await open_port_group(network, at(0), beyond=(2, 4))
    found = [endpoint.local_address.port for endpoint in group]
    assert found == [found[0], found[0] + 1, found[0] + 2, found[0] + 4]
    assert network.open == set(found)


async def test_the_error_names_the_port_beyond_the_pair_and_nothing_stays_open() -> None:
    network = CountingNetwork(5000, taken={5008})
    with pytest.raises(AddressInUse, match="port 5008, needed beside 5004 and 5005, is in use"):
        await open_port_group(network, at(5004), beyond=(2, 4))
    assert network.open == set()


async def test_a_port_alone_may_be_odd_and_needs_no_neighbour() -> None:
    network = CountingNetwork(5000, taken={5006})
    group = await open_port_group(network, at(5005), beyond=(2, 4), paired=False)
    assert [endpoint.local_address.port for endpoint in group] == [5005, 5007, 5009]
    with pytest.raises(AddressInUse, match="port 5006, needed beside 5004, is in use"):
        await open_port_group(network, at(5004), beyond=(2, 4), paired=False)
    found = await open_port_group(network, at(0), beyond=(2, 4), paired=False)
    first = found[0].local_address.port
    assert [endpoint.local_address.port for endpoint in found] == [first, first + 2, first + 4]
    assert network.open == {5005, 5007, 5009, first, first + 2, first + 4}
