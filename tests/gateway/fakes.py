"""Sources and sinks that do as they are told, for the tests of routes."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import trio

from terzetto.gateway.contract import Batch, Plan, Report, Sink, SinkPlan, Source, SourcePlan
from terzetto.gateway.route import Notice
from terzetto.url import parse_url


class ListSource(Source):
    """Gives batches, *every* so many seconds; then the end, or silence for ever."""

    def __init__(
        self, batches: Iterable[list[bytes]], *, every: float = 0.01, ends: bool = True, bulk: bool = False
    ) -> None:
        self._batches = iter(batches)
        self._every = every
        self._ends = ends
        self._bulk = bulk
        self.is_closed = False

    @property
    def is_bulk(self) -> bool:
        return self._bulk

    async def receive(self) -> Batch | None:
        await trio.sleep(self._every)
        for batch in self._batches:
            return Batch(batch)
        if not self._ends:
            await trio.sleep_forever()
        return None

    async def aclose(self) -> None:
        self.is_closed = True
        await trio.lowlevel.checkpoint()


class ListSink(Sink):
    """Remembers what it got; may be slow, or refuse to take anything at once, or fail."""

    def __init__(self, *, takes_at_once: bool = True, seconds: float = 0.0) -> None:
        self.got: list[bytes] = []
        self.at_once = 0
        self.takes_at_once = takes_at_once
        self.seconds = seconds
        self.fails: Callable[[], BaseException | None] = lambda: None
        self.ready = trio.Event()
        self.ready.set()
        self.is_closed = False

    def send_nowait(self, batch: Batch) -> Batch | None:
        if not self.takes_at_once or self.fails() is not None or not self.ready.is_set():
            return batch
        self.at_once += 1
        self._keep(batch)
        return None

    async def send(self, batch: Batch) -> None:
        await self.ready.wait()
        await trio.sleep(self.seconds)
        failure = self.fails()
        if failure is not None:
            raise failure
        self._keep(batch)

    async def wait_ready(self) -> None:
        await self.ready.wait()

    async def aclose(self) -> None:
        self.is_closed = True
        await trio.lowlevel.checkpoint()

    def _keep(self, batch: Batch) -> None:
        self.got += [bytes(payload) for payload in batch.payloads]


class Notices:
    """Collects what a route tells."""

    def __init__(self) -> None:
        self.all: list[Notice] = []

    def __call__(self, notice: Notice) -> None:
        self.all.append(notice)

    def named(self, event: str) -> list[Notice]:
        return [notice for notice in self.all if notice.event == event]


def source_plan(source: Source) -> SourcePlan:
    """A plan that opens *source*."""

    async def open_it(nursery: trio.Nursery, report: Report) -> Source:
        await trio.lowlevel.checkpoint()
        return source

    return Plan(parse_url("udp://@:1"), open_it)


def sink_plan(*sinks: Sink | BaseException, name: str = "udp://sink:1") -> SinkPlan:
    """A plan that opens one after the other of *sinks* (an exception is raised), the last again and again."""
    left = list(sinks)

    async def open_it(nursery: trio.Nursery, report: Report) -> Sink:
        await trio.lowlevel.checkpoint()
        sink = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(sink, BaseException):
            raise sink
        return sink

    return Plan(parse_url(name), open_it)


def numbered(batches: int, size: int = 4) -> list[list[bytes]]:
    """Batches of payloads that are all different."""
    return [[b"%06d" % (batch * size + index) for index in range(size)] for batch in range(batches)]


def joined(batches: Iterable[list[bytes]]) -> list[bytes]:
    """All payloads in order."""
    return [payload for batch in batches for payload in batch]
