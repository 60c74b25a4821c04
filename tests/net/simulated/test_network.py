"""Hosts on a simulated network exchange datagrams as real ones would, over links of any quality."""

from __future__ import annotations

import subprocess
import sys

import pytest
import trio
from trio.testing import MockClock

from terzetto.errors import UnknownHost
from terzetto.net.endpoint import Address, EndpointOptions, Run
from terzetto.net.network import current_network, use_network
from terzetto.net.simulated import LinkConditions, ScriptedLoss, SimulatedHost, SimulatedNetwork
from tests.net.simulated.worlds import bind, payloads, receive_all

FORTY_MS = LinkConditions(delay=0.040)


def pair(
    conditions: LinkConditions = FORTY_MS, seed: int = 1
) -> tuple[SimulatedNetwork, SimulatedHost, SimulatedHost]:
    network = SimulatedNetwork(seed)
    alice, bob = network.add_host("alice"), network.add_host("bob")
    network.connect(alice, bob, conditions)
    return network, alice, bob


BOB = Address("10.0.0.2", 5000)


async def test_an_application_finds_its_host_by_the_context(autojump_clock: MockClock) -> None:
    _network, alice, bob = pair()
    rx = bind(bob, 5000)
    with use_network(alice):
        tx = await current_network().open_datagram_endpoint(EndpointOptions())
        [where] = await current_network().resolve("bob", 5000, family=4)
    start = trio.current_time()
    await tx.send([Run(where, [b"one", b"two"])])
    [run] = await rx.receive()
    assert list(run.datagrams) == [b"one", b"two"]
    assert run.peer == Address("10.0.0.1", tx.local_address.port)
    assert run.local == "10.0.0.2"
    assert trio.current_time() - start == pytest.approx(0.040)


async def test_a_waiting_receiver_is_woken_by_what_is_sent_later_and_arrives_earlier(
    autojump_clock: MockClock,
) -> None:
    network = SimulatedNetwork(1)
    far, near, here = network.add_host("far"), network.add_host("near"), network.add_host("here")
    network.link(far, here, LinkConditions(delay=10))
    network.link(near, here, LinkConditions(delay=0.010))
    rx = bind(here, 5000)
    where = Address("10.0.0.3", 5000)
    await bind(far).send([Run(where, [b"slow"])])

    async def send_later() -> None:
        await trio.sleep(1)
        await bind(near).send([Run(where, [b"fast"])])

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send_later)
        assert payloads(await rx.receive()) == [b"fast"]
        assert trio.current_time() == pytest.approx(1.010)
        assert payloads(await rx.receive()) == [b"slow"]
        assert trio.current_time() == pytest.approx(10)


async def test_directions_have_conditions_of_their_own(autojump_clock: MockClock) -> None:
    network = SimulatedNetwork()
    alice, bob = network.add_host("alice"), network.add_host("bob")
    network.connect(alice, bob, LinkConditions(delay=0.1), back=LinkConditions(delay=0.3))
    one, other = bind(alice, 4000), bind(bob, 5000)
    await one.send([Run(BOB, [b"ping"])])
    [run] = await other.receive()
    assert trio.current_time() == pytest.approx(0.1)
    await other.send([Run(run.peer, [b"pong"])])
    await one.receive()
    assert trio.current_time() == pytest.approx(0.4)


async def test_paths_between_addresses_are_links_of_their_own(autojump_clock: MockClock) -> None:
    network = SimulatedNetwork()
    alice = network.add_host("alice", interfaces={"eth0": ["10.1.0.1"], "lte0": ["10.2.0.1"]})
    bob = network.add_host("bob", "10.1.0.2", "10.2.0.2")
    network.connect("10.1.0.1", "10.1.0.2", LinkConditions(delay=0.010))
    network.connect("10.2.0.1", "10.2.0.2", LinkConditions(delay=0.080))
    tx, rx = bind(alice), bind(bob, 5000)
    await tx.send([Run(Address("10.2.0.2", 5000), [b"lte"]), Run(Address("10.1.0.2", 5000), [b"eth"])])
    # A wildcard socket leaves by the address that is linked with the target, as a routing table would have it.
    [fast] = await rx.receive()
    [slow] = await rx.receive()
    assert (payloads([fast]), fast.peer.host, fast.local) == ([b"eth"], "10.1.0.1", "10.1.0.2")
    assert (payloads([slow]), slow.peer.host, slow.local) == ([b"lte"], "10.2.0.1", "10.2.0.2")
    assert trio.current_time() == pytest.approx(0.080)
    # An answer that carries `local` leaves from there.
    await rx.send([Run(slow.peer, [b"back"], 0, slow.local)])
    [answer] = await tx.receive()
    assert answer.peer == Address("10.2.0.2", 5000)


