"""Plain UDP as an end of a route, on the simulated network."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from terzetto.errors import InvalidUrl, NoRoute
from terzetto.gateway.registry import plan_sink, plan_source
from terzetto.gateway.route import Route
from terzetto.net.network import use_network
from terzetto.net.simulated import SimulatedNetwork

from .fakes import ListSink, ListSource, Notices, joined, numbered, sink_plan, source_plan


async def carried(to: str, at: str) -> list[bytes]:
    """What arrives at *at* of what one host sends to *to*."""
    network = SimulatedNetwork(1)
    alice, bob = (
        network.add_host("alice", "10.0.0.1", "fd00::1"),
        network.add_host("bob", "10.0.0.2", "fd00::2"),
    )
    sink = ListSink()
    with use_network(bob):
        inward = Route(plan_source(at), [sink_plan(sink)], notice=Notices())
    with use_network(alice):
        outward = Route(source_plan(ListSource(numbered(20))), [plan_sink(to)], notice=Notices())
    async with trio.open_nursery() as nursery:
        with use_network(bob):
            nursery.start_soon(inward.run)
        await trio.sleep(0.1)
        with use_network(alice):
            await outward.run()
        await trio.sleep(0.1)
        inward.stop()
    return sink.got


@pytest.mark.parametrize(
    ("to", "at"),
    [
        ("udp://10.0.0.2:5000", "udp://@10.0.0.2:5000"),
        ("udp://10.0.0.2:5000", "udp://10.0.0.2:5000"),
        ("udp://bob:5000?ttl=4&tos=160", "udp://@:5000?tick=0"),
        ("udp://[fd00::2]:5000", "udp://@[fd00::2]:5000?tick=10"),
        ("udp://239.1.2.3:5000?ttl=2&miface=eth0", "udp://@239.1.2.3:5000?miface=eth0"),
        ("rtp://10.0.0.2:5000", "rtp://@:5000"),
        ("rtp://239.1.2.3:5000?miface=10.0.0.1", "rtp://@239.1.2.3:5000"),
    ],
)
async def test_what_is_sent_arrives(to: str, at: str, autojump_clock: MockClock) -> None:
    assert await carried(to, at) == joined(numbered(20))


async def test_a_group_that_was_not_joined_is_not_heard(autojump_clock: MockClock) -> None:
    assert await carried("udp://239.1.2.3:5000", "udp://@239.1.2.4:5000") == []


async def test_arrivals_within_a_tick_are_one_batch(autojump_clock: MockClock) -> None:
    network = SimulatedNetwork(1)
    alice, bob = network.add_host("alice", "10.0.0.1"), network.add_host("bob", "10.0.0.2")
    sink = ListSink()
    async with trio.open_nursery() as nursery:
        with use_network(bob):
            route = Route(plan_source("udp://@:5000?tick=20"), [sink_plan(sink)], notice=Notices())
            nursery.start_soon(route.run)
        await trio.sleep(0.1)
        with use_network(alice):
            source = ListSource(numbered(1000, 1), every=0.001)
            await Route(source_plan(source), [plan_sink("udp://10.0.0.2:5000")], notice=Notices()).run()
        await trio.sleep(0.1)
        route.stop()
    assert len(sink.got) == 1000
    assert sink.at_once < 60


async def test_silence_is_explained(autojump_clock: MockClock) -> None:
    network = SimulatedNetwork(1)
    notices = Notices()
    with use_network(network.add_host("bob")):
        route = Route(plan_source("udp://@:5000"), [sink_plan(ListSink())], notice=notices)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(route.run)
            await trio.sleep(20)
            route.stop()
    (told,) = notices.named("no_input")
    assert told.text.startswith(
        "nothing has arrived in 5 s; check that the sender sends to this host and port"
    )


async def test_an_address_of_another_machine_cannot_be_bound(autojump_clock: MockClock) -> None:
    network = SimulatedNetwork(1)
    with use_network(network.add_host("bob")), pytest.raises(NoRoute):
        await Route(plan_source("udp://@10.9.9.9:5000"), [sink_plan(ListSink())], notice=Notices()).run()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("udp://@:5000", "has to say where to send"),
        ("rtp://@10.0.0.1:5000", "has to say where to send"),
        ("udp://10.0.0.1:5000?ttl=0", "ttl=0"),
        ("udp://10.0.0.1:5000?tick=4", "no parameter 'tick'"),
        ("rtp://10.0.0.1:5000?rtp-ptype=128", "rtp-ptype=128"),
        ("udp://10.0.0.1:5000?rtp-ptype=33", "no parameter"),
    ],
)
def test_an_output_that_cannot_be_is_refused_before_anything_is_open(url: str, words: str) -> None:
    with pytest.raises(InvalidUrl, match=words):
        plan_sink(url)


def test_an_input_refuses_what_only_outputs_have() -> None:
    with pytest.raises(InvalidUrl, match="no parameter 'ttl'"):
        plan_source("udp://@:5000?ttl=3")
