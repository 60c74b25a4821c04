"""One output of a route, kept apart from the others by a queue of its own.

What comes in leaves at once where the sink takes it; otherwise it waits in the queue, for the output's own task
to send. The queue is bounded by packets and by age; when it is full the oldest are shed and counted, because
whoever watches live wants what is new. An output that fails is opened anew, again and again, ever more rarely.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final

import trio

from terzetto.driver.nursery import open_session_nursery
from terzetto.errors import CallerError, TerzettoError
from terzetto.gateway.contract import Batch, Json, Report, RtpRun, Sink, SinkPlan

__all__ = ["QUEUE_LIMIT", "Output"]

QUEUE_LIMIT: Final = 16_384
"""Packets that may wait for one output: 21 MB of the usual size, nearly two seconds at 100 Mbit/s."""

_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 30.0
_BETWEEN_COMPLAINTS: Final = 5.0

# A sink that has not been ready by the end of the input gets this long to become so.
_LAST_CHANCE: Final = 2.0

# An output that takes nothing for this long no longer holds an input back.
_STALLED: Final = 5.0


class Output:
    """Runs one sink; `offer` never waits and never raises."""

    def __init__(
        self,
        plan: SinkPlan,
        report: Report,
        *,
        on_gone: Callable[[], None],
        in_bytes: Callable[[Batch], Batch],
    ) -> None:
        self.plan = plan
        self._in_bytes = in_bytes
        self._on_gone = on_gone
        self._report = report
        self._sink: Sink | None = None
        self._queue: deque[tuple[float, Batch]] = deque()
        self._waiting = 0
        self._is_busy = False
        self._is_reached = False
        self._no_more = trio.Event()
        self._sending = trio.CancelScope()
        self._changed = trio.Event()
        self._took = trio.Event()
        self._last_progress = -_STALLED
        self._last_complaint = -_BETWEEN_COMPLAINTS
        self.opened = trio.Event()
        """Set when the sink was opened, or could not be."""
        self.finished = trio.Event()
        """Set when `run` has returned."""
        self.ready = trio.Event()
        """Set when what is sent reaches somebody for the first time."""
        self.is_gone = False
        """Whether it failed in a way that trying again does not mend."""
        self._details: Mapping[str, Json] = {}
        self.failure: TerzettoError | OSError | trio.BrokenResourceError | None = None
        """Why the sink is not open at the moment."""
        self.packets = 0
        self.octets = 0
        self.shed = 0

    @property
    def name(self) -> str:
        """The URL, without its secrets."""
        return self.plan.name

    @property
    def waiting(self) -> int:
        """Packets in the queue."""
        return self._waiting

    @property
    def _ended(self) -> bool:
        return self._no_more.is_set()

    def statistics(self) -> Mapping[str, Json]:
        """What the sink counted; when it is closed, what it last counted."""
        if self._sink is not None:
            self._details = self._sink.statistics()
        return self._details

    def snapshot(self) -> object | None:
        """What the sink counted as its protocol has it, while it is open."""
        return None if self._sink is None else self._sink.snapshot()

    def offer(self, batch: Batch, octets: int) -> None:
        """Take *batch*, of that many bytes."""
        if self.is_gone:
            return
        if batch.rtp is not None and not batch.rtp.is_transport_stream and not self.plan.takes_rtp:
            try:
                batch = self._in_bytes(batch)
            except CallerError as exc:
                self._refuse(exc)
                return
            if not batch.payloads:
                return
            octets = sum(map(len, batch.payloads))
        sink = self._sink
        if sink is not None and not self._waiting and not self._is_busy:
            try:
                rest = sink.send_nowait(batch)
            except (TerzettoError, OSError, trio.BrokenResourceError, trio.ClosedResourceError):
                rest = batch  # the task will find out the same, and knows what to do about it
            if rest is None:
                self.packets += len(batch.payloads)
                self.octets += octets
                return
            if rest is not batch:
                self._count(batch)
                self._count(rest, -1)
            batch = rest
        self._enqueue(batch)

    def end(self) -> None:
        """Nothing more comes: what waits is sent, then the sink closes."""
        self._no_more.set()
        self._changed.set()

    async def wait_for_room(self) -> None:
        """Wait until half of the queue is free, as long as the output is getting anywhere."""
        while self._waiting > QUEUE_LIMIT // 2 and not self._ended:
            patience = self._last_progress + _STALLED - trio.current_time()
            if patience <= 0:
                break
            self._took = trio.Event()
            with trio.move_on_after(patience):
                await self._took.wait()

    async def run(self) -> None:
        """Keep the sink open, and send what waits, until the end. Only a caller's mistake is raised."""
        pause = _FIRST_PAUSE
        while True:
            opened_at = trio.current_time()
            if await self._try() or self._is_over():
                break
            if trio.current_time() - opened_at > _LONGEST_PAUSE:
                pause = _FIRST_PAUSE
            self._report("failed", f"{self.failure}; trying again in {pause:g} s", level="warning")
            with trio.move_on_after(pause):
                while not self._ended:
                    self._changed = trio.Event()
                    await self._changed.wait()
            pause = min(2 * pause, _LONGEST_PAUSE)
        self.finished.set()

    async def _try(self) -> bool:
        """Open the sink and serve it; whether that came to its proper end."""
        try:
            await self._serve()
        except CallerError:
            raise
        except (TerzettoError, OSError, trio.BrokenResourceError) as exc:
            self.failure = exc
            return False
        finally:
            self._sink = None
            self._is_busy = False
            self.opened.set()
        return True

    def _is_over(self) -> bool:
        """Whether there is no point in opening the sink again."""
        if isinstance(self.failure, BrokenPipeError):
            self.is_gone = True
            self._give_up("nobody reads it any more")
            self._on_gone()
        elif self._ended:
            self._give_up(f"failed: {self.failure}")
        else:
            return False
        return True

    async def _serve(self) -> None:
        async with open_session_nursery() as nursery:
            sink = await self.plan.open(nursery, self._report)
            try:
                self._sink = sink
                self._is_reached = False
                if self.failure is not None and not self.is_gone:
                    self.failure = None
                    self._report("reopened", "open again")
                self.opened.set()
                nursery.start_soon(self._tell_when_ready, sink)
                watch = trio.CancelScope()
                nursery.start_soon(self._mind_the_end, sink, watch)
                await self._write(sink)
                watch.cancel()
                self._details = sink.statistics()
                self._sink = None
                await sink.aclose()
                with suppress(trio.ClosedResourceError):
                    self._details = sink.statistics()  # repeats were sent while it lingered
            except BaseException:
                await trio.aclose_forcefully(sink)
                raise

    async def _tell_when_ready(self, sink: Sink) -> None:
        try:
            await sink.wait_ready()
        except trio.ClosedResourceError:
            return  # it was given up before it was ready
        self._is_reached = True
        self._last_progress = trio.current_time()
        self.ready.set()
        self._changed.set()

    async def _mind_the_end(self, sink: Sink, watch: trio.CancelScope) -> None:
        """Once the input has ended, wait no longer for a peer that went away than for one that never came."""
        with watch, suppress(trio.ClosedResourceError):  # it failed by itself, and the writer finds out
            await self._no_more.wait()
            while True:
                with trio.move_on_after(_LAST_CHANCE) as patience:
                    await sink.wait_ready()
                if patience.cancelled_caught:
                    self._sending.cancel()
                else:
                    await trio.sleep(_LAST_CHANCE)

    async def _write(self, sink: Sink) -> None:
        while True:
            if self._queue and self._is_reached:
                if sink.gather_seconds and not self._ended:
                    await trio.sleep(sink.gather_seconds)
                await self._send_waiting(sink)
                if self._sending.cancelled_caught:
                    self.failure = trio.BrokenResourceError("nobody was there any more")
                    self._give_up(str(self.failure))
                    return
            elif not self._ended:
                self._changed = trio.Event()
                await self._changed.wait()
            elif self._queue and not await self._reach_at_last():
                self._give_up("was never ready")
                return
            elif not self._queue:
                return

    async def _reach_at_last(self) -> bool:
        """The input has ended and nobody is there yet: a last chance."""
        self._changed = trio.Event()
        with trio.move_on_after(_LAST_CHANCE):
            await self._changed.wait()
        return self._is_reached

    async def _send_waiting(self, sink: Sink) -> None:
        # While `_is_busy`, new packets queue up behind those that are on their way.
        self._is_busy = True
        try:
            if not sink.gather_seconds:
                self._shed_stale(sink.backlog_seconds)
            taken = self._take()
            try:
                with trio.CancelScope() as self._sending:
                    await sink.send(taken)
            except BaseException:
                self._shed(len(taken.payloads))
                raise
            if self._sending.cancelled_caught:
                self._waiting += len(taken.payloads)  # given up with the rest
                return
            self._count(taken)
        finally:
            self._is_busy = False
        self._last_progress = trio.current_time()
        self._took.set()

    def _take(self) -> Batch:
        batches = [self._queue.popleft()[1]]
        while self._queue and _is_of_the_same(batches[0], self._queue[0][1]):
            batches.append(self._queue.popleft()[1])
        self._waiting = sum(len(batch.payloads) for _, batch in self._queue)
        if len(batches) == 1:
            return batches[0]
        payloads = [payload for batch in batches for payload in batch.payloads]
        return Batch(payloads, batches[0].source_time, _joined([batch.rtp for batch in batches]))

    def _enqueue(self, batch: Batch) -> None:
        self._queue.append((trio.current_time(), batch))
        self._waiting += len(batch.payloads)
        while self._waiting > QUEUE_LIMIT and len(self._queue) > 1:
            self._shed_oldest()
        if self._is_reached:
            self._changed.set()

    def _shed_stale(self, age: float) -> None:
        """Drop what has waited for longer than *age*, unless it is the end of all."""
        horizon = trio.current_time() - age
        while len(self._queue) > 1 and self._queue[0][0] < horizon and not self._ended:
            self._shed_oldest()

    def _shed_oldest(self) -> None:
        _, batch = self._queue.popleft()
        self._waiting -= len(batch.payloads)
        self._shed(len(batch.payloads))

    def _shed(self, count: int) -> None:
        self.shed += count
        now = trio.current_time()
        # Before anybody was there nothing is missed, and it is no news either.
        if self.ready.is_set() and now - self._last_complaint >= _BETWEEN_COMPLAINTS:
            self._last_complaint = now
            self._report(
                "shedding",
                f"does not keep up: {self.shed} packets, the oldest each time, were dropped so far",
                level="warning",
            )

    def _refuse(self, why: CallerError) -> None:
        """What comes in makes no sense to this output, now or later."""
        self.is_gone = True
        self.failure = why
        self._report("refused", str(why), level="warning")
        self.end()
        self._on_gone()

    def _give_up(self, why: str) -> None:
        lost, self._waiting = self._waiting, 0
        self._queue.clear()
        self.shed += lost
        self._report("gave_up", f"{why}; {lost} packets were not sent", level="warning")

    def _count(self, batch: Batch, sign: int = 1) -> None:
        self.packets += sign * len(batch.payloads)
        self.octets += sign * sum(map(len, batch.payloads))


def _is_of_the_same(one: Batch, other: Batch) -> bool:
    """Whether the two can leave as one batch: what is in RTP stays with its description."""
    if one.rtp is None or other.rtp is None:
        return one.rtp is other.rtp
    return one.rtp.description is other.rtp.description or one.rtp.description == other.rtp.description


def _joined(runs: list[RtpRun | None]) -> RtpRun | None:
    found = [run for run in runs if run is not None]
    if not found:
        return None
    return found[0]._replace(packets=[packet for run in found for packet in run.packets])
