"""Who may join a group, and what strangers and slow readers can do to one."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator

import pytest
import trio
import trio.testing

from terzetto.errors import AllPathsFailed, CallerError, InvalidOption, InvalidUrl, UnsupportedOperation
from terzetto.net.network import use_network
from terzetto.srt.api import open_srt_listener, open_srt_stream
from terzetto.srt.core.listener import ConnectionRequest
from terzetto.srt.events import ConnectionRefused, SrtEvent
from terzetto.srt.group_api import open_srt_group, open_srt_group_listener
from terzetto.srt.listening import SrtRefusal
from tests.srt.groups.world import World, payload, receive_numbered, send_numbered


async def test_a_group_with_another_passphrase_is_refused_and_leaves_nothing_behind(
    autojump_clock: trio.testing.MockClock,
) -> None:
    world = World()
    with use_network(world.peer):
        async with open_srt_group_listener("srt://:9000?passphrase=correct-horse-battery") as listener:
            with use_network(world.caller), pytest.raises(AllPathsFailed) as caught:
                async with open_srt_group(world.urls(*["passphrase=another-horse-entirely"] * 2)):
                    pass
            assert {getattr(cause, "code", None) for cause in caught.value.causes} == {10}
            assert not listener._groups


async def test_a_member_with_another_stream_id_is_another_group(
    autojump_clock: trio.testing.MockClock,
) -> None:
    world = World()
    with use_network(world.peer):
        async with open_srt_group_listener("srt://:9000") as listener:
            with use_network(world.caller):
                urls = world.urls("streamid=a", "streamid=b")
                async with open_srt_group(urls, reconnect=None) as group:
                    await listener.accept()
                    await trio.sleep(1)
                    # The second one found a group that is not the first one's, and went.
                    assert group.size == 1


async def test_a_single_connection_is_no_group(autojump_clock: trio.testing.MockClock) -> None:
    world = World()
    with use_network(world.peer):
        async with open_srt_group_listener("srt://:9000") as listener:
            with use_network(world.caller), pytest.raises(Exception, match="15"):
                async with open_srt_stream("srt://10.0.0.2:9000"):
                    pass
            refusals = [event async for event in first_refusal(listener.events())]
            assert refusals[0].reason == "only groups are accepted here"


async def first_refusal(events: AsyncGenerator[SrtEvent, None]) -> AsyncIterator[ConnectionRefused]:
    async for event in events:
        if isinstance(event, ConnectionRefused):
            yield event
            return


async def test_the_hook_decides_about_every_member(autojump_clock: trio.testing.MockClock) -> None:
    asked: list[str] = []

    async def authorize(request: ConnectionRequest) -> SrtRefusal | None:
        await trio.lowlevel.checkpoint()
        asked.append(request.peer.host)
        return SrtRefusal(1403) if request.peer.host == "10.0.1.1" else None

    world = World()
    with use_network(world.peer):
        async with open_srt_group_listener("srt://:9000", authorize=authorize) as listener:
            with use_network(world.caller):
                async with open_srt_group(world.urls(), reconnect=None) as group:
                    accepted = await listener.accept()
                    await trio.sleep(1)
                    assert group.size == accepted.size == 1
    assert sorted(asked) == ["10.0.0.1", "10.0.1.1"]


async def test_a_group_may_spread_over_several_sockets(autojump_clock: trio.testing.MockClock) -> None:
    world = World()
    with use_network(world.peer):
        async with open_srt_group_listener(
            ["srt://10.0.0.2:9000?mode=listener", "srt://10.0.1.2:9000?mode=listener"]
        ) as listener:
            assert [address.host for address in listener.local_addresses] == [
                "10.0.0.2",
                "10.0.1.2",
            ]
            with use_network(world.caller):
                async with open_srt_group(world.urls()) as group, trio.open_nursery() as nursery:
                    accepted = await listener.accept()
                    nursery.start_soon(send_numbered, group, range(50))
                    assert await receive_numbered(accepted, 50) == list(range(50))
                    assert accepted.size == 2


async def test_more_members_than_any_bond_has_are_refused(autojump_clock: trio.testing.MockClock) -> None:
    world = World(17)
    with use_network(world.peer):
        async with open_srt_group_listener("srt://:9000") as listener:
            with use_network(world.caller):
                async with open_srt_group(world.urls(), reconnect=None) as group:
                    accepted = await listener.accept()
                    await trio.sleep(1)
                    assert group.size == accepted.size == 16


async def test_a_reader_that_sleeps_costs_bounded_memory_and_loses_only_the_excess(
    autojump_clock: trio.testing.MockClock,
) -> None:
    world = World()
    async with world.pair("broadcast", "rcvbuf=94208", "rcvbuf=94208", listening="rcvbuf=94208&fc=64") as (
        group,
        accepted,
    ):
        with trio.move_on_after(2):
            await send_numbered(group, range(1000))
        held = [member.statistics.receive_buffer_packets for member in accepted.statistics().members]
        assert all(count <= 64 for count in held)
        assert (await accepted.receive_packet()).payload == payload(0)


async def test_cancelling_leaves_no_task_and_closing_wakes_everybody(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with World().pair(reconnect=None) as (group, accepted), trio.open_nursery() as nursery:
        with trio.move_on_after(0.1) as scope:
            await accepted.receive_packet()
        assert scope.cancelled_caught

        async def wait() -> None:
            with pytest.raises(trio.ClosedResourceError):
                await accepted.receive_packet()

        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        accepted.abort()
        with pytest.raises(trio.EndOfChannel):
            await group.receive_packet()
        group.abort()
        with pytest.raises(trio.ClosedResourceError):
            await group.send_packet(b"late")
        with pytest.raises(trio.ClosedResourceError):
            await group.add("srt://10.0.0.2:9001")


async def test_who_was_called_does_not_choose_the_members(autojump_clock: trio.testing.MockClock) -> None:
    async with World().pair() as (group, accepted):
        with pytest.raises(CallerError, match="the caller decides"):
            await accepted.add("srt://10.0.0.1:9000")
        with pytest.raises(CallerError, match="already"):
            await group.add(World().urls()[0])
        with pytest.raises(CallerError, match="no member"):
            await group.remove("srt://10.0.0.2:9999")


@pytest.mark.parametrize(
    ("urls", "wrong", "error"),
    [
        ([], {}, InvalidOption),
        ("srt://a:1", {}, InvalidOption),
        (["srt://a:1"], {"mode": "sideways"}, InvalidOption),
        (["srt://a:1", "srt://a:1"], {}, InvalidOption),
        (["srt://:1"], {}, InvalidUrl),
        (["srt://a:1?weight=70000"], {}, InvalidUrl),
        (["srt://a:1?packetfilter=fec,cols:4"], {}, UnsupportedOperation),
        (["srt://a:1?transtype=file"], {}, UnsupportedOperation),
        (["srt://a:1?mode=rendezvous"], {}, InvalidUrl),
        (["srt://a:1?groupmode=sideways"], {}, InvalidUrl),
    ],
)
async def test_what_no_group_can_be_is_refused_at_once(
    urls: list[str], wrong: dict[str, str], error: type[Exception]
) -> None:
    with pytest.raises(error):
        async with open_srt_group(urls, **wrong):  # type: ignore[arg-type]
            pass


async def test_the_listener_for_single_connections_says_where_groups_go(
    autojump_clock: trio.testing.MockClock,
) -> None:
    with use_network(World().peer), pytest.raises(UnsupportedOperation, match="open_srt_group_listener"):
        async with open_srt_listener("srt://:9000?groupconnect=1"):
            pass
