"""A listening port that takes peers of every profile."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock

import terzetto as tz
from terzetto.errors import InvalidOption, UnsupportedOperation
from terzetto.net.network import use_network
from terzetto.net.simulated import SimulatedNetwork
from terzetto.primitives.impairment import LinkConditions
from terzetto.rist.events import ClearTextRefused
from tests.simulation.test_rist_main import Knobs, kinds, send, world

PROFILES: dict[str, Knobs] = {
    "simple": {"profile": "simple"},
    "main": {"profile": "main"},
    "advanced": {"profile": "advanced"},
    "advanced at once": {"profile": "advanced", "advanced_start": "at-once", "gre_substrate": False},
}


@pytest.mark.parametrize("receiver_calls", [False, True])
@pytest.mark.parametrize("caller", PROFILES)
async def test_the_listener_speaks_what_the_caller_does(
    caller: str, receiver_calls: bool, autojump_clock: MockClock
) -> None:
    async with world(conditions=LinkConditions(delay=0.01, loss=0.05)) as there:
        if receiver_calls:
            sender = await there.sender("rist://@:5000", profile="auto")
            receiver = await there.receiver("rist://alice:5000", **PROFILES[caller])
        else:
            receiver = await there.receiver(profile="auto")
            sender = await there.sender(**PROFILES[caller])
        with trio.fail_after(3):
            await sender.wait_connected()
        sent = await send(sender, range(300))
        await trio.sleep(1)
        assert there.delivered == sent
        statistics = receiver.statistics()
        assert statistics.recovered > 3
        assert 0.28 < statistics.buffer < 0.32
        assert statistics.clock_resyncs == 0


async def test_the_next_caller_may_speak_another_profile(autojump_clock: MockClock) -> None:
    async with world() as there:
        await there.receiver(profile="auto")
        expected: list[bytes] = []
        for number, caller in enumerate(["simple", "main", "simple", "advanced"]):
            sender = await there.sender(**PROFILES[caller])
            with trio.fail_after(5):
                await sender.wait_connected()
            expected += await send(sender, range(20 * number, 20 * number + 20))
            await sender.aclose()
            await trio.sleep(1)
        assert there.delivered == expected


async def test_a_session_is_not_disturbed_by_another_profile(autojump_clock: MockClock) -> None:
    async with world() as there:
        receiver = await there.receiver(profile="auto")
        sender = await there.sender(profile="simple")
        await sender.wait_connected()
        other = await there.sender(profile="main", fast_start=True)
        sent = await send(sender, range(100))
        assert not other.is_connected
        await trio.sleep(1)
        assert there.delivered == sent
        assert receiver.statistics().dropped["of another profile than the session's"]


@pytest.mark.parametrize("guard", [{"secret": "hush"}, {"username": "rist", "password": "mainprofile"}])
async def test_a_secret_or_a_login_refuses_simple_and_says_so(
    guard: Knobs, autojump_clock: MockClock
) -> None:
    async with world() as there:
        await there.receiver(profile="auto", **guard)
        clear = await there.sender(profile="simple", fast_start=True)
        await send(clear, range(50))
        assert not clear.is_connected
        assert there.delivered == []
        assert kinds(there.receiver_events).count(ClearTextRefused) == 1
        await clear.aclose()
        sender = await there.sender(profile="main", **guard)
        with trio.fail_after(5):
            await sender.wait_connected()
        sent = await send(sender, range(50))
        await trio.sleep(1)
        assert there.delivered == sent


async def test_one_port_accepts_all_of_them_at_once(autojump_clock: MockClock) -> None:
    network = SimulatedNetwork(3, default=LinkConditions(delay=0.01))
    studio, camera = network.add_host("studio"), network.add_host("camera")
    heard: list[bytes] = []

    async def handle(receiver: tz.RistReceiver) -> None:
        heard.append(b"".join([chunk async for chunk in receiver]))

    async def feed(profile: str) -> None:
        knobs: dict[str, Any] = {**PROFILES[profile], "buffer": 0.2}
        with use_network(camera):
            async with tz.open_rist_sender("rist://studio:5000", **knobs) as sender:
                for _ in range(50):
                    await sender.send_packet(profile.encode())
                    await trio.sleep(0.002)

    with use_network(studio):
        async with (
            tz.open_rist_listener("rist://@:5000", profile="auto", buffer=0.2) as listener,
            trio.open_nursery() as nursery,
        ):
            nursery.start_soon(trio.serve_listeners, handle, [listener])
            async with trio.open_nursery() as senders:
                for profile in PROFILES:
                    senders.start_soon(feed, profile)
            await trio.sleep(5)
            nursery.cancel_scope.cancel()
    assert sorted(heard) == sorted(50 * profile.encode() for profile in PROFILES)


async def test_out_of_band_data_goes_where_the_profile_has_a_place_for_it(autojump_clock: MockClock) -> None:
    async with world() as there:
        receiver = await there.receiver(profile="auto")
        sender = await there.sender(profile="main")
        await sender.wait_connected()
        await trio.sleep(0.5)
        assert await receiver.send_oob(b"to a tunnel")
        assert (await sender.receive_oob()).data == b"to a tunnel"
        await sender.aclose()
        simple = await there.sender(profile="simple")
        await simple.wait_connected()
        await trio.sleep(0.5)
        with pytest.raises(UnsupportedOperation):
            await receiver.send_oob(b"to no tunnel")


async def test_a_caller_has_to_know(autojump_clock: MockClock) -> None:
    async with world() as there:
        with pytest.raises(InvalidOption, match="auto"):
            await there.sender(profile="auto")
