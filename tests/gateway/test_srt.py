"""SRT as an end of a route: peers come and go, the route stays."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from terzetto.errors import InvalidOption, InvalidUrl
from terzetto.gateway.contract import Batch, Level, Report
from terzetto.gateway.registry import plan_sink, plan_source
from terzetto.gateway.transfer import plan_transfer
from terzetto.net.network import use_network
from terzetto.net.simulated import SimulatedNetwork
from terzetto.srt.api import connect_srt_listener, open_srt_listener, open_srt_stream


class Told:
    """Remembers what an end reported."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def __call__(self, event: str, text: str, *, level: Level = "info") -> None:
        assert text
        self.events.append(event)


def told() -> Told:
    report = Told()
    _: Report = report
    return report


async def test_what_a_sink_sends_a_source_receives_and_cuts_nothing(
    autojump_clock: trio.testing.MockClock,
) -> None:
    network = SimulatedNetwork(seed=1)
    here, there = network.add_host("here"), network.add_host("there")
    payloads = [bytes([number]) * 1316 for number in range(20)]
    async with trio.open_nursery() as nursery:
        with use_network(there):
            source = await plan_source("srt://:9000?passphrase=correct-horse").open(nursery, told())
        with use_network(here):
            sink = await plan_sink("srt://there:9000?passphrase=correct-horse").open(nursery, told())
        assert sink.send_nowait(Batch(payloads[:1])) is not None, "nobody is there yet"
        await sink.wait_ready()
        assert sink.send_nowait(Batch(payloads)) is None
        await sink.send(Batch([b"x" * 2000]))
        got: list[bytes] = []
        while sum(map(len, got)) < 20 * 1316 + 2000:
            batch = await source.receive()
            assert batch is not None
            got += [bytes(payload) for payload in batch.payloads]
        assert got == [*payloads, b"x" * 1316, b"x" * 684]
        assert sink.statistics()["sent_unique"] == 22
        assert source.statistics()["received_unique"] == 22
        await sink.aclose()
        await source.aclose()
        nursery.cancel_scope.cancel()


async def test_a_listening_source_takes_the_next_caller_when_one_has_gone(
    autojump_clock: trio.testing.MockClock,
) -> None:
    network = SimulatedNetwork(seed=1)
    here, there = network.add_host("here"), network.add_host("there")
    report = told()
    async with trio.open_nursery() as nursery:
        with use_network(there):
            source = await plan_source("srt://:9000").open(nursery, report)
        for number in range(3):
            with use_network(here):
                async with open_srt_stream("srt://there:9000") as caller:
                    await caller.send_all(b"caller %d" % number)
                    batch = await source.receive()
                    assert batch is not None
                    assert [bytes(payload) for payload in batch.payloads] == [b"caller %d" % number]
            with trio.move_on_after(1):
                await source.receive()
        nursery.cancel_scope.cancel()
    assert report.events == ["peer_connected", "peer_lost"] * 3


async def test_a_calling_sink_waits_for_its_listener_and_says_so(
    autojump_clock: trio.testing.MockClock,
) -> None:
    network = SimulatedNetwork(seed=1)
    here, there = network.add_host("here"), network.add_host("there")
    report = told()
    async with trio.open_nursery() as nursery:
        with use_network(here):
            sink = await plan_sink("srt://there:9000").open(nursery, report)
        await trio.sleep(10)
        assert report.events[:2] == ["no_answer", "reconnecting"]
        assert report.events.count("no_answer") == 1
        assert 3 <= report.events.count("reconnecting") == len(report.events) - 1
        with use_network(there):
            async with open_srt_listener("srt://:9000") as listener:
                stream = await listener.accept()
                await sink.send(Batch([b"at last"]))
                assert await stream.receive_some() == b"at last"
        nursery.cancel_scope.cancel()


async def test_a_caller_that_lost_its_listener_tells_each_call_that_follows(
    autojump_clock: trio.testing.MockClock,
) -> None:
    network = SimulatedNetwork(seed=1)
    here, there = network.add_host("here"), network.add_host("there")
    report = told()
    async with trio.open_nursery() as nursery:
        with use_network(there):
            listener = await connect_srt_listener(nursery, "srt://:9000")
        with use_network(here):
            source = await plan_source("srt://there:9000").open(nursery, report)
        nursery.start_soon(source.receive)
        first = await listener.accept()
        await first.aclose()
        second = await listener.accept()
        await trio.sleep(1)
        assert report.events[0] == report.events[3] == "peer_connected"
        assert sorted(report.events[1:3]) == ["peer_lost", "reconnecting"]
        await second.aclose()
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("url", "error"), [("srt://h:1?latency=999999", InvalidUrl), ("srt://h:1?pbkeylen=5", InvalidOption)]
)
def test_mistakes_show_before_anything_has_started(url: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        plan_sink(url)
    with pytest.raises(error):
        plan_source(url)


@pytest.mark.parametrize("mode", ["backup", "balancing"])
async def test_a_stream_over_two_paths_survives_the_loss_of_either(
    autojump_clock: trio.testing.MockClock, mode: str
) -> None:
    network = SimulatedNetwork(seed=1)
    here = network.add_host("here", "10.0.0.1", "10.0.1.1")
    there = network.add_host("there", "10.0.0.2", "10.0.1.2")
    paths = [network.links_between(f"10.0.{way}.1", f"10.0.{way}.2") for way in range(2)]
    report = told()
    async with trio.open_nursery() as nursery:
        with use_network(there):
            plan = plan_source("srt://:9000?groupconnect=1")
            source = await plan.open(nursery, told())
        with use_network(here):
            sinks = plan_sink(
                f"srt://10.0.0.2:9000?groupmode={mode}&weight=2&latency=200,"
                "srt://10.0.1.2:9000?weight=1&latency=200&peeridletimeo=1000"
            )
            assert sinks.name.count("srt://") == 2
            sink = await sinks.open(nursery, report)
        await sink.wait_ready()
        await trio.sleep(1)
        got: list[bytes] = []

        async def receive() -> None:
            while len(got) < 100:
                batch = await source.receive()
                assert batch is not None
                got.extend(bytes(payload) for payload in batch.payloads)

        nursery.start_soon(receive)
        for number in range(100):
            if number == 50:
                for link in paths[0]:
                    link.cut()
            await sink.send(Batch([bytes([number])]))
            await trio.sleep(0.02)
        await trio.sleep(1)
        assert got == [bytes([number]) for number in range(100)]
        assert {"peer_connected", "member_joined", "member_changed"} <= set(report.events)
        await sink.aclose()
        await source.aclose()
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("urls", "complaint"),
    [
        ("srt://here:1,srt://:2", "some listen"),
        ("srt://here:1?groupmode=backup,srt://here:2?groupmode=broadcast", "groupmode"),
        ("srt://here:1,rist://here:2", "rist and srt"),
        ("srt://here:1?groupmode=sideways", "groupmode"),
    ],
)
def test_paths_that_do_not_belong_together_are_refused(urls: str, complaint: str) -> None:
    with pytest.raises(InvalidUrl, match=complaint):
        plan_sink(urls)


def test_several_paths_are_no_file_transfer() -> None:
    assert plan_transfer("file:in.ts", ["srt://here:1?weight=2,srt://here:2?weight=1"]) is None


def test_a_comma_inside_a_query_parts_no_urls() -> None:
    assert plan_sink("srt://here:1?packetfilter=fec,cols:10").name == "srt://here:1?packetfilter=fec,cols:10"
