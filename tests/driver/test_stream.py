from __future__ import annotations

import pytest
import trio
import trio.testing

from terzetto.driver.stream import StreamSession
from terzetto.net.simulated import LinkConditions, SimulatedNetwork
from terzetto.net.simulated.tcp import DEFAULT_WINDOW, SimulatedStream
from terzetto.net.stream import StreamOptions
from terzetto.primitives.datagrams import Address, Buffer
from terzetto.primitives.time import Micros


class Echo:
    """Says back what it hears, tells each piece, beeps after a second, and ends at ``bye``."""

    def __init__(self) -> None:
        self.out = b""
        self.events: list[str] = []
        self.due: Micros | None = None
        self.finished = False

    def handle_bytes(self, data: Buffer, *, now: Micros) -> None:
        self.out += bytes(data)
        self.events.append(bytes(data).decode())
        self.due = now + 1_000_000
        self.finished = bytes(data) == b"bye"

    def handle_eof(self, *, now: Micros) -> None:
        self.events.append("eof")
        self.finished = True

    def handle_timeout(self, *, now: Micros) -> None:
        self.events.append("beep")
        self.due = None

    def poll_bytes(self) -> bytes:
        out, self.out = self.out, b""
        return out

    def poll_events(self) -> list[str]:
        events, self.events = self.events, []
        return events

    def next_timeout(self) -> Micros | None:
        return self.due

    @property
    def is_finished(self) -> bool:
        return self.finished


async def pair() -> tuple[SimulatedStream, SimulatedStream]:
    network = SimulatedNetwork()
    one, other = network.add_host("one", "10.0.0.1"), network.add_host("other", "10.0.0.2")
    network.connect(one, other, LinkConditions(delay=0.01))
    [listener] = await other.open_tcp_listeners(Address("10.0.0.2", 80), StreamOptions())
    return await one.open_tcp_stream(Address("10.0.0.2", 80), StreamOptions()), await listener.accept()


async def test_bytes_events_time_and_the_end(autojump_clock: trio.testing.MockClock) -> None:
    ours, theirs = await pair()
    told: list[str] = []
    session = StreamSession(Echo(), theirs, deliver=told.extend)
    async with trio.open_nursery() as nursery:
        await nursery.start(session.run)
        await ours.send_all(b"hi")
        assert await ours.receive_some() == b"hi"
        await trio.sleep(2)
        assert told == ["hi", "beep"]
        await ours.send_all(b"bye")
        assert await ours.receive_some() == b"bye"
        assert await ours.receive_some() == b""
    assert told == ["hi", "beep", "bye"]


async def test_a_broken_stream_is_an_end_to_the_core(autojump_clock: trio.testing.MockClock) -> None:
    ours, theirs = await pair()
    told: list[str] = []
    session = StreamSession(Echo(), theirs, deliver=told.extend)
    async with trio.open_nursery() as nursery:
        await nursery.start(session.run)
        ours.reset()
    assert told == ["eof"]
    assert isinstance(session.failure, trio.BrokenResourceError)
    assert not session.write(b"x")


async def test_writes_beyond_the_limit_are_refused_and_those_before_keep_their_order(
    autojump_clock: trio.testing.MockClock,
) -> None:
    ours, theirs = await pair()
    session = StreamSession(Echo(), theirs, deliver=lambda _: None)
    async with trio.open_nursery() as nursery:
        await nursery.start(session.run)
        assert session.write(bytes(DEFAULT_WINDOW))
        pieces = [bytes([number]) * 1000 for number in range(1, 20)]
        taken = [piece for piece in pieces if session.write(piece, limit=5000)]
        assert len(taken) == 6
        assert session.backlog == 6000
        received = b""
        while len(received) < DEFAULT_WINDOW + 6000:
            received += await ours.receive_some()
        assert received[DEFAULT_WINDOW:] == b"".join(taken)
        await session.wait_written()
        assert session.backlog == 0
        nursery.cancel_scope.cancel()


async def test_a_peer_that_takes_nothing_is_left(autojump_clock: trio.testing.MockClock) -> None:
    ours, theirs = await pair()
    told: list[str] = []
    session = StreamSession(Echo(), theirs, deliver=told.extend, write_timeout=3)
    async with trio.open_nursery() as nursery:
        await nursery.start(session.run)
        session.write(bytes(2 * DEFAULT_WINDOW))
        await trio.sleep(5)
    assert told == ["eof"]
    assert isinstance(session.failure, TimeoutError)
    ours.close()


async def test_cancelled_it_closes_the_stream(autojump_clock: trio.testing.MockClock) -> None:
    ours, theirs = await pair()
    session = StreamSession(Echo(), theirs, deliver=lambda _: None)
    with trio.move_on_after(1):
        await session.run()
    assert await ours.receive_some() == b""
    with pytest.raises(trio.ClosedResourceError):
        await theirs.receive_some()
