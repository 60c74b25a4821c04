"""The proxy carries both ways, tells clients apart, keeps pairs together, and does what its conditions say."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
import trio
from trio.testing import MockClock

from terzetto.errors import InvalidOption, UnknownHost
from terzetto.gateway.impairment import ImpairmentProxy, open_impairment_proxy
from terzetto.net.endpoint import Address, DatagramEndpoint, EndpointOptions, Run, Trouble
from terzetto.net.network import current_network, use_network
from terzetto.net.simulated import SimulatedHost, SimulatedNetwork
from terzetto.primitives.impairment import LinkConditions
from terzetto.rist.api import RistReceiver, RistSender, open_rist_receiver, open_rist_sender


class World:
    """A proxy's host, a target's host and two client hosts, with next to no delay of their own."""

    def __init__(self) -> None:
        self.network = SimulatedNetwork(seed=3)
        self.middle = self.network.add_host("middle", "10.0.0.1", "fd00::1")
        self.far = self.network.add_host("far", "10.0.0.2", "fd00::2")
        self.near = self.network.add_host("near", "10.0.0.3", "fd00::3")
        self.other = self.network.add_host("other", "10.0.0.4", "fd00::4")

    @asynccontextmanager
    async def proxy(self, **options: object) -> AsyncIterator[ImpairmentProxy]:
        with use_network(self.middle):
            # mypy cannot check a dictionary against the keywords; the tests would fail.
            async with open_impairment_proxy(("", 5000), ("far", 6000), **options) as proxy:  # type: ignore[arg-type]
                yield proxy


def bind(host: SimulatedHost, port: int = 0) -> DatagramEndpoint:
    return host.bind(EndpointOptions(local=Address("", port), family=0))


async def say(endpoint: DatagramEndpoint, peer: Address, *datagrams: bytes) -> None:
    await endpoint.send([Run(peer, list(datagrams))])


async def hear(endpoint: DatagramEndpoint, within: float = 0.5) -> list[tuple[Address, bytes]]:
    heard: list[tuple[Address, bytes]] = []
    with trio.move_on_after(within):
        while True:
            for run in await endpoint.receive():
                heard += [(run.peer, bytes(datagram)) for datagram in run.datagrams]
    return heard


def numbered(count: int) -> list[bytes]:
    return [number.to_bytes(4, "big") * 25 for number in range(count)]


PROXY = Address("10.0.0.1", 5000)


async def test_datagrams_go_to_the_target_and_answers_come_back(autojump_clock: MockClock) -> None:
    world = World()
    async with world.proxy():
        client, target = bind(world.near), bind(world.far, 6000)
        await say(client, PROXY, b"one", b"two")
        arrived = await hear(target)
        assert [datagram for _, datagram in arrived] == [b"one", b"two"]
        upstream = arrived[0][0]
        assert upstream.host == "10.0.0.1"
        await say(target, upstream, b"answer")
        assert await hear(client) == [(PROXY, b"answer")]


async def test_ipv6_clients_reach_the_target_and_are_answered_from_the_address_they_used(
    autojump_clock: MockClock,
) -> None:
    world = World()
    async with world.proxy():
        client, target = bind(world.near), bind(world.far, 6000)
        await say(client, Address("fd00::1", 5000), b"six")
        ((upstream, datagram),) = await hear(target)
        assert datagram == b"six"
        await say(target, upstream, b"back")
        assert await hear(client) == [(Address("fd00::1", 5000), b"back")]


async def test_every_client_has_a_port_of_its_own_towards_the_target(autojump_clock: MockClock) -> None:
    world = World()
    async with world.proxy() as proxy:
        target = bind(world.far, 6000)
        clients = [bind(host) for host in (world.near, world.near, world.other)]
        for index, client in enumerate(clients):
            await say(client, PROXY, b"%d" % index)
        arrived = await hear(target)
        ports = {datagram: peer for peer, datagram in arrived}
        assert len(set(ports.values())) == 3
        for index in (2, 0, 1):
            await say(target, ports[b"%d" % index], b"for %d" % index)
        for index, client in enumerate(clients):
            assert [datagram for _, datagram in await hear(client)] == [b"for %d" % index]
        assert proxy.statistics().clients == proxy.statistics().clients_seen == 3


async def test_delay_is_added_each_way_and_is_its_own(autojump_clock: MockClock) -> None:
    world = World()
    async with world.proxy(up=LinkConditions(delay=0.3), down=LinkConditions(delay=0.05)):
        client, target = bind(world.near), bind(world.far, 6000)
        began = trio.current_time()
        await say(client, PROXY, b"there")
        (run,) = await target.receive()
        assert trio.current_time() - began == pytest.approx(0.3, abs=0.006)
        began = trio.current_time()
        await say(target, run.peer, b"back")
        await client.receive()
        assert trio.current_time() - began == pytest.approx(0.05, abs=0.006)


async def survivors(seed: int, loss: float, *, disturbed: bool = False) -> list[bytes]:
    """Which of 300 datagrams of the first client arrive."""
    world = World()
    async with world.proxy(up=LinkConditions(loss=loss, delay=0.02), seed=seed):
        client, second, target = bind(world.near), bind(world.other), bind(world.far, 6000)
        for datagram in numbered(300):
            await say(client, PROXY, datagram)
            if disturbed:
                await say(second, PROXY, b"noise")
            await trio.sleep(0.0007)
        return [datagram for _, datagram in await hear(target) if datagram != b"noise"]


async def test_the_same_seed_loses_the_same_datagrams_whatever_other_clients_do(
    autojump_clock: MockClock,
) -> None:
    calm = await survivors(5, 0.3)
    assert 180 < len(calm) < 240
    assert await survivors(5, 0.3) == calm
    assert await survivors(5, 0.3, disturbed=True) == calm


async def test_another_seed_loses_others(autojump_clock: MockClock) -> None:
    assert await survivors(6, 0.3) != await survivors(5, 0.3)


async def test_fates_are_told_apart_by_direction(autojump_clock: MockClock) -> None:
    world = World()
    up, down = LinkConditions(loss=1.0), LinkConditions(duplicate=1.0)
    async with world.proxy(up=up, down=down) as proxy:
        client, target = bind(world.near), bind(world.far, 6000)
        await say(client, PROXY, *numbered(4))
        assert await hear(target) == []
        proxy.change(up=LinkConditions())
        await say(client, PROXY, b"now")
        ((upstream, _),) = await hear(target)
        await say(target, upstream, b"twice")
        assert [datagram for _, datagram in await hear(client)] == [b"twice", b"twice"]
        seen = proxy.statistics()
        assert (seen.up.received, seen.up.lost, seen.up.passed) == (5, 4, 1)
        assert (seen.down.received, seen.down.duplicated, seen.down.passed) == (1, 1, 2)
        assert seen.dropped_by_kernel == 0


async def test_a_rate_spreads_a_burst_and_a_full_queue_drops(autojump_clock: MockClock) -> None:
    world = World()
    # 1000 bytes with their headers at 8 kbit a millisecond: one each millisecond.
    conditions = LinkConditions(rate=8_000_000, queue=20_000)
    async with world.proxy(up=conditions) as proxy:
        client, target = bind(world.near), bind(world.far, 6000)
        began = trio.current_time()
        await say(client, PROXY, *[bytes(972)] * 50)
        arrived = 0
        with trio.fail_after(5):
            while arrived < 20:
                arrived += sum(len(run.datagrams) for run in await target.receive())
        assert trio.current_time() - began == pytest.approx(0.020, abs=0.004)
        assert proxy.statistics().up.queue_full == 30


async def test_an_idle_client_is_forgotten_and_its_figures_are_kept(autojump_clock: MockClock) -> None:
    world = World()
    async with world.proxy(idle_timeout=10.0) as proxy:
        client, target = bind(world.near), bind(world.far, 6000)
        await say(client, PROXY, b"hello")
        ((first, _),) = await hear(target)
        await trio.sleep(5)
        await say(target, first, b"still here")  # the target's word keeps a client too
        await trio.sleep(8)
        assert proxy.statistics().clients == 1
        await trio.sleep(4)
        assert proxy.statistics().clients == 0
        assert proxy.statistics().up.passed == 1
        await say(client, PROXY, b"again")
        ((second, _),) = await hear(target)
        assert second != first
        assert proxy.statistics().up.passed == 2


async def test_there_is_a_limit_to_clients(autojump_clock: MockClock) -> None:
    world = World()
    async with world.proxy(max_clients=2) as proxy:
        target = bind(world.far, 6000)
        for index in range(4):
            await say(bind(world.near), PROXY, b"%d" % index)
        assert [datagram for _, datagram in await hear(target)] == [b"0", b"1"]
        assert proxy.statistics().clients_refused == 2


async def test_only_the_target_is_heard_on_a_clients_behalf(autojump_clock: MockClock) -> None:
    world = World()
    async with world.proxy() as proxy:
        client, target = bind(world.near), bind(world.far, 6000)
        await say(client, PROXY, b"hello")
        ((upstream, _),) = await hear(target)
        await say(bind(world.other), upstream, b"me too")
        assert await hear(client) == []
        assert proxy.statistics().strangers_ignored == 1


async def test_a_pair_reaches_the_target_from_neighbouring_ports(autojump_clock: MockClock) -> None:
    world = World()
    async with world.proxy(pair=True) as proxy:
        media, reports = bind(world.near, 7000), bind(world.near, 7001)
        target_media, target_reports = bind(world.far, 6000), bind(world.far, 6001)
        await say(reports, Address("10.0.0.1", 5001), b"report")
        await say(media, PROXY, b"media")
        ((media_from, _),) = await hear(target_media)
        ((reports_from, _),) = await hear(target_reports)
        assert reports_from == media_from._replace(port=media_from.port + 1)
        assert media_from.port % 2 == 0
        await say(target_reports, reports_from, b"request")
        assert await hear(reports) == [(Address("10.0.0.1", 5001), b"request")]
        assert proxy.statistics().clients == 1


async def test_clients_on_one_host_are_paired_by_their_neighbouring_ports(autojump_clock: MockClock) -> None:
    world = World()
    async with world.proxy(pair=True) as proxy:
        targets = bind(world.far, 6000), bind(world.far, 6001)
        sockets = {port: bind(world.near, port) for port in (7000, 7001, 8000, 8001)}
        for port in (7000, 8000, 7001, 8001):
            await say(sockets[port], PROXY._replace(port=5000 + port % 2), b"%d" % port)
        upper = {datagram: peer for peer, datagram in await hear(targets[1])}
        lower = {datagram: peer for peer, datagram in await hear(targets[0])}
        assert upper[b"7001"].port == lower[b"7000"].port + 1
        assert upper[b"8001"].port == lower[b"8000"].port + 1
        assert proxy.statistics().clients == 2


async def test_a_client_whose_ports_are_no_neighbours_is_paired_by_its_host(
    autojump_clock: MockClock,
) -> None:
    world = World()
    async with world.proxy(pair=True) as proxy:
        targets = bind(world.far, 6000), bind(world.far, 6001)
        await say(bind(world.near, 7000), PROXY, b"media")
        await say(bind(world.near, 9999), PROXY._replace(port=5001), b"report")
        ((lower, _),), ((upper, _),) = await hear(targets[0]), await hear(targets[1])
        assert upper.port == lower.port + 1
        assert proxy.statistics().clients == 1


async def test_media_for_a_caller_that_only_reports_goes_beside_its_reports(
    autojump_clock: MockClock,
) -> None:
    world = World()
    async with world.proxy(pair=True):
        target_media, target_reports = bind(world.far, 6000), bind(world.far, 6001)
        media, reports = bind(world.near, 7000), bind(world.near, 7001)
        await say(reports, PROXY._replace(port=5001), b"I would like to receive")
        ((reports_from, _),) = await hear(target_reports)
        await say(target_media, reports_from._replace(port=reports_from.port - 1), b"media")
        assert await hear(media) == [(PROXY, b"media")]


@pytest.mark.parametrize("caller", ["sender", "receiver"])
async def test_rist_simple_passes_a_pair_whoever_calls(caller: str, autojump_clock: MockClock) -> None:
    world = World()
    media = b"".join(numbered(600))
    got = b""
    far, near = "rist://@far:6000", "rist://10.0.0.1:5000"
    conditions = LinkConditions(loss=0.1, delay=0.02)
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        with use_network(world.far):
            listener: RistSender | RistReceiver
            if caller == "sender":
                listener = await enter(open_rist_receiver(far))
            else:
                listener = await enter(open_rist_sender(far))
        await enter(world.proxy(pair=True, up=conditions))
        with use_network(world.near):
            if isinstance(listener, RistReceiver):
                sender, receiver = await enter(open_rist_sender(near)), listener
            else:
                sender, receiver = listener, await enter(open_rist_receiver(near))
        with trio.fail_after(20):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(sender.send_all, media)
                while len(got) < len(media):
                    got += await receiver.receive_some()
    assert got == media


async def test_an_odd_target_is_no_pair(autojump_clock: MockClock) -> None:
    with (
        use_network(World().middle),
        pytest.raises(InvalidOption, match="6001 is odd"),
    ):
        async with open_impairment_proxy(("", 5000), ("far", 6001), pair=True):
            pass


async def test_an_unknown_target_is_named(autojump_clock: MockClock) -> None:
    with use_network(World().middle), pytest.raises(UnknownHost, match="nowhere"):
        async with open_impairment_proxy(("", 5000), ("nowhere", 6000)):
            pass


async def test_closing_frees_every_port(autojump_clock: MockClock) -> None:
    world = World()
    for _ in range(2):
        async with world.proxy(pair=True) as proxy:
            await say(bind(world.near), PROXY, b"hello")
            await trio.sleep(0.1)
        assert proxy.statistics().up.passed == 1


async def test_a_closed_port_at_the_target_is_complained_about() -> None:
    troubles: list[Trouble] = []
    network = current_network()
    shut = await network.open_datagram_endpoint(EndpointOptions(local=Address("127.0.0.1", 0)))
    target = shut.local_address
    shut.close()
    async with open_impairment_proxy(("127.0.0.1", 0), target, complain=troubles.append) as proxy:
        client = await network.open_datagram_endpoint(EndpointOptions())
        with trio.move_on_after(5):
            while not troubles:
                await say(client, proxy.listen_address, b"anybody there?")
                await trio.sleep(0.3)
        client.close()
    assert troubles[0].kind == "refused"


@pytest.mark.parametrize("family", ["127.0.0.1", "::1"])
async def test_a_burst_through_real_sockets_loses_nothing_of_its_own(family: str) -> None:
    network = current_network()
    target = await network.open_datagram_endpoint(EndpointOptions(local=Address(family, 0)))
    client = await network.open_datagram_endpoint(EndpointOptions(local=Address(family, 0)))
    sent = numbered(2000)
    got: list[bytes] = []

    async def collect(expected: Sequence[bytes]) -> None:
        while len(got) < len(expected):
            for run in await target.receive():
                got.extend(map(bytes, run.datagrams))

    async with open_impairment_proxy(
        (family, 0), target.local_address, up=LinkConditions(delay=0.02)
    ) as proxy:
        with trio.move_on_after(10):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(collect, sent)
                for start in range(0, len(sent), 50):
                    await say(client, proxy.listen_address, *sent[start : start + 50])
                    await trio.sleep(0.001)
        statistics = proxy.statistics()
    target.close()
    client.close()
    assert got == sent
    assert statistics.up.passed == 2000
    assert statistics.dropped_by_kernel == 0
