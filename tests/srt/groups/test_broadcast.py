"""Broadcast groups on a simulated network: what a user sees."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing

from terzetto.errors import AllPathsFailed, ConnectionRefusedByPeer, PeerTimedOut
from terzetto.net.network import use_network
from terzetto.primitives.reconnection import Reconnection
from terzetto.srt.api import open_srt_listener
from terzetto.srt.core.group.group import Group
from terzetto.srt.events import MemberJoined, MemberLost, PacketsSkipped
from terzetto.srt.group_api import open_srt_group
from terzetto.srt.wire.extensions import GroupKind
from tests.srt.groups.world import World, receive_numbered, send_numbered, until_quiet

pytestmark = pytest.mark.slow

QUICK = Reconnection(initial=0.2, longest=0.5)


async def test_every_packet_is_delivered_once_whatever_member_brings_it(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with World().pair() as (group, accepted), trio.open_nursery() as nursery:
        nursery.start_soon(send_numbered, group, range(500))
        assert await receive_numbered(accepted, 500) == list(range(500))
        statistics = accepted.statistics()
        assert statistics.received == 500
        assert statistics.unrecovered == 0
        assert all(member.statistics.received >= 500 for member in statistics.members)


async def test_both_directions_carry(autojump_clock: trio.testing.MockClock) -> None:
    async with World(3).pair() as (group, accepted), trio.open_nursery() as nursery:
        nursery.start_soon(send_numbered, group, range(200))
        nursery.start_soon(send_numbered, accepted, range(1000, 1200))
        assert await receive_numbered(accepted, 200) == list(range(200))
        assert await receive_numbered(group, 200) == list(range(1000, 1200))


@pytest.mark.parametrize("secret", ["", "passphrase=correct-horse-battery"])
async def test_what_one_member_loses_another_brings(
    autojump_clock: trio.testing.MockClock, secret: str
) -> None:
    # The latency leaves no time for a single repeat: what arrives in time arrives by the other way.
    world = World(seed=3, loss=0.1)
    queries = (f"latency=45&{secret}",) * 2
    async with world.pair("broadcast", *queries, listening=f"latency=45&{secret}") as (group, accepted):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(send_numbered, group, range(1000))
            with trio.move_on_after(4):
                await receive_numbered(accepted, 1000)
        statistics = accepted.statistics()
        told = [event.count async for event in until_quiet(accepted) if isinstance(event, PacketsSkipped)]
    assert statistics.received + statistics.unrecovered >= 990
    assert sum(told) == statistics.unrecovered
    single = [member.statistics.lost for member in statistics.members]
    assert statistics.unrecovered * 5 < min(single)


async def test_a_member_that_fails_is_an_event_and_no_gap(autojump_clock: trio.testing.MockClock) -> None:
    world = World()
    async with world.pair(reconnect=None) as (group, accepted), trio.open_nursery() as nursery:
        nursery.start_soon(send_numbered, group, range(1000), 0.01)
        assert await receive_numbered(accepted, 300) == list(range(300))
        world.cut(0)
        assert await receive_numbered(accepted, 700) == list(range(300, 1000))
        assert group.size == 1
        lost = [event async for event in until_quiet(group) if isinstance(event, MemberLost)]
        assert "silent" in lost[0].reason
        assert accepted.statistics().unrecovered == 0


async def test_losing_all_members_raises_with_every_cause(autojump_clock: trio.testing.MockClock) -> None:
    world = World(3)
    async with world.pair(reconnect=None) as (group, _):
        for way in range(3):
            world.cut(way)
        with pytest.raises(AllPathsFailed) as caught:
            await send_numbered(group, range(100_000), pause=0.05)
        assert len(caught.value.causes) == 3
        with pytest.raises(AllPathsFailed):
            await group.receive_packet()


async def test_a_rolling_restart_of_members_leaves_no_gap(autojump_clock: trio.testing.MockClock) -> None:
    world = World(3)
    urls = world.urls()
    async with world.pair() as (group, accepted), trio.open_nursery() as nursery:
        nursery.start_soon(send_numbered, group, range(600), 0.01)

        async def restart_all() -> None:
            for url in urls:
                await trio.sleep(0.5)
                await group.remove(url)
                assert group.size >= 2
                await trio.sleep(0.3)
                await group.add(url)

        nursery.start_soon(restart_all)
        assert await receive_numbered(accepted, 600) == list(range(600))
        statistics = accepted.statistics()
        assert len(statistics.members) == 3
        assert statistics.unrecovered == 0


async def test_a_member_that_was_lost_is_called_again(autojump_clock: trio.testing.MockClock) -> None:
    world = World()
    async with world.pair(reconnect=QUICK) as (group, accepted), trio.open_nursery() as nursery:
        nursery.start_soon(send_numbered, group, range(1000), 0.02)
        world.cut(1)
        assert await receive_numbered(accepted, 400) == list(range(400))
        assert group.size == 1
        world.mend(1)
        assert await receive_numbered(accepted, 600) == list(range(400, 1000))
        assert group.size == accepted.size == 2
        joined = [event async for event in until_quiet(group) if isinstance(event, MemberJoined)]
        assert len(joined) == 3


async def test_a_group_that_lost_all_members_goes_on_when_one_is_back(
    autojump_clock: trio.testing.MockClock,
) -> None:
    world = World()
    async with world.pair(reconnect=QUICK, peer_idle_timeout=1.0, listening="peeridletimeo=1000") as (
        group,
        accepted,
    ):
        await group.send_packet(b"before")
        assert (await accepted.receive_packet()).payload == b"before"
        world.cut(0)
        world.cut(1)
        await trio.sleep(5)
        assert group.size == 0
        world.mend(0)
        await group.send_packet(b"after")
        assert group.size == 1


async def test_a_listener_that_takes_no_groups_refuses_every_member(
    autojump_clock: trio.testing.MockClock,
) -> None:
    world = World()
    with use_network(world.peer):
        manager = open_srt_listener("srt://:9000")
        await manager.__aenter__()
    with use_network(world.caller), pytest.raises(AllPathsFailed) as caught:
        async with open_srt_group(world.urls(), mode="broadcast"):
            pass
    assert all(
        isinstance(cause, ConnectionRefusedByPeer) and cause.code == 15 for cause in caught.value.causes
    )
    await manager.__aexit__(None, None, None)


async def test_nobody_there_says_so_for_each_member(autojump_clock: trio.testing.MockClock) -> None:
    world = World()
    with use_network(world.caller), pytest.raises(AllPathsFailed) as caught:
        async with open_srt_group(world.urls(), mode="backup"):
            pass
    assert [type(cause) for cause in caught.value.causes] == [PeerTimedOut, PeerTimedOut]


async def test_closing_says_goodbye_after_everything_arrived(autojump_clock: trio.testing.MockClock) -> None:
    async with World().pair() as (group, accepted):
        await send_numbered(group, range(50))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(group.aclose)
            assert await receive_numbered(accepted, 50) == list(range(50))
            with pytest.raises(trio.EndOfChannel):
                await accepted.receive_packet()


@pytest.mark.parametrize("mode", ["broadcast", "backup"])
async def test_numbers_wrap_under_a_group_whose_members_come_and_go(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    begin = Group.__init__

    def begin_near_the_end(self: Group, kind: GroupKind, **knobs: Any) -> None:
        begin(self, kind, **{**knobs, "initial_sequence": 0x7FFF_FFFF - 60})

    monkeypatch.setattr(Group, "__init__", begin_near_the_end)
    world = World()
    urls = world.urls("weight=2", "weight=1")
    async with world.pair(mode, "weight=2", "weight=1") as (group, accepted), trio.open_nursery() as nursery:
        nursery.start_soon(send_numbered, group, range(400), 0.01)

        async def restart_all() -> None:
            for url in urls:
                await trio.sleep(1)
                await group.remove(url)
                await trio.sleep(0.5)
                await group.add(url)

        nursery.start_soon(restart_all)
        assert await receive_numbered(accepted, 400) == list(range(400))
