"""Balancing groups on a simulated network: each packet on one member, and nothing lost when one dies."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing

from terzetto.primitives.impairment import LinkConditions
from terzetto.srt.core.group.group import Group
from terzetto.srt.events import MemberChanged, MemberState
from terzetto.srt.group import SrtGroup
from terzetto.srt.wire.extensions import GroupKind
from tests.srt.groups.world import World, receive_numbered, send_numbered, until_quiet


def carried(group: SrtGroup) -> list[int]:
    """Packets that each way carried, first transmissions alone."""
    members = sorted(group.statistics().members, key=lambda member: member.peer.host)
    return [member.statistics.sent_unique for member in members]


async def test_each_packet_travels_on_one_member_and_all_arrive_in_order(
    autojump_clock: trio.testing.MockClock,
) -> None:
    # The second way takes far longer, and the third reorders.
    world = World(3)
    world.ways[1][0].change(LinkConditions(delay=0.09))
    world.ways[2][0].change(LinkConditions(delay=0.03, jitter=0.02))
    async with world.pair("balancing") as (group, accepted), trio.open_nursery() as nursery:
        assert accepted.mode == "balancing"
        nursery.start_soon(send_numbered, group, range(600))
        assert await receive_numbered(accepted, 600) == list(range(600))
        assert sum(carried(group)) == 600
        assert all(170 < count < 230 for count in carried(group))
        statistics = accepted.statistics()
        assert (statistics.received, statistics.unrecovered, statistics.surplus) == (600, 0, 0)


async def test_members_share_by_weight(autojump_clock: trio.testing.MockClock) -> None:
    async with World().pair("balancing", "weight=3", "weight=1") as (group, accepted):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(send_numbered, group, range(400))
            assert await receive_numbered(accepted, 400) == list(range(400))
        assert carried(group) == [300, 100]


async def test_both_directions_are_balanced(autojump_clock: trio.testing.MockClock) -> None:
    async with World().pair("balancing") as (group, accepted), trio.open_nursery() as nursery:
        nursery.start_soon(send_numbered, group, range(200))
        nursery.start_soon(send_numbered, accepted, range(1000, 1200))
        assert await receive_numbered(accepted, 200) == list(range(200))
        assert await receive_numbered(group, 200) == list(range(1000, 1200))
        assert carried(group) == carried(accepted) == [100, 100]


@pytest.mark.parametrize(
    "secret", ["", "&passphrase=correct-horse-battery&kmrefreshrate=100&kmpreannounce=40"]
)
async def test_each_member_repairs_what_it_lost(autojump_clock: trio.testing.MockClock, secret: str) -> None:
    world = World(seed=5, loss=0.1, jitter=0.005)
    queries = [f"latency=400{secret}"] * 2
    async with world.pair("balancing", *queries, listening=secret) as (group, accepted):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(send_numbered, group, range(800))
            assert await receive_numbered(accepted, 800) == list(range(800))
        members = accepted.statistics().members
        assert all(member.statistics.recovered > 20 for member in members)
        assert accepted.statistics().unrecovered == 0


async def test_a_slow_path_carries_what_it_can_and_no_more(autojump_clock: trio.testing.MockClock) -> None:
    world = World()
    # 188 bytes and headers are 1920 bits: the second way takes 100 packets of the 500 a second.
    world.ways[1][0].change(LinkConditions(delay=0.02, rate=192_000))
    queries = ["latency=400"] * 2
    async with world.pair("balancing", *queries) as (group, accepted), trio.open_nursery() as nursery:
        nursery.start_soon(send_numbered, group, range(2000))
        assert await receive_numbered(accepted, 2000) == list(range(2000))
        assert accepted.statistics().unrecovered == 0
        fast, slow = carried(group)
        assert 250 < slow < 550, "four seconds at 100 a second, and what the queue takes"
        assert fast + slow < 2100


async def test_what_a_silent_member_was_given_is_handed_over_in_time(
    autojump_clock: trio.testing.MockClock,
) -> None:
    world = World()
    queries = ["latency=300"] * 2
    async with world.pair("balancing", *queries, reconnect=None) as (group, accepted):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(send_numbered, group, range(1000), 0.005)
            assert await receive_numbered(accepted, 300) == list(range(300))
            world.cut(0)
            assert await receive_numbered(accepted, 300) == list(range(300, 600))
            world.mend(0)
            assert await receive_numbered(accepted, 400) == list(range(600, 1000))
        assert accepted.statistics().unrecovered == 0
        states = [event.state async for event in until_quiet(group) if isinstance(event, MemberChanged)]
    assert states[-2:] == [MemberState.UNSTABLE, MemberState.STABLE]
    assert carried(accepted) == []


async def test_a_member_that_is_gone_for_good_leaves_no_gap(autojump_clock: trio.testing.MockClock) -> None:
    world = World()
    queries = ["latency=300&peeridletimeo=1000"] * 2
    async with world.pair("balancing", *queries, listening="peeridletimeo=1000", reconnect=None) as (
        group,
        accepted,
    ):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(send_numbered, group, range(800), 0.005)
            assert await receive_numbered(accepted, 200) == list(range(200))
            world.cut(1)
            assert await receive_numbered(accepted, 600) == list(range(200, 800))
        assert accepted.statistics().unrecovered == 0
        assert group.size == 1


async def test_a_rolling_restart_leaves_no_gap(autojump_clock: trio.testing.MockClock) -> None:
    world = World()
    urls = world.urls("latency=300", "latency=300")
    async with world.pair("balancing", "latency=300", "latency=300") as (group, accepted):

        async def restart_all() -> None:
            for url in urls:
                await trio.sleep(0.5)
                await group.remove(url)
                await trio.sleep(0.3)
                await group.add(url)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send_numbered, group, range(600), 0.005)
            nursery.start_soon(restart_all)
            assert await receive_numbered(accepted, 600) == list(range(600))
        assert accepted.statistics().unrecovered == 0
        assert group.size == 2


async def test_what_no_member_brings_in_time_is_skipped_and_told(
    autojump_clock: trio.testing.MockClock,
) -> None:
    world = World(seed=3, loss=0.1)
    # No time for a single repeat.
    async with world.pair("balancing", "latency=25", "latency=25", listening="latency=25") as (
        group,
        accepted,
    ):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(send_numbered, group, range(500))
            numbers: list[int] = []
            with trio.move_on_after(3):
                while True:
                    numbers += await receive_numbered(accepted, 1)
        statistics = accepted.statistics()
        assert numbers == sorted(set(numbers))
        assert 20 < statistics.unrecovered < 100
        assert statistics.received + statistics.unrecovered >= 495


async def test_places_wrap_with_the_numbers(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = Group.__init__

    def begin_near_the_end(self: Group, kind: GroupKind, **knobs: Any) -> None:
        begin(self, kind, **{**knobs, "initial_sequence": 0x7FFF_FFFF - 60})

    monkeypatch.setattr(Group, "__init__", begin_near_the_end)
    world = World()
    urls = world.urls()
    async with world.pair("balancing") as (group, accepted), trio.open_nursery() as nursery:
        nursery.start_soon(send_numbered, group, range(300), 0.005)
        assert await receive_numbered(accepted, 150) == list(range(150))
        await group.remove(urls[0])
        await group.add(urls[0])
        assert await receive_numbered(accepted, 150) == list(range(150, 300))


async def test_a_reader_that_sleeps_costs_bounded_memory(autojump_clock: trio.testing.MockClock) -> None:
    async with World().pair("balancing", listening="rcvbuf=94208&fc=64") as (group, accepted):
        with trio.move_on_after(2):
            await send_numbered(group, range(1000))
        held = [member.statistics.receive_buffer_packets for member in accepted.statistics().members]
        assert all(0 < count <= 64 for count in held)
