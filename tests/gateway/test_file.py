"""Files as ends of a route."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from terzetto.errors import InvalidUrl, WorldError
from terzetto.gateway.contract import Batch, InputSettings
from terzetto.gateway.file import ByteSink
from terzetto.gateway.registry import plan_sink, plan_source
from terzetto.gateway.route import Route

from .fakes import ListSink, ListSource, Notices, joined, numbered, sink_plan, source_plan


async def test_a_file_at_full_speed_is_copied_byte_for_byte(tmp_path: Path) -> None:
    data = bytes(range(256)) * 10_000 + b"the end"
    original, copy, second = tmp_path / "original", tmp_path / "copy", tmp_path / "second"
    original.write_bytes(data)
    source = plan_source(f"file:{original}", InputSettings(pace=False))
    await Route(source, [plan_sink(f"file:{copy}"), plan_sink(f"file:{second}")], notice=Notices()).run()
    assert copy.read_bytes() == data
    assert second.read_bytes() == data


async def test_an_output_appends(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_bytes(b"before ")
    route = Route(source_plan(ListSource(numbered(3))), [plan_sink(f"file:{path}")], notice=Notices())
    await route.run()
    assert path.read_bytes() == b"before " + b"".join(joined(numbered(3)))
    assert route.reports()[1].details["written_bytes"] == 72


async def test_more_pieces_than_one_call_takes_are_all_written(tmp_path: Path) -> None:
    path = tmp_path / "out"
    with path.open("wb") as file:
        sink = ByteSink(file.fileno(), owns=False)
        payloads = [b"%04d" % index for index in range(3000)]
        assert sink.send_nowait(Batch(payloads)).payloads == payloads
        await sink.send(Batch(payloads))
    assert path.read_bytes() == b"".join(payloads)


async def test_a_file_starts_when_its_output_is_ready(tmp_path: Path) -> None:
    path = tmp_path / "in"
    path.write_bytes(bytes(100_000))
    sink = ListSink()
    sink.ready = trio.Event()
    settings = InputSettings(pace=False)
    route = Route(plan_source(f"file:{path}", settings), [sink_plan(sink)], notice=Notices())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(route.run)
        await trio.sleep(0.1)
        assert route.reports()[0].packets == 0
        sink.ready.set()
    assert b"".join(sink.got) == bytes(100_000)


def test_what_is_not_there_is_said_before_anything_is_open(tmp_path: Path) -> None:
    with pytest.raises(InvalidUrl, match="there is no file"):
        plan_source(f"file:{tmp_path}/missing.ts")
    with pytest.raises(InvalidUrl, match="is a directory"):
        plan_source(f"file:{tmp_path}")
    with pytest.raises(InvalidUrl, match="is a directory"):
        plan_sink(f"file:{tmp_path}")
    with pytest.raises(InvalidUrl, match="there is no directory"):
        plan_sink(f"file:{tmp_path}/missing/out.ts")


async def test_a_file_that_vanished_meanwhile_is_explained(tmp_path: Path) -> None:
    path = tmp_path / "in"
    path.write_bytes(b"x")
    plan = plan_source(f"file:{path}")
    path.unlink()
    with pytest.raises(WorldError, match="cannot be opened: No such file"):
        await Route(plan, [sink_plan(ListSink())], notice=Notices()).run()