async def test_hosts_speak_ipv6(autojump_clock: MockClock) -> None:
    _network, alice, bob = pair()
    tx, rx = bind(alice, family=6), bind(bob, 5000, family=6)
    [where] = await alice.resolve("bob", 5000, family=6)
    await tx.send([Run(where, [b"six"])])
    [run] = await rx.receive()
    assert run.peer == Address("fd00::1", tx.local_address.port)
    assert payloads(await receive_all(rx)) == []


async def test_a_schedule_changes_a_link_while_nobody_looks(autojump_clock: MockClock) -> None:
    network, alice, bob = pair()
    link, _back = network.links_between(alice, bob)
    link.change(LinkConditions(delay=0.2), at=1.0)
    network.partition(alice, bob, 2.0, 3.0)
    tx, rx = bind(alice), bind(bob, 5000)
    seen: list[float] = []
    for moment in (0.5, 1.5, 2.5, 3.5):
        await trio.sleep_until(moment)
        await tx.send([Run(BOB, [b"?"])])
        with trio.move_on_after(0.4):
            await rx.receive()
            seen.append(round(trio.current_time() - moment, 6))
    assert seen == [0.040, 0.200, 0.200]
    assert link.statistics().dropped == {"partitioned": 1}


async def test_a_cut_link_can_be_mended(autojump_clock: MockClock) -> None:
    network, alice, bob = pair()
    link, _ = network.links_between(alice, bob)
    tx, rx = bind(alice), bind(bob, 5000)
    link.cut()
    await tx.send([Run(BOB, [b"lost"])])
    link.mend()
    await tx.send([Run(BOB, [b"found"])])
    assert payloads(await receive_all(rx)) == [b"found"]


async def test_scripted_loss_drops_exactly_what_it_names(autojump_clock: MockClock) -> None:
    script = ScriptedLoss(3, matching=lambda datagram: bytes(datagram[:1]) == b"d")
    _network, alice, bob = pair(LinkConditions(delay=0.01, loss=script))
    tx, rx = bind(alice), bind(bob, 5000)
    await tx.send([Run(BOB, [b"d1", b"c1", b"d2", b"d3", b"d4"])])
    assert payloads(await receive_all(rx)) == [b"d1", b"c1", b"d2", b"d4"]


async def test_names_resolve_and_unknown_ones_say_what_is_known(autojump_clock: MockClock) -> None:
    network, alice, _bob = pair()
    network.add_name("stream.example", "fd00::2", "10.0.0.2")
    assert await alice.resolve("stream.example", 7) == [Address("fd00::2", 7), Address("10.0.0.2", 7)]
    assert await alice.resolve("FD00:0::2", 7) == [Address("fd00::2", 7)]
    assert await alice.resolve("localhost", 7, family=4) == [Address("127.0.0.1", 7)]
    with pytest.raises(UnknownHost, match=r"alice, bob, stream\.example"):
        await alice.resolve("nowhere.example", 7)
    with pytest.raises(UnknownHost, match="no IPv4"):
        await alice.resolve("fd00::2", 7, family=4)


def test_entropy_follows_from_seed_and_host() -> None:
    _, alice, bob = pair(seed=3)
    _, again, _ = pair(seed=3)
    _, other, _ = pair(seed=4)
    drawn = alice.entropy(16)
    assert len(drawn) == 16
    assert drawn == again.entropy(16)
    assert drawn not in (bob.entropy(16), other.entropy(16), alice.entropy(16))


