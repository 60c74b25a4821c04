"""Files over bad networks: bit for bit or not at all, and as fast as the narrowest link allows."""

from __future__ import annotations

import hashlib
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import pytest
import trio
import trio.testing

from terzetto.errors import CallerError, PeerError, TerzettoError, UnsupportedOperation, WorldError
from terzetto.net.network import use_network
from terzetto.net.simulated import SimulatedNetwork
from terzetto.net.simulated.host import SimulatedHost
from terzetto.primitives.impairment import LinkConditions
from terzetto.srt.api import connect_srt_listener, connect_srt_stream
from terzetto.srt.files import receive_file, safe_name, send_file
from terzetto.srt.stream import SrtStream

T = TypeVar("T")

QUERY = "transtype=file&conntimeo=60000"


def make(folder: Path, size: int) -> Path:
    path = folder / "original.bin"
    path.write_bytes(random.Random(size).randbytes(size))
    return path


def content(path: Path) -> bytes:
    return path.read_bytes()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


class Way:
    """Two hosts, a link, and streams at both ends of it."""

    def __init__(
        self, conditions: LinkConditions, *, seed: int = 7, back: LinkConditions | None = None
    ) -> None:
        self.network = SimulatedNetwork(seed=seed)
        self.here: SimulatedHost = self.network.add_host("here")
        self.there: SimulatedHost = self.network.add_host("there")
        self.forth = self.network.link(self.here, self.there, conditions)
        self.network.link(self.there, self.here, back or conditions)

    @asynccontextmanager
    async def streams(self, query: str = QUERY, **more: object) -> AsyncIterator[tuple[SrtStream, SrtStream]]:
        async with trio.open_nursery() as nursery:
            with use_network(self.there):
                listener = await connect_srt_listener(nursery, f"srt://:9000?{query}", **more)  # type: ignore[arg-type]
            with use_network(self.here):
                sender = await connect_srt_stream(nursery, f"srt://there:9000?{query}", **more)  # type: ignore[arg-type]
            receiver = await listener.accept()
            yield sender, receiver
            sender.abort()
            receiver.abort()
            listener.close()


