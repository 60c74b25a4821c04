"""RIST as an end of a route, on the simulated network."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from terzetto.errors import InvalidUrl
from terzetto.gateway.registry import plan_sink, plan_source
from terzetto.gateway.route import Route
from terzetto.net.network import use_network
from terzetto.net.simulated import SimulatedNetwork
from terzetto.primitives.impairment import LinkConditions

from .fakes import ListSink, ListSource, Notices, joined, numbered, sink_plan, source_plan

LOSSY = LinkConditions(delay=0.010, loss=0.1)


@pytest.mark.parametrize(
    ("output", "entrance"),
    [
        ("rist://10.0.0.2:6000?profile=simple&buffer=400", "rist://@:6000?profile=simple&buffer=400"),
        ("rist://@:6000?profile=simple&buffer=400", "rist://10.0.0.1:6000?profile=simple&buffer=400"),
    ],
    ids=["the sender calls", "the receiver calls"],
)
async def test_a_bad_network_between_two_relays_loses_nothing(
    output: str, entrance: str, autojump_clock: MockClock
) -> None:
    network = SimulatedNetwork(5)
    alice, bob = network.add_host("alice", "10.0.0.1"), network.add_host("bob", "10.0.0.2")
    network.connect(alice, bob, LOSSY)
    batches = numbered(400, 3)
    source, sink = ListSource(batches, every=0.005), ListSink()
    source_notices, sink_notices = Notices(), Notices()
    outward = Route(source_plan(source), [plan_sink(output)], notice=source_notices)
    inward = Route(plan_source(entrance), [sink_plan(sink)], notice=sink_notices)
    type(source).is_patient = True
    try:
        async with trio.open_nursery() as nursery:
            with use_network(bob):
                nursery.start_soon(inward.run)
            await trio.sleep(0.5)
            with use_network(alice):
                await outward.run()
            await trio.sleep(1)
            inward.stop()
    finally:
        type(source).is_patient = False
    assert sink.got == joined(batches)
    received = inward.reports()[0].details
    assert received["recovered"] == received["lost"] != 0
    sent = outward.reports()[1].details
    assert isinstance(sent["retransmitted"], int)
    assert sent["retransmitted"] > 0
    # Nobody was woken to hand over: the sink was fed from the task that read.
    assert sink.at_once > 0
    assert source_notices.named("peer_connected")
    assert sink_notices.named("flow_started")
    assert sink_notices.named("peer_lost")[0].text.endswith("said goodbye")


async def test_a_peer_that_does_not_answer_is_explained_again_and_again(autojump_clock: MockClock) -> None:
    network = SimulatedNetwork(5)
    alice = network.add_host("alice", "10.0.0.1")
    network.add_host("bob", "10.0.0.2")
    notices = Notices()
    url = "rist://10.0.0.2:6000?profile=simple"
    with use_network(alice):
        route = Route(source_plan(ListSource([], ends=False)), [plan_sink(url)], notice=notices)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(route.run)
            await trio.sleep(70)
            route.stop()
    told = notices.named("no_answer")
    assert not route.all_done
    assert len(told) == 2
    assert told[0].level == "warning"
    assert "10.0.0.2:6000" in told[0].text
    assert told[0].text.endswith("trying on")
    assert "start the other end first" in told[0].text


async def test_a_receiver_that_comes_late_is_served_with_what_is_fresh(autojump_clock: MockClock) -> None:
    network = SimulatedNetwork(5)
    alice, bob = network.add_host("alice", "10.0.0.1"), network.add_host("bob", "10.0.0.2")
    batches = numbered(1000)
    sink, other = ListSink(), ListSink()
    outward = Route(
        source_plan(ListSource(batches)),
        [plan_sink("rist://10.0.0.2:6000?profile=simple&buffer=200"), sink_plan(other)],
        notice=Notices(),
    )
    inward = Route(
        plan_source("rist://@:6000?profile=simple&buffer=200"), [sink_plan(sink)], notice=Notices()
    )
    async with trio.open_nursery() as nursery:
        with use_network(alice):
            nursery.start_soon(outward.run)
        await trio.sleep(5)
        with use_network(bob):
            nursery.start_soon(inward.run)
        await trio.sleep(7)
        inward.stop()
    everything = joined(batches)
    assert other.got == everything
    assert sink.got == everything[-len(sink.got) :]
    assert 1900 < len(sink.got) < 2300


async def test_waiting_for_a_caller_in_vain_is_explained_and_may_be_ended(autojump_clock: MockClock) -> None:
    notices = Notices()
    with use_network(SimulatedNetwork(5).add_host("alice")):
        url = "rist://@:6000?profile=simple"
        route = Route(source_plan(ListSource([], ends=False)), [plan_sink(url)], notice=notices)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(route.run)
            await trio.sleep(70)
            route.stop()
    assert ["in 5 s" in told.text for told in notices.named("no_answer")] == [True, False]
    assert "in 65 s" in notices.named("no_answer")[1].text


def test_mistakes_in_the_url_show_before_anything_is_open() -> None:
    with pytest.raises(InvalidUrl, match="did you mean buffer="):
        plan_sink("rist://10.0.0.2:6000?bufer=200")
    with pytest.raises(InvalidUrl, match="no parameter"):
        plan_source("rist://@:6000?colour=blue")


async def test_two_paths_with_a_comma_between_carry_one_flow(autojump_clock: MockClock) -> None:
    network = SimulatedNetwork(6)
    alice, bob = network.add_host("alice"), network.add_host("bob", "10.9.0.2", "10.9.1.2")
    cables = [network.connect(alice, address, LOSSY) for address in ("10.9.0.2", "10.9.1.2")]
    batches = numbered(100, 3)
    source, sink = ListSource(batches, every=0.05), ListSink()
    notices = Notices()
    output = plan_sink(
        "rist://10.9.0.2:6000?profile=simple&buffer=400,rist://10.9.1.2:7000?profile=simple&buffer=400&weight=0"
    )
    assert output.name.count("rist://") == 2
    entrance = plan_source(
        "rist://@10.9.0.2:6000?profile=simple&buffer=400,rist://@10.9.1.2:7000?profile=simple&buffer=400"
    )
    outward = Route(source_plan(source), [output], notice=notices)
    inward = Route(entrance, [sink_plan(sink)], notice=Notices())
    type(source).is_patient = True
    try:
        async with trio.open_nursery() as nursery:
            with use_network(bob):
                nursery.start_soon(inward.run)
            await trio.sleep(0.2)
            with use_network(alice):
                nursery.start_soon(outward.run)
            await trio.sleep(1)
            for link in cables[0]:
                link.cut()
            await trio.sleep(10)
            nursery.cancel_scope.cancel()
    finally:
        type(source).is_patient = False
    assert sink.got == joined(batches)
    assert notices.named("path_up")
    assert notices.named("path_down")
