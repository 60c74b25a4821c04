"""The demonstration tells the truth: everything arrives when there is time for repeats, and not when there is none."""

from __future__ import annotations

import pytest
from trio.testing import MockClock

from terzetto.errors import InvalidOption, PeerTimedOut
from terzetto.gateway.demonstrable import PROTOCOLS
from terzetto.gateway.demonstration import Demonstration, DemoPlan, DemoResult
from terzetto.net.network import use_network
from terzetto.net.simulated import SimulatedNetwork

pytestmark = pytest.mark.slow


async def show(plan: DemoPlan) -> DemoResult:
    host = SimulatedNetwork(seed=plan.seed).add_host("here")
    with use_network(host):
        return await Demonstration(plan).run()


@pytest.mark.parametrize("seed", range(12))
async def test_the_usual_loss_is_mended_completely(seed: int, autojump_clock: MockClock) -> None:
    result = await show(DemoPlan(seed=seed, seconds=1.0))
    assert result.succeeded
    assert result.identical
    assert result.delivered == result.sent == DemoPlan(seconds=1.0).packets
    assert result.lost == result.recovered > 0.12 * result.sent
    assert result.dropped > result.lost


async def test_too_short_a_latency_loses_packets_for_good(autojump_clock: MockClock) -> None:
    result = await show(DemoPlan(seed=1, seconds=1.0, latency=0.1))
    assert not result.succeeded
    assert not result.identical
    assert result.unrecovered > 10
    assert result.sent == result.delivered + result.unrecovered
    assert result.lost == result.recovered + result.unrecovered


async def test_without_loss_nothing_is_repeated(autojump_clock: MockClock) -> None:
    result = await show(DemoPlan(loss=0.0, seconds=0.5))
    assert result.succeeded
    assert (result.lost, result.dropped) == (0, 0)


async def test_the_same_seed_generates_the_same_stream(autojump_clock: MockClock) -> None:
    first = await show(DemoPlan(seed=3, seconds=0.3))
    again = await show(DemoPlan(seed=3, seconds=0.3, loss=0.0))
    other = await show(DemoPlan(seed=4, seconds=0.3))
    assert first.sha256_sent == again.sha256_sent != other.sha256_sent


async def test_the_latency_that_is_advised_is_enough(autojump_clock: MockClock) -> None:
    plan = DemoPlan(seed=2, seconds=1.0, delay=0.01, loss=0.1, latency=0.05)
    assert not (await show(plan)).succeeded
    advised = plan.advised_latency()
    assert 0.1 < advised < 0.6
    assert (await show(DemoPlan(seed=2, seconds=1.0, delay=0.01, loss=0.1, latency=advised))).succeeded


async def test_a_network_that_loses_everything_is_reported_as_silence(autojump_clock: MockClock) -> None:
    with pytest.raises(PeerTimedOut):
        await show(DemoPlan(loss=1.0))


@pytest.mark.parametrize(
    ("plan", "complaint"),
    [
        (DemoPlan(protocol="smoke"), "must be one of rist"),
        (DemoPlan(profile="humble"), "must be one of main, simple"),
        (DemoPlan(seconds=0), "seconds is 0"),
        (DemoPlan(latency=31), "latency is 31"),
    ],
)
def test_what_cannot_be_shown_is_refused_at_once(plan: DemoPlan, complaint: str) -> None:
    with pytest.raises(InvalidOption, match=complaint):
        Demonstration(plan)


@pytest.mark.parametrize("name", PROTOCOLS)
async def test_every_profile_of_every_protocol_gets_a_stream_through(
    name: str, autojump_clock: MockClock
) -> None:
    for profile in PROTOCOLS[name].profiles or {"": False}:
        result = await show(DemoPlan(protocol=name, profile=profile or None, seconds=0.5, seed=7))
        assert result.succeeded, profile