@pytest.fixture(autouse=True)
def files_without_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read and write at once: while a thread is at work, a clock that jumps takes us for idle and jumps on."""

    async def run_sync(function: Callable[..., T], *arguments: object) -> T:
        await trio.lowlevel.checkpoint()
        return function(*arguments)

    monkeypatch.setattr(trio.to_thread, "run_sync", run_sync)


@pytest.mark.parametrize("loss", [0.0, 0.05, 0.2])
@pytest.mark.parametrize("round_trip", [0.001, 0.1, 1.0])
async def test_a_file_arrives_bit_for_bit(
    autojump_clock: trio.testing.MockClock, tmp_path: Path, loss: float, round_trip: float
) -> None:
    way = Way(LinkConditions(delay=round_trip / 2, loss=loss, reorder=loss / 4))
    source, target = make(tmp_path, 300_000), tmp_path / "copy.bin"
    told: list[int] = []
    async with way.streams(stream_id="x") as (sender, receiver), trio.open_nursery() as nursery:

        async def send() -> None:
            sent = await send_file(sender, source, progress=lambda done, total: told.append(done))
            assert sent.sha256 == hashlib.sha256(content(source)).hexdigest()
            await sender.aclose()

        nursery.start_soon(send)
        received = await receive_file(receiver, target)
    assert received.size == told[-1] == 300_000
    assert content(target) == content(source)
    assert names(tmp_path) == ["copy.bin", "original.bin"]


@pytest.mark.parametrize(("loss", "round_trip"), [(0.0, 0.05), (0.1, 0.2)])
async def test_throughput_follows_the_bottleneck(
    autojump_clock: trio.testing.MockClock, loss: float, round_trip: float
) -> None:
    def narrow(rate: float) -> LinkConditions:
        return LinkConditions(delay=round_trip / 2, loss=loss, rate=rate, queue=int(rate / 80))

    back = LinkConditions(delay=round_trip / 2, loss=loss)
    way = Way(narrow(4e6), back=back)
    got = 0

    streams = way.streams(QUERY, read_tick=0.02)
    async with streams as (sender, receiver), trio.open_nursery() as nursery:

        async def send() -> None:
            while True:
                await sender.send_all(bytes(50_000))

        async def receive() -> None:
            nonlocal got
            while True:
                got += len(await receiver.receive_some())

        async def rate_of(seconds: float) -> float:
            before = got
            await trio.sleep(seconds)
            return (got - before) * 8 / seconds

        nursery.start_soon(send)
        nursery.start_soon(receive)
        await trio.sleep(6)
        assert 0.65 * 4e6 < await rate_of(4) < 4.3e6
        way.forth.change(narrow(1e6))
        await trio.sleep(8)
        assert 0.6 * 1e6 < await rate_of(5) < 1.1e6
        nursery.cancel_scope.cancel()


async def test_a_sender_that_goes_away_leaves_no_file(
    autojump_clock: trio.testing.MockClock, tmp_path: Path
) -> None:
    way = Way(LinkConditions(delay=0.01, loss=0.3))
    async with way.streams() as (sender, receiver), trio.open_nursery() as nursery:

        async def send() -> None:
            await sender.send_all(bytes(500_000))
            await trio.sleep(0.05)
            sender.abort()

        nursery.start_soon(send)
        with pytest.raises(PeerError, match="before everything"):
            await receive_file(receiver, tmp_path / "copy.bin")
    assert names(tmp_path) == []


async def test_a_receiver_that_cannot_write_tells_the_sender(
    autojump_clock: trio.testing.MockClock, tmp_path: Path
) -> None:
    way = Way(LinkConditions(delay=0.01))
    async with way.streams() as (sender, receiver):
        with pytest.raises(WorldError):
            await receive_file(receiver, tmp_path / "no-such-folder" / "copy.bin")
        with pytest.raises(PeerError, match="4000"), trio.fail_after(60):
            while True:
                await sender.send_all(bytes(5000))
                await trio.sleep(0.01)
        with pytest.raises(PeerError, match="cannot use what we send"):
            await send_file(sender, make(tmp_path, 1000))


async def test_a_cancelled_reception_leaves_no_file(
    autojump_clock: trio.testing.MockClock, tmp_path: Path
) -> None:
    way = Way(LinkConditions(delay=0.01))
    async with way.streams() as (sender, receiver):
        await sender.send_all(bytes(1000))
        with trio.move_on_after(1):
            await receive_file(receiver, tmp_path / "copy.bin")
    assert names(tmp_path) == []


async def test_files_want_a_stream_of_bytes(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    way = Way(LinkConditions(delay=0.01))
    async with way.streams("transtype=live") as (sender, _):
        with pytest.raises(UnsupportedOperation, match="stream of bytes"):
            await send_file(sender, make(tmp_path, 1))


@pytest.mark.parametrize("stream_id", ["", ".", "..", "a/..", "a\\..", "x\0y", "x\ny", "é" * 128])
def test_a_peer_does_not_choose_the_folder(stream_id: str) -> None:
    with pytest.raises(CallerError, match="no file name"):
        safe_name(stream_id)


@pytest.mark.parametrize(
    ("stream_id", "name"),
    [
        ("f.bin", "f.bin"),
        ("/etc/passwd", "passwd"),
        ("..\\..\\x", "x"),
        ("a b", "a b"),
        (".profile", ".profile"),
    ],
)
def test_the_name_is_the_last_part_of_the_stream_id(stream_id: str, name: str) -> None:
    assert safe_name(stream_id) == name


async def test_a_missing_file_is_named(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    way = Way(LinkConditions(delay=0.01))
    async with way.streams() as (sender, _):
        with pytest.raises(TerzettoError, match=r"absent\.bin"):
            await send_file(sender, tmp_path / "absent.bin")
