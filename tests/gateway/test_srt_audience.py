"""One output to any number of SRT callers."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
import trio.testing

from terzetto.errors import AuthenticationFailed, ConnectionRefusedByPeer, InvalidOption
from terzetto.gateway.contract import Batch, Level
from terzetto.gateway.registry import plan_sink
from terzetto.net.network import use_network
from terzetto.net.simulated import SimulatedNetwork
from terzetto.srt.api import open_srt_stream

BOOK = """
[[caller]]
streamid = "studio"
passphrase = "only-for-the-studio"
latency = 400

[[caller]]
streamid = "truck"
"""


class Told:
    """Remembers what was reported."""

    def __init__(self) -> None:
        self.texts: list[tuple[str, str]] = []

    def __call__(self, event: str, text: str, *, level: Level = "info") -> None:
        self.texts.append((event, text))

    def of(self, event: str) -> list[str]:
        return [text for told, text in self.texts if told == event]


async def test_each_caller_has_its_own_terms_and_figures_and_the_refused_are_named(
    autojump_clock: trio.testing.MockClock, tmp_path: Path
) -> None:
    book = tmp_path / "callers.toml"
    book.write_text(BOOK)
    network = SimulatedNetwork(seed=2)
    here, there = network.add_host("here"), network.add_host("there")
    report = Told()
    payloads = [bytes([number]) * 1316 for number in range(30)]
    got: dict[str, int] = {}
    async with trio.open_nursery() as nursery:
        with use_network(here):
            sink = await plan_sink(f"srt://:9000?callers={book}").open(nursery, report)

        async def watch(name: str, query: str) -> None:
            with use_network(there):
                async with open_srt_stream(f"srt://here:9000?streamid={name}&{query}") as stream:
                    async for chunk in stream:
                        got[name] = got.get(name, 0) + len(chunk)

        nursery.start_soon(watch, "studio", "passphrase=only-for-the-studio")
        nursery.start_soon(watch, "truck", "latency=250")
        with use_network(there):
            for name, error in (("thief", ConnectionRefusedByPeer), ("studio", AuthenticationFailed)):
                with pytest.raises(error):
                    async with open_srt_stream(f"srt://here:9000?streamid={name}"):
                        pass  # pragma: no cover
        await sink.wait_ready()
        await trio.sleep(0.5)
        await sink.send(Batch(payloads))
        await trio.sleep(0.1)
        figures = sink.statistics()
        callers = figures["callers"]
        assert isinstance(callers, list)
        assert {(caller["stream_id"], caller["latency"]) for caller in callers} == {
            ("studio", 0.4),
            ("truck", 0.25),
        }
        assert figures["refused"] == 2
        assert figures["sent"] == 60
        await sink.aclose()
        nursery.cancel_scope.deadline = trio.current_time() + 2
    assert got == {"studio": 30 * 1316, "truck": 30 * 1316}
    refusals = report.of("refused")
    assert len(refusals) == 2
    assert "thief" in refusals[0]
    assert "(1401)" in refusals[0]
    assert "(11)" in refusals[1]
    assert len(report.of("peer_lost")) == 2
    assert "only-for-the-studio" not in str(report.texts)


@pytest.mark.parametrize("text", ["", "[[caller]]\nlatency = 5\n", "caller = 5", "not toml"])
async def test_a_book_that_cannot_be_read_is_said(
    autojump_clock: trio.testing.MockClock, tmp_path: Path, text: str
) -> None:
    book = tmp_path / "callers.toml"
    book.write_text(text)
    network = SimulatedNetwork(seed=2)
    async with trio.open_nursery() as nursery:
        with use_network(network.add_host("here")), pytest.raises(InvalidOption, match="callers="):
            await plan_sink(f"srt://:9000?callers={book}").open(nursery, Told())
