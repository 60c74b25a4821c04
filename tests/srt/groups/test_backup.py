"""Backup groups on a simulated network: one member sends, another takes over with nothing lost."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from terzetto.srt.events import MemberChanged, MemberState
from terzetto.srt.group import SrtGroup
from terzetto.srt.group_statistics import SrtMemberStatistics
from tests.srt.groups.world import World, receive_numbered, send_numbered, until_quiet

pytestmark = pytest.mark.slow

MAIN, SPARE = "latency=300&weight=2", "latency=300&weight=1"


def member(group: SrtGroup, way: int) -> SrtMemberStatistics:
    """The caller's member that takes this way."""
    return next(each for each in group.statistics().members if each.peer.host == f"10.0.{way}.2")


def states(group: SrtGroup) -> list[MemberState]:
    return [each.state for each in sorted(group.statistics().members, key=lambda each: each.peer.host)]


async def test_only_the_member_with_the_largest_weight_sends(autojump_clock: trio.testing.MockClock) -> None:
    async with World().pair("backup", SPARE, MAIN) as (group, accepted), trio.open_nursery() as nursery:
        nursery.start_soon(send_numbered, group, range(500), 0.01)
        assert await receive_numbered(accepted, 500) == list(range(500))
        assert states(group) == [MemberState.STANDBY, MemberState.STABLE]
        spare, main = (member(group, way).statistics for way in (0, 1))
        assert main.sent_unique > 450
        assert spare.sent_unique < 50, "it may have sent before the heavier one was connected"


@pytest.mark.parametrize("secret", ["", "&passphrase=correct-horse-battery"])
async def test_when_the_sending_member_falls_silent_nothing_is_lost(
    autojump_clock: trio.testing.MockClock, secret: str
) -> None:
    world = World()
    queries = (MAIN + secret, SPARE + secret)
    async with world.pair("backup", *queries, listening=secret, reconnect=None) as (group, accepted):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(send_numbered, group, range(800), 0.01)
            assert await receive_numbered(accepted, 300) == list(range(300))
            timeout = member(group, 0).stability_timeout
            world.cut(0)
            cut_at = trio.current_time()
            spare = member(group, 1)
            while states(group)[1] is MemberState.STANDBY:  # noqa: ASYNC110 (any moment may be the one)
                await trio.sleep(0.001)
            assert trio.current_time() - cut_at < timeout + 0.1, "the main one was heard 40 ms after the cut"
            assert spare.statistics.sent_unique < 50
            assert await receive_numbered(accepted, 500) == list(range(300, 800))
            assert accepted.statistics().unrecovered == 0
            assert states(group)[-1] is MemberState.STABLE


async def test_the_better_member_takes_over_again_when_it_is_back(
    autojump_clock: trio.testing.MockClock,
) -> None:
    world = World()
    async with world.pair("backup", MAIN, SPARE) as (group, accepted), trio.open_nursery() as nursery:
        nursery.start_soon(send_numbered, group, range(1000), 0.01)
        assert await receive_numbered(accepted, 200) == list(range(200))
        world.cut(0)
        assert await receive_numbered(accepted, 100) == list(range(200, 300))
        assert states(group)[0] is MemberState.UNSTABLE
        world.mend(0)
        assert await receive_numbered(accepted, 700) == list(range(300, 1000))
        assert states(group) == [MemberState.STABLE, MemberState.STANDBY]
        seen = [
            event.state
            async for event in until_quiet(group)
            if isinstance(event, MemberChanged) and event.peer.host == "10.0.0.2"
        ]
        assert [state for state in seen if state is not MemberState.STANDBY] == [
            MemberState.FRESH,
            MemberState.STABLE,
            MemberState.UNSTABLE,
            MemberState.WARY,
            MemberState.STABLE,
        ]
        assert accepted.statistics().unrecovered == 0


async def test_members_that_stand_by_are_kept_alive(autojump_clock: trio.testing.MockClock) -> None:
    async with World(3).pair("backup", MAIN, SPARE, SPARE) as (group, accepted):
        await trio.sleep(60)
        assert group.size == accepted.size == 3
        await group.send_packet(b"still there")
        assert (await accepted.receive_packet()).payload == b"still there"


async def test_a_pause_of_the_source_is_no_reason_to_switch(autojump_clock: trio.testing.MockClock) -> None:
    async with World().pair("backup", MAIN, SPARE) as (group, accepted), trio.open_nursery() as nursery:
        nursery.start_soon(send_numbered, group, range(20), 0.4)
        assert await receive_numbered(accepted, 20) == list(range(20))
        assert states(group) == [MemberState.STABLE, MemberState.STANDBY]


async def test_the_peer_can_send_as_well(autojump_clock: trio.testing.MockClock) -> None:
    world = World()
    async with world.pair("backup", MAIN, SPARE) as (group, accepted), trio.open_nursery() as nursery:
        nursery.start_soon(send_numbered, accepted, range(400), 0.01)
        assert await receive_numbered(group, 150) == list(range(150))
        world.cut(0)
        assert await receive_numbered(group, 250) == list(range(150, 400))
