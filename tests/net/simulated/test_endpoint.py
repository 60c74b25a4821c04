"""A simulated socket binds, fills up, complains and closes as a kernel's would."""

from __future__ import annotations

from collections.abc import Awaitable

import pytest
import trio
from trio.testing import MockClock

from terzetto.errors import AddressInUse, InvalidOption, NoRoute
from terzetto.net.endpoint import Address, DatagramEndpoint, Run
from terzetto.net.simulated import LinkConditions, SimulatedHost, SimulatedNetwork
from terzetto.testing.checks import check_endpoint
from tests.net.simulated.worlds import bind, payloads, receive_all


def pair() -> tuple[SimulatedNetwork, SimulatedHost, SimulatedHost]:
    network = SimulatedNetwork(1, default=LinkConditions(delay=0.010))
    return network, network.add_host("alice"), network.add_host("bob")


BOB = Address("10.0.0.2", 5000)


@pytest.mark.parametrize("addresses", [("10.0.0.1", "10.0.0.2"), ("fd00::1", "fd00::2")])
async def test_it_keeps_every_promise(autojump_clock: MockClock, addresses: tuple[str, str]) -> None:
    _network, alice, bob = pair()

    def open_pair() -> Awaitable[tuple[DatagramEndpoint, DatagramEndpoint]]:
        async def opened() -> tuple[DatagramEndpoint, DatagramEndpoint]:
            await trio.lowlevel.checkpoint()
            return bind(alice, address=addresses[0]), bind(bob, address=addresses[1])

        return opened()

    await check_endpoint(open_pair)


async def test_it_keeps_every_promise_behind_a_slow_card(autojump_clock: MockClock) -> None:
    network = SimulatedNetwork(1)
    alice = network.add_host("alice", uplink_rate=20e6)
    bob = network.add_host("bob", uplink_rate=20e6)

    async def open_pair() -> tuple[DatagramEndpoint, DatagramEndpoint]:
        await trio.sleep(1)  # what the previous pair left behind has been sent
        return (
            bind(alice, address="10.0.0.1", send_buffer=50_000),
            bind(bob, address="10.0.0.2", send_buffer=50_000),
        )

    await check_endpoint(open_pair)


async def test_a_port_is_taken_once(autojump_clock: MockClock) -> None:
    _network, alice, _bob = pair()
    bind(alice, 5000, "10.0.0.1")
    for address in ("10.0.0.1", "", "0.0.0.0", "::"):
        with pytest.raises(AddressInUse, match="in use; choose another port"):
            bind(alice, 5000, address)
    bind(alice, 5000, "127.0.0.1")
    bind(alice, 5000, "fd00::1")
    bind(alice, 5001)


async def test_families_are_apart_unless_a_socket_takes_both(autojump_clock: MockClock) -> None:
    _network, alice, _bob = pair()
    bind(alice, 5000, family=4)
    bind(alice, 5000, family=6)
    bind(alice, 5001, family=0)
    with pytest.raises(AddressInUse):
        bind(alice, 5001, family=4)


async def test_a_closed_port_is_free_again(autojump_clock: MockClock) -> None:
    _network, alice, _bob = pair()
    bind(alice, 5000).close()
    bind(alice, 5000)


async def test_ephemeral_ports_are_the_same_in_every_run(autojump_clock: MockClock) -> None:
    _network, alice, _bob = pair()
    bind(alice, 49153)
    assert [bind(alice).local_address.port for _ in range(3)] == [49152, 49154, 49155]


async def test_addresses_that_are_not_ours_cannot_be_bound(autojump_clock: MockClock) -> None:
    _network, alice, _bob = pair()
    with pytest.raises(NoRoute, match=r"not an address of alice; it has eth0 \(10\.0\.0\.1"):
        bind(alice, 5000, "10.0.0.2")
    with pytest.raises(NoRoute, match="not a numeric address"):
        bind(alice, 5000, "alice")
    with pytest.raises(NoRoute, match="no interface"):
        bind(alice, 5000, interface="wlan7")
    with pytest.raises(InvalidOption, match="not a multicast address"):
        bind(alice, 5000, groups=("10.0.0.1",))


