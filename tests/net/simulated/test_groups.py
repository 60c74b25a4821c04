"""Multicast reaches whoever joined, each over a link of its own."""

from __future__ import annotations

import pytest
from trio.testing import MockClock

from terzetto.net.endpoint import Address, Run
from terzetto.net.simulated import LinkConditions, SimulatedNetwork
from tests.net.simulated.worlds import bind, payloads, receive_all

GROUP = Address("239.1.2.3", 5000)
GROUP6 = Address("ff15::1", 5000)


def four_hosts() -> SimulatedNetwork:
    network = SimulatedNetwork(1)
    for name in ("source", "one", "two", "rival"):
        network.add_host(name)
    return network


@pytest.mark.parametrize(("group", "family"), [(GROUP, 4), (GROUP6, 6)])
async def test_members_hear_it_and_others_do_not(
    autojump_clock: MockClock, group: Address, family: int
) -> None:
    network = four_hosts()
    source, one, two, rival = network.hosts()
    members = [bind(host, 5000, family=family, groups=(group.host,)) for host in (one, two)]
    bystander = bind(rival, 5000, family=family)
    other_port = bind(one, 5001, family=family, groups=(group.host,))
    tx = bind(source, family=family)
    await tx.send([Run(group, [b"to all"])])
    for member in members:
        [run] = await member.receive()
        assert payloads([run]) == [b"to all"]
        assert run.peer.port == tx.local_address.port
    assert await receive_all(bystander) == []
    assert await receive_all(other_port) == []
    assert tx.poll_troubles() == []


async def test_each_member_has_luck_of_its_own(autojump_clock: MockClock) -> None:
    network = four_hosts()
    source, one, two, _ = network.hosts()
    network.link(source, one, LinkConditions(delay=0.01, loss=1.0))
    members = [bind(host, 5000, groups=(GROUP.host,)) for host in (one, two)]
    await bind(source).send([Run(GROUP, [b"x"])])
    assert [payloads(await receive_all(member)) for member in members] == [[], [b"x"]]


async def test_source_specific_members_hear_that_source_only(autojump_clock: MockClock) -> None:
    network = four_hosts()
    source, one, _two, rival = network.hosts()
    member = bind(one, 5000, groups=("232.1.1.1",), sources=("10.0.0.1",))
    where = Address("232.1.1.1", 5000)
    await bind(rival).send([Run(where, [b"not me"])])
    await bind(source).send([Run(where, [b"me"])])
    assert payloads(await receive_all(member)) == [b"me"]


async def test_who_closes_has_left(autojump_clock: MockClock) -> None:
    network = four_hosts()
    source, one, *_ = network.hosts()
    tx = bind(source)
    member = bind(one, 5000, groups=(GROUP.host,))
    await tx.send([Run(GROUP, [b"1"])])
    assert payloads(await member.receive()) == [b"1"]
    member.close()
    await tx.send([Run(GROUP, [b"2"])])
    member = bind(one, 5000, groups=(GROUP.host,))
    await tx.send([Run(GROUP, [b"3"])])
    assert payloads(await receive_all(member)) == [b"3"]


async def test_several_members_on_one_host_all_hear(autojump_clock: MockClock) -> None:
    network = four_hosts()
    source, one, *_ = network.hosts()
    members = [bind(one, 5000, reuse_port=True, groups=(GROUP.host,)) for _ in range(3)]
    await bind(source).send([Run(GROUP, [b"x"])])
    assert [payloads(await member.receive()) for member in members] == [[b"x"]] * 3


@pytest.mark.parametrize("loop", [True, False])
async def test_the_sender_s_own_host_hears_if_told(autojump_clock: MockClock, loop: bool) -> None:
    network = four_hosts()
    source, *_ = network.hosts()
    member = bind(source, 5000, groups=(GROUP.host,))
    await bind(source, multicast_loop=loop).send([Run(GROUP, [b"x"])])
    assert payloads(await receive_all(member)) == ([b"x"] if loop else [])


async def test_the_interface_decides_the_source(autojump_clock: MockClock) -> None:
    network = SimulatedNetwork(1)
    source = network.add_host("source", interfaces={"eth0": ["10.1.0.1"], "eth1": ["10.2.0.1"]})
    member = bind(network.add_host("one", "10.2.0.2"), 5000, groups=(GROUP.host,))
    for interface in ("eth1", "10.2.0.1"):
        await bind(source, interface=interface).send([Run(GROUP, [b"x"])])
        [run] = await member.receive()
        assert run.peer.host == "10.2.0.1"


async def test_a_time_to_live_of_nothing_stays_at_home(autojump_clock: MockClock) -> None:
    network = four_hosts()
    source, one, *_ = network.hosts()
    far, near = bind(one, 5000, groups=(GROUP.host,)), bind(source, 5000, groups=(GROUP.host,))
    await bind(source, ttl=0).send([Run(GROUP, [b"x"])])
    assert payloads(await receive_all(far)) == []
    assert payloads(await receive_all(near)) == [b"x"]
