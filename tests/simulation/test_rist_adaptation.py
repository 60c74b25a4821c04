"""Source adaptation through the public API, in every profile."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from terzetto import open_rist_receiver, open_rist_sender
from terzetto.errors import InvalidOption
from terzetto.net.network import use_network
from terzetto.net.simulated import SimulatedNetwork
from terzetto.primitives.impairment import LinkConditions
from terzetto.rist.events import RateAdvised

ADAPTATION = "floor:200,ceiling:4000,start:2000,period:100"


@pytest.mark.parametrize(
    "knobs",
    [
        {"profile": "simple"},
        {"profile": "main"},
        {"profile": "main", "secret": "between us"},
        {"profile": "advanced"},
        {"profile": "advanced", "secret": "between us"},
    ],
    ids=str,
)
async def test_the_callback_and_the_event_say_the_same(
    knobs: dict[str, Any], autojump_clock: MockClock
) -> None:
    network = SimulatedNetwork(1)
    alice, bob = network.add_host("alice"), network.add_host("bob")
    link, _ = network.connect(alice, bob, LinkConditions(delay=0.01), LinkConditions(delay=0.01))
    called: list[int] = []
    told: list[int] = []
    with use_network(bob):
        async with open_rist_receiver("rist://@:5000", adaptation=ADAPTATION, **knobs):
            with use_network(alice):
                async with (
                    open_rist_sender("rist://bob:5000", adaptation=ADAPTATION, **knobs) as sender,
                    trio.open_nursery() as nursery,
                ):

                    async def listen() -> None:
                        async for event in sender.events():
                            if isinstance(event, RateAdvised):
                                told.append(event.bitrate)

                    nursery.start_soon(listen)
                    await sender.wait_connected()
                    sender.on_advice(called.append)
                    assert called == [2_000_000]
                    for number in range(300):
                        if number == 150:
                            link.change(LinkConditions(delay=0.01, loss=0.3))
                        await sender.send_packet(bytes(200))
                        await trio.sleep(0.005)
                    await trio.sleep(0.1)
                    assert called[1:] == told
                    assert called[-1] == sender.advised_bitrate == sender.statistics().advised_bitrate
                    quality = sender.statistics().link_quality
                    assert quality is not None
                    assert quality.nack_window_ms == 1000
                    sender.on_advice(None)
                    nursery.cancel_scope.cancel()
    steps = called[:6]
    assert [after - before for before, after in itertools.pairwise(steps)] == [40_000] * 5
    assert max(called) > 2_200_000
    assert called[-1] < 500_000


async def test_without_adaptation_there_is_no_advice_to_wait_for(autojump_clock: MockClock) -> None:
    network = SimulatedNetwork(1)
    with use_network(network.add_host("alice")):
        async with open_rist_sender("rist://@:5000") as sender:
            assert sender.advised_bitrate is None
            with pytest.raises(InvalidOption, match="set adaptation at both ends"):
                sender.on_advice(print)