async def test_sockets_that_share_a_port_share_the_peers(autojump_clock: MockClock) -> None:
    _network, alice, bob = pair()
    shares = [bind(bob, 5000, reuse_port=True) for _ in range(3)]
    with pytest.raises(AddressInUse):
        bind(bob, 5000)
    for _ in range(30):
        tx = bind(alice)
        for number in range(3):
            await tx.send([Run(BOB, [b"%d" % number])])
    await trio.sleep(1)
    got = [share.receive_nowait() for share in shares]
    assert sum(len(payloads(runs)) for runs in got) == 90
    assert all(got)
    peers = [{run.peer for run in runs} for runs in got]
    assert sum(map(len, peers)) == len(set().union(*peers)) == 30


async def test_the_more_specific_socket_gets_it(autojump_clock: MockClock) -> None:
    _network, alice, bob = pair()
    anywhere = bind(bob, 5000, reuse_port=True)
    exactly = bind(bob, 5000, "10.0.0.2", reuse_port=True)
    await bind(alice).send([Run(BOB, [b"x"])])
    assert payloads(await exactly.receive()) == [b"x"]
    assert anywhere.receive_nowait() == []


async def test_a_full_receive_buffer_drops_the_newest_and_counts(autojump_clock: MockClock) -> None:
    network, alice, bob = pair()
    rx = bind(bob, 5000, receive_buffer=5 * (1000 + 128))
    await bind(alice).send([Run(BOB, [bytes([number]) * 1000 for number in range(8)])])
    await trio.sleep(1)
    assert [datagram[0] for datagram in payloads(rx.receive_nowait())] == [0, 1, 2, 3, 4]
    assert rx.statistics().dropped_by_kernel == 3
    assert [packet.fate for packet in network.trace.packets if packet.place == "bob:5000"] == ["no room"] * 3
    await bind(alice).send([Run(BOB, [b"room again"])])
    assert payloads(await rx.receive()) == [b"room again"]


async def test_a_closed_port_answers_after_a_round_trip(autojump_clock: MockClock) -> None:
    _network, alice, _bob = pair()
    tx = bind(alice)
    await tx.send([Run(BOB, [b"anybody?"])])
    await trio.sleep(0.0199)
    assert tx.poll_troubles() == []
    await trio.sleep(0.0001)
    [trouble] = tx.poll_troubles()
    assert trouble == (BOB, "refused", "nobody listens on 10.0.0.2:5000")
    assert tx.statistics().troubles == 1


async def test_what_counts_is_who_listens_on_arrival(autojump_clock: MockClock) -> None:
    _network, alice, bob = pair()
    tx = bind(alice)
    await tx.send([Run(BOB, [b"early"])])
    await trio.sleep(0.005)
    rx = bind(bob, 5000)
    assert payloads(await rx.receive()) == [b"early"]
    await tx.send([Run(BOB, [b"late"])])
    await trio.sleep(0.005)
    rx.close()
    await trio.sleep(1)
    assert [trouble.kind for trouble in tx.poll_troubles()] == ["refused"]


async def test_what_arrived_before_a_port_opened_is_gone(autojump_clock: MockClock) -> None:
    _network, alice, bob = pair()
    tx = bind(alice)
    await tx.send([Run(BOB, [b"too early"])])
    await trio.sleep(0.015)
    rx = bind(bob, 5000)
    assert await receive_all(rx) == []
    assert [trouble.kind for trouble in tx.poll_troubles()] == ["refused"]


async def test_what_leads_nowhere_is_unreachable(autojump_clock: MockClock) -> None:
    network, alice, _bob = pair()
    network.add_host("six", "fd00::6")
    tx = bind(alice)
    everywhere = [("10.9.9.9", "nobody has"), ("fd00::2", "cannot send"), ("bob", "not a numeric address")]
    for host, why in everywhere:
        await tx.send([Run(Address(host, 5000), [b"?"])])
        [trouble] = tx.poll_troubles()
        assert trouble.kind == "unreachable"
        assert why in trouble.text
    four = network.add_host("four", "10.0.0.4")
    dual = bind(four, family=0)
    await dual.send([Run(Address("fd00::6", 5000), [b"?"])])
    assert [trouble.text for trouble in dual.poll_troubles()] == [
        "four has no address to reach [fd00::6]:5000 from"
    ]


