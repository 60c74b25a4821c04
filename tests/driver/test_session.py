"""A session pumps between a core and its endpoints, and leaves nothing behind."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import MockClock

from terzetto.driver.nursery import open_session_nursery
from terzetto.driver.session import WRITER_BACKLOG, Session, SessionPath
from terzetto.net.endpoint import Address, Run, Trouble
from terzetto.net.simulated import LinkConditions, SimulatedEndpoint, SimulatedNetwork
from terzetto.testing.checks import check_core
from tests.driver.toy import Heard, Heartbeat, Silence
from tests.net.simulated.worlds import bind, payloads, receive_all

HERE, THERE = Address("10.0.0.1", 5000), Address("10.0.0.2", 6000)


class World:
    """A session with a toy core on one host, and a bare endpoint to play its peer on another."""

    def __init__(
        self,
        *,
        beats: bool = True,
        tick: float = 0.0,
        uplink_rate: float | None = None,
        send_buffer: int = 8 << 20,
    ) -> None:
        self.network = SimulatedNetwork(1)
        host = self.network.add_host("host", uplink_rate=uplink_rate)
        peer = self.network.add_host("peer")
        self.network.connect(host, peer, LinkConditions(delay=0.010))
        self.peer = bind(peer, 6000)
        self.endpoint = bind(host, 5000, send_buffer=send_buffer)
        self.events: list[Heard | Silence] = []
        self.troubles: list[Trouble] = []
        self.core = Heartbeat(THERE, now=0, beats=beats)
        self.session = Session(
            self.core,
            [SessionPath(self.endpoint, tick)],
            deliver=self.events.extend,
            complain=self.troubles.append,
        )

    async def say(self, *datagrams: bytes) -> None:
        await self.peer.send([run_to_host(*datagrams)])

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with open_session_nursery() as nursery:
            await nursery.start(self.session.run)
            yield


def run_to_host(*datagrams: bytes) -> Run:
    return Run(HERE, datagrams)


def is_closed(endpoint: SimulatedEndpoint) -> bool:
    try:
        endpoint.receive_nowait()
    except trio.ClosedResourceError:
        return True
    return False


def test_the_toy_is_a_core() -> None:
    check_core(lambda: Heartbeat(THERE, now=0), commands=[lambda core, _now: core.send([b"x"])])


async def test_the_timer_wakes_the_core_when_it_is_due(autojump_clock: MockClock) -> None:
    world = World()
    async with world.running():
        assert payloads(await receive_all(world.peer, within=3.5)) == [b"beat"] * 4
    assert world.core.timeouts == 4


async def test_the_reader_brings_what_arrives_and_the_answer_leaves_at_once(
    autojump_clock: MockClock,
) -> None:
    world = World(beats=False)
    async with world.running():
        await world.say(b"?hello")
        assert payloads(await world.peer.receive()) == [b"=hello"]
        assert trio.current_time() == pytest.approx(0.020)
    assert world.events == [Heard(10_000, b"?hello", 0)]


async def test_a_command_needs_only_a_drain(autojump_clock: MockClock) -> None:
    world = World(beats=False)
    async with world.running():
        await trio.sleep(2)
        world.core.send([b"now"])
        world.session.drain()
        assert world.endpoint.statistics().datagrams_sent == 1  # inline: no other task had to run
        await world.peer.receive()
        assert trio.current_time() == pytest.approx(2.010)


async def test_an_arrival_moves_the_alarm(autojump_clock: MockClock) -> None:
    world = World(beats=False)
    async with world.running():
        await trio.sleep(1)
        await world.say(b"one")
        await trio.sleep(3)
        await world.say(b"two")
        await trio.sleep(10)
    assert world.events[-1] == Silence(4_010_000 + 5_000_000)
    assert len(world.events) == 3


async def test_what_the_socket_does_not_take_goes_by_the_writer_in_order(autojump_clock: MockClock) -> None:
    world = World(beats=False, uplink_rate=1e6, send_buffer=5000)
    sent = [bytes([number]) * 1000 for number in range(60)]
    async with world.running():
        for start in range(0, 60, 10):
            world.core.send(sent[start : start + 10])
            world.session.drain()
        assert not world.session.is_writable
        assert world.endpoint.statistics().datagrams_sent == 4
        began = trio.current_time()
        await world.session.wait_writable()
        assert trio.current_time() - began > 0.4  # 60 kB at 1 Mbit/s, less what fits the buffer
        assert payloads(await receive_all(world.peer)) == sent
        assert world.session.statistics().batches_shed == 0


async def test_a_full_queue_sheds_and_counts(autojump_clock: MockClock) -> None:
    world = World(beats=False, uplink_rate=1e6, send_buffer=3000)
    async with world.running():
        await trio.testing.wait_all_tasks_blocked()
        for number in range(WRITER_BACKLOG + 10):
            world.core.send([bytes([number]) * 1000])
            world.session.drain()
        shed = world.session.statistics().batches_shed
        arrived = payloads(await receive_all(world.peer, within=5))
    # Two fit the buffer, the writer holds one, a queue full waits, and what came after that is gone.
    assert shed == 7
    assert arrived == [bytes([number]) * 1000 for number in range(WRITER_BACKLOG + 3)]


async def test_paths_are_kept_apart(autojump_clock: MockClock) -> None:
    world = World(beats=False)
    second = bind(world.network.add_host("second"), 5001)
    session = Session(
        world.core, [SessionPath(world.endpoint), SessionPath(second)], deliver=world.events.extend
    )
    async with open_session_nursery() as nursery:
        await nursery.start(session.run)
        world.core.send([b"first"], path=0)
        world.core.send([b"second"], path=1)
        session.drain()
        runs = await receive_all(world.peer)
        assert {(run.peer.host, *payloads([run])) for run in runs} == {
            ("10.0.0.1", b"first"),
            ("10.0.0.3", b"second"),
        }
        await world.peer.send([Run(Address("10.0.0.3", 5001), [b"?by two"])])
        [answer] = await world.peer.receive()
    assert world.events == [Heard(world.events[0].at, b"?by two", 1)]
    assert answer.peer == Address("10.0.0.3", 5001)  # the core answered by the path the question came


async def test_a_refusal_is_heard_at_the_next_beat(autojump_clock: MockClock) -> None:
    world = World()
    world.peer.close()
    async with world.running():
        await trio.sleep(1.5)
    assert [trouble.kind for trouble in world.troubles] == ["refused"]
    assert world.troubles[0].peer == THERE


async def test_cancellation_leaves_no_task_and_no_socket(autojump_clock: MockClock) -> None:
    world = World(uplink_rate=1e6, send_buffer=3000)
    before = len(trio.lowlevel.current_task().child_nurseries)
    with trio.move_on_after(2.5) as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(world.session.run)
            await trio.sleep(2)
            for _ in range(20):
                world.core.send([bytes(1000)])
                world.session.drain()
            await trio.sleep_forever()
    assert scope.cancelled_caught
    assert is_closed(world.endpoint)
    assert len(trio.lowlevel.current_task().child_nurseries) == before


async def test_who_waits_for_room_is_let_go_when_the_session_ends(autojump_clock: MockClock) -> None:
    world = World(beats=False, uplink_rate=1e3, send_buffer=3000)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.session.run)
        await trio.testing.wait_all_tasks_blocked()
        for _ in range(20):
            world.core.send([bytes(1000)])
            world.session.drain()

        async def wait() -> None:
            with trio.fail_after(1):
                await world.session.wait_writable()

        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        world.session.stop()
    assert is_closed(world.endpoint)


async def test_an_error_in_the_core_surfaces_alone(autojump_clock: MockClock) -> None:
    world = World()
    with pytest.raises(ZeroDivisionError, match="a bug in the core"):
        async with world.running():
            await world.say(b"!")
            await trio.sleep_forever()
    assert is_closed(world.endpoint)


async def test_an_endpoint_closed_under_a_session_is_an_error(autojump_clock: MockClock) -> None:
    world = World()
    with pytest.raises(trio.ClosedResourceError):
        async with world.running():
            await trio.testing.wait_all_tasks_blocked()
            world.endpoint.close()
            await trio.sleep_forever()


async def test_a_session_that_stops_itself_ends_quietly(autojump_clock: MockClock) -> None:
    world = World()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.session.run)
        await trio.sleep(1.5)
        world.session.stop()
        world.session.stop()
    assert is_closed(world.endpoint)


async def wakeups_of_a_steady_stream(tick: float) -> tuple[int, list[Heard | Silence]]:
    world = World(beats=False, tick=tick)
    async with world.running():
        for number in range(1000):
            await world.say(b"%d" % number)
            await trio.sleep(0.001)
        await trio.sleep(0.1)
        return world.session.statistics().wakeups, world.events


async def test_reading_in_ticks_saves_wakeups_and_loses_nothing(autojump_clock: MockClock) -> None:
    eager, heard_eagerly = await wakeups_of_a_steady_stream(tick=0.0)
    lazy, heard_lazily = await wakeups_of_a_steady_stream(tick=0.010)
    assert eager == 1000
    assert lazy < 120
    said = [b"%d" % number for number in range(1000)]
    for heard in (heard_eagerly, heard_lazily):
        assert [event.what for event in heard if isinstance(event, Heard)] == said


async def test_a_ticking_reader_keeps_time_for_the_core(autojump_clock: MockClock) -> None:
    world = World(tick=0.010)
    async with world.running():
        for _ in range(300):
            await world.say(b"x")
            await trio.sleep(0.010)
        await trio.sleep(0.5)
        beats = [
            round(packet.at / 1e6, 2) for packet in world.network.trace.packets if packet.datagram == b"beat"
        ]
    # Late by a tick or two at most, and not late for good.
    assert beats == [0.0, *[pytest.approx(second, abs=0.021) for second in (1, 2, 3)]]


async def test_after_a_long_sleep_a_session_says_so_before_it_does_what_is_due(
    autojump_clock: MockClock,
) -> None:
    world = World(tick=0.01)
    told: list[tuple[int, int]] = []
    world.session.on_late = lambda now: told.append((now, world.core.timeouts))
    async with world.running():
        for _ in range(20):
            await world.say(b"in time")
            await trio.sleep(0.01)
        assert not told
        timeouts = world.core.timeouts
        autojump_clock.jump(1.0)
        await trio.sleep(0.01)
        ((_, timeouts_then),) = told
        assert timeouts_then == timeouts < world.core.timeouts


async def test_what_waits_is_taken_in_before_the_readers_turn(autojump_clock: MockClock) -> None:
    world = World(beats=False, tick=0.1)
    async with world.running():
        await world.say(b"one")
        await trio.sleep(0.02)
        await world.say(b"?two")
        await trio.sleep(0.02)
        assert [heard.what for heard in world.events if isinstance(heard, Heard)] == [b"one"]
        world.session.take_waiting(40_000)
        assert [heard.what for heard in world.events if isinstance(heard, Heard)] == [b"one", b"?two"]
        assert payloads(await receive_all(world.peer, within=0.05)) == [b"=two"]
    world.session.take_waiting(100_000)  # closed: nothing happens
    assert len(world.events) == 2


async def test_commands_read_along_and_the_reader_need_hardly_wake(autojump_clock: MockClock) -> None:
    world = World(tick=0.010)
    async with world.running():
        await trio.sleep(0.05)
        before = world.session.statistics().wakeups
        for number in range(200):
            await world.say(b"%d" % number)
            world.session.accompany(round(trio.current_time() * 1e6))
            await trio.sleep(0.010)
        woken = world.session.statistics().wakeups - before
        assert woken <= 200 // 4 + 5
        assert [heard.what for heard in world.events if isinstance(heard, Heard)][:150] == [
            b"%d" % number for number in range(150)
        ]
        # What was due was done meanwhile; and when the commands stop, the reader is there a few ticks later.
        beats = [packet.at for packet in world.network.trace.packets if packet.datagram == b"beat"]
        assert [round(at / 1e6, 1) for at in beats] == [0.0, 1.0, 2.0]
        await world.say(b"last")
        await trio.sleep(0.050)
        assert [heard.what for heard in world.events if isinstance(heard, Heard)][-1] == b"last"


async def test_reading_along_is_for_sessions_that_tick_and_no_more_often_than_they_do(
    autojump_clock: MockClock,
) -> None:
    for tick, taken in ((0.0, 0), (0.100, 1)):
        world = World(beats=False, tick=tick)
        async with world.running():
            await world.say(b"one")
            await trio.sleep(0.060)
            for what in (b"two", b"three"):
                await world.say(what)
                await trio.sleep(0.015)
                world.session.accompany(round(trio.current_time() * 1e6))
            assert len(world.events) == 1 + (2 if tick == 0 else taken)
        world.session.accompany(round(trio.current_time() * 1e6))