def test_the_date_is_fixed_and_may_differ_between_hosts() -> None:
    _, alice, bob = pair()
    assert alice.wall_clock_offset() == bob.wall_clock_offset()
    bob.epoch += 5
    assert bob.wall_clock_offset() - alice.wall_clock_offset() == 5


def test_mistakes_in_the_description_are_refused() -> None:
    network, alice, bob = pair()
    with pytest.raises(ValueError, match="already"):
        network.link(alice, bob, LinkConditions())
    with pytest.raises(ValueError, match="already"):
        network.add_host("alice")
    with pytest.raises(ValueError, match="alice has the address"):
        network.add_host("carol", "10.0.0.1")
    with pytest.raises(ValueError, match="neither a host nor an address"):
        network.link(alice, "10.9.9.9", LinkConditions())


def test_the_real_clock_will_do() -> None:
    network, alice, bob = pair(LinkConditions(delay=0.005))

    async def main() -> None:
        tx, rx = bind(alice), bind(bob, 5000)
        start = trio.current_time()
        await tx.send([Run(BOB, [b"real"])])
        with trio.fail_after(2):
            assert payloads(await rx.receive()) == [b"real"]
        assert trio.current_time() - start >= 0.004

    trio.run(main)
    [record] = network.trace.packets
    assert record.at < 1_000_000  # network time begins with the network, whatever trio's clock says


BUSY_WORLD = """
import trio
from trio.testing import MockClock
from terzetto.net.endpoint import Address, EndpointOptions, Run
from terzetto.testing import BurstLoss, LinkConditions, SimulatedNetwork, deterministic_scheduling

async def talk(me, where, network):
    endpoint = me.bind(EndpointOptions(local=Address("", 5000)))
    async with trio.open_nursery() as nursery:
        async def listen():
            while True:
                for run in await endpoint.receive():
                    if run.datagrams[0][:1] != b"R":
                        await endpoint.send([Run(run.peer, [b"R" + bytes(d) for d in run.datagrams])])
        nursery.start_soon(listen)
        for number in range(300):
            await endpoint.send([Run(where, [me.entropy(20)])])
            await trio.sleep(0.001 * (1 + number % 3))
        await trio.sleep(1)
        nursery.cancel_scope.cancel()

async def main(network):
    hosts = [network.add_host(f"host{number}") for number in range(4)]
    for one in hosts:
        for other in hosts:
            if one is not other:
                rough = LinkConditions(delay=0.01, jitter=0.005, loss=BurstLoss.with_mean(0.1, 3), reorder=0.05,
                                       duplicate=0.02, corrupt=0.01, rate=2e6, queue=4000)
                network.link(one, other, rough)
    async with trio.open_nursery() as nursery:
        for number, host in enumerate(hosts):
            where = Address(hosts[(number + 1) % 4].addresses[0], 5000)
            nursery.start_soon(talk, host, where, network)

def run(seed):
    network = SimulatedNetwork(seed)
    with deterministic_scheduling(seed):
        trio.run(main, network, clock=MockClock(autojump_threshold=0))
    return network.trace_hash()
"""

# The same on every machine and every Python: this very value is the promise.
EXPECTED_HASH = "9db22acdb25b92a2a6402c19431fcff6fd9d968f097bb0bebddf1cf6b50fa908"


def world_hash(seed: int) -> str:
    scope: dict[str, object] = {}
    exec(BUSY_WORLD, scope)
    run = scope["run"]
    assert callable(run)
    return str(run(seed))


def test_a_seed_decides_everything() -> None:
    assert world_hash(7) == world_hash(7) == EXPECTED_HASH
    assert world_hash(8) != EXPECTED_HASH


def test_string_hashing_has_no_part_in_it() -> None:
    source = BUSY_WORLD + "\nprint(run(7))"
    for salt in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", source],
            env={"PYTHONHASHSEED": salt, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == EXPECTED_HASH