async def test_what_exceeds_the_mtu_is_too_big(autojump_clock: MockClock) -> None:
    network, alice, bob = pair()
    network.link(alice, bob, LinkConditions(delay=0.01, mtu=1400))
    tx, rx = bind(alice), bind(bob, 5000)
    await tx.send([Run(BOB, [bytes(1372), bytes(1373)])])
    assert [len(datagram) for datagram in payloads(await receive_all(rx))] == [1372]
    assert [(trouble.kind, trouble.peer) for trouble in tx.poll_troubles()] == [("too_big", BOB)]
    six, rx6 = bind(alice, family=6), bind(bob, 5000, family=6)
    await six.send([Run(Address("fd00::2", 5000), [bytes(1352), bytes(1353)])])
    assert [len(datagram) for datagram in payloads(await receive_all(rx6))] == [1352]
    await tx.send([Run(BOB, [bytes(65_508)])])
    assert tx.poll_troubles()[0].kind == "too_big"


async def test_troubles_are_bounded(autojump_clock: MockClock) -> None:
    _network, alice, _bob = pair()
    tx = bind(alice)
    await tx.send([Run(Address("10.9.9.9", port), [b"?"]) for port in range(1, 1001)])
    troubles = tx.poll_troubles()
    assert len(troubles) == 64
    assert troubles[-1].peer == Address("10.9.9.9", 1000)
    assert tx.statistics().troubles == 1000


async def test_a_host_reaches_itself(autojump_clock: MockClock) -> None:
    _network, alice, _bob = pair()
    rx = bind(alice, 5000)
    tx = bind(alice)
    await tx.send([Run(Address("127.0.0.1", 5000), [b"lo"]), Run(Address("10.0.0.1", 5000), [b"self"])])
    runs = await rx.receive()
    assert [(run.peer.host, run.local, payloads([run])) for run in runs] == [
        ("127.0.0.1", "127.0.0.1", [b"lo"]),
        ("10.0.0.1", "10.0.0.1", [b"self"]),
    ]
    assert trio.current_time() == 0


async def test_a_slow_card_makes_send_wait(autojump_clock: MockClock) -> None:
    network = SimulatedNetwork(1)
    alice, bob = network.add_host("alice", uplink_rate=1e6), network.add_host("bob")
    tx, rx = bind(alice, send_buffer=10_000), bind(bob, 5000)
    sent = [bytes([number]) * 972 for number in range(50)]
    left = tx.send_nowait([Run(BOB, sent)])
    assert sum(len(run.datagrams) for run in left) == 40
    await tx.send(left)
    assert trio.current_time() == pytest.approx(
        0.32, abs=0.01
    )  # 40 kB at 1 Mbit/s; 10 kB still wait in the buffer
    assert payloads(await receive_all(rx)) == sent


async def test_closing_wakes_who_waits_to_send(autojump_clock: MockClock) -> None:
    network = SimulatedNetwork(1)
    alice = network.add_host("alice", uplink_rate=1000)
    network.add_host("bob")
    tx = bind(alice, send_buffer=1000)

    async def close_soon() -> None:
        await trio.sleep(0.5)
        tx.close()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(close_soon)
        with pytest.raises(trio.ClosedResourceError):
            await tx.send([Run(BOB, [bytes(900)] * 10)])
    assert trio.current_time() == 0.5


async def test_views_arrive_as_what_they_showed(autojump_clock: MockClock) -> None:
    _network, alice, bob = pair()
    rx = bind(bob, 5000)
    await bind(alice).send([Run(BOB, [memoryview(b"0123456789")[3:6]])])
    assert payloads(await rx.receive()) == [b"345"]
