"""Bytes leave when they are due, by the programme's clock or at a bit rate."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from terzetto.errors import InvalidOption
from terzetto.gateway.contract import Batch, InputSettings
from terzetto.gateway.pacing import ByteSource, Unpaced, make_source
from terzetto.mpegts.generator import TsGenerator

BITRATE = 4_000_000


class Blocks:
    """A reader of bytes that are there already; may hang once."""

    name = "test.ts"

    def __init__(self, data: bytes, block: int = 65_536) -> None:
        self._data = data
        self._block = block
        self.is_closed = False

    async def read(self) -> bytes:
        await trio.lowlevel.checkpoint()
        block, self._data = self._data[: self._block], self._data[self._block :]
        return block

    async def aclose(self) -> None:
        self.is_closed = True
        await trio.lowlevel.checkpoint()


def programme(seconds: float) -> bytes:
    """A stream whose last payload is full."""
    return TsGenerator(BITRATE, seed=3).take(int(seconds * BITRATE / 8 / 188) // 7 * 7)


async def timed(source: ByteSource) -> list[tuple[float, Batch]]:
    """Every batch with the moment it came, in seconds since the first."""
    batches: list[tuple[float, Batch]] = []
    began = trio.current_time()
    while (batch := await source.receive()) is not None:
        batches.append((trio.current_time() - began, batch))
    return batches


def content(batches: list[tuple[float, Batch]]) -> bytes:
    return b"".join(bytes(payload) for _, batch in batches for payload in batch.payloads)


async def test_a_transport_stream_takes_as_long_as_its_clock_says(autojump_clock: MockClock) -> None:
    data = programme(10)
    batches = await timed(make_source(Blocks(data), InputSettings(), pace_unless_told=True))
    assert content(batches) == data
    sent = 0
    for at, batch in batches:
        # Everything is there when it is due, a tick at the latest, and never before.
        due = sent * 8 / BITRATE
        assert due - 0.001 <= at <= due + 0.005
        sent += sum(map(len, batch.payloads))
    assert {len(payload) for _, batch in batches for payload in batch.payloads} == {1316}


async def test_batches_say_when_their_first_payload_was_due(autojump_clock: MockClock) -> None:
    began = trio.current_time()
    source = make_source(Blocks(programme(1)), InputSettings(), pace_unless_told=True)
    sent = 0
    for _, batch in await timed(source):
        assert batch.source_time == pytest.approx(began + sent * 8 / BITRATE, abs=0.001)
        sent += sum(map(len, batch.payloads))


async def test_a_bit_rate_paces_anything(autojump_clock: MockClock) -> None:
    data = bytes(range(250)) * 500
    source = make_source(Blocks(data), InputSettings(bitrate=1_000_000), pace_unless_told=False)
    batches = await timed(source)
    assert content(batches) == data
    assert batches[-1][0] == pytest.approx(1.0, abs=0.015)


async def test_without_pace_nothing_waits(autojump_clock: MockClock) -> None:
    data = programme(10)
    source = make_source(Blocks(data), InputSettings(pace=False), pace_unless_told=True)
    assert source.is_bulk
    batches = await timed(source)
    assert content(batches) == data
    assert batches[-1][0] == 0.0


async def test_a_pipe_is_not_paced_unless_told(autojump_clock: MockClock) -> None:
    assert isinstance(make_source(Blocks(b""), InputSettings(), pace_unless_told=False), Unpaced)
    paced = make_source(Blocks(programme(2)), InputSettings(pace=True), pace_unless_told=False)
    assert (await timed(paced))[-1][0] == pytest.approx(2.0, abs=0.01)


async def test_what_is_no_transport_stream_is_refused_with_what_to_do(autojump_clock: MockClock) -> None:
    source = make_source(Blocks(b"no video " * 1000), InputSettings(), pace_unless_told=True)
    with pytest.raises(InvalidOption, match=r"test\.ts is no MPEG transport stream.*--bitrate.*--no-pace"):
        await timed(source)


async def test_garbage_before_a_stream_is_left_out_and_counted(autojump_clock: MockClock) -> None:
    data = programme(1)
    source = make_source(Blocks(b"garbage" * 100 + data), InputSettings(), pace_unless_told=True)
    assert content(await timed(source)) == data
    assert source.statistics()["discarded_bytes"] == 700


async def test_after_being_held_up_the_pace_goes_on_without_a_burst(autojump_clock: MockClock) -> None:
    source = make_source(Blocks(programme(4)), InputSettings(), pace_unless_told=True)
    octets = 0
    while octets < BITRATE // 8:
        batch = await source.receive()
        assert batch is not None
        octets += sum(map(len, batch.payloads))
    await trio.sleep(5)  # the machine was asleep
    batch = await source.receive()
    assert batch is not None
    assert len(batch.payloads) <= 3
    rest = await timed(source)
    assert rest[-1][0] == pytest.approx(3.0, abs=0.1)


async def test_an_empty_input_is_simply_over(autojump_clock: MockClock) -> None:
    for settings in (InputSettings(), InputSettings(pace=False), InputSettings(bitrate=1000)):
        assert await make_source(Blocks(b""), settings, pace_unless_told=True).receive() is None


async def test_closing_closes_the_reader() -> None:
    reader = Blocks(b"")
    await make_source(reader, InputSettings(), pace_unless_told=True).aclose()
    assert reader.is_closed
