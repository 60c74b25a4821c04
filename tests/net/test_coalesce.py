"""While data flows, a reader wakes once a tick; when it stops, it sleeps until there is something."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from terzetto.net.coalesce import CoalescingReader
from terzetto.net.endpoint import Address, Run
from terzetto.net.simulated import LinkConditions, SimulatedEndpoint, SimulatedNetwork
from tests.net.simulated.worlds import bind, payloads

WHERE = Address("10.0.0.2", 5000)


def pair() -> tuple[SimulatedEndpoint, SimulatedEndpoint]:
    network = SimulatedNetwork(1, default=LinkConditions(delay=0.001))
    return bind(network.add_host("tx")), bind(network.add_host("rx"), 5000)


async def test_the_first_arrival_is_read_at_once_and_the_next_a_tick_later(autojump_clock: MockClock) -> None:
    tx, rx = pair()
    reader = CoalescingReader(rx, tick=0.010)
    tx.send_nowait([Run(WHERE, [b"1"])])
    assert payloads(await reader.receive()) == [b"1"]
    assert trio.current_time() == pytest.approx(0.001)
    assert reader.flowing
    tx.send_nowait([Run(WHERE, [b"2"]), Run(WHERE, [b"3"])])
    assert payloads(await reader.receive()) == [b"2", b"3"]
    assert trio.current_time() == pytest.approx(0.011)


async def test_a_few_empty_ticks_end_the_flow(autojump_clock: MockClock) -> None:
    tx, rx = pair()
    reader = CoalescingReader(rx, tick=0.010)
    tx.send_nowait([Run(WHERE, [b"1"])])
    await reader.receive()
    assert [await reader.receive() for _ in range(3)] == [[], [], []]
    assert not reader.flowing
    with trio.move_on_after(100) as scope:
        await reader.receive()
    assert scope.cancelled_caught


async def test_one_hiccup_does_not(autojump_clock: MockClock) -> None:
    tx, rx = pair()
    reader = CoalescingReader(rx, tick=0.010)
    for number in range(5):
        tx.send_nowait([Run(WHERE, [b"%d" % number])])
        assert payloads(await reader.receive()) == [b"%d" % number]
        assert [await reader.receive() for _ in range(2)] == [[], []]
        assert reader.flowing


async def test_tick_zero_reads_at_once_always(autojump_clock: MockClock) -> None:
    tx, rx = pair()
    reader = CoalescingReader(rx, tick=0)
    for _ in range(3):
        tx.send_nowait([Run(WHERE, [b"x"])])
        began = trio.current_time()
        assert payloads(await reader.receive()) == [b"x"]
        assert trio.current_time() - began == pytest.approx(0.001)
        assert not reader.flowing
