"""One core, its endpoints, and the tasks that make it run.

Everything clever is in the core. The session is a pump: readers carry arrivals in, a timer tells the time, and
whatever the core wants sent leaves at once where the socket takes it, else through a bounded queue and a writer::

    endpoint -> reader --+                          +--> send_nowait -> endpoint
                         v                          |
    timer ----------> core --poll_transmits()-------+--> queue -> writer -> endpoint
                         |
                         +--poll_events()--> deliver
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Generic, TypeVar

import attrs
import trio

from terzetto.driver.clock import current_micros
from terzetto.driver.contract import Core
from terzetto.net.coalesce import CoalescingReader
from terzetto.net.endpoint import DatagramEndpoint, Run, Trouble
from terzetto.primitives.time import MICROS_PER_MILLI, MICROS_PER_SECOND, Micros, micros

__all__ = ["Session", "SessionPath", "SessionStatistics"]

EventT = TypeVar("EventT")

# Batches, not datagrams. The queue is in use only while the kernel's own send buffer is full, that is while we
# are faster than the interface; more than a few dozen batches of that is delay, not help.
WRITER_BACKLOG: Final = 64

# In ticks: how far ahead the timer's deadline is moved while a reader ticks, so that it is moved seldom.
_STANDING_BACK: Final = 64

# Asking a socket for complaints is a system call, and they are hints, not news.
HEARING_INTERVAL: Final[Micros] = 100 * MICROS_PER_MILLI

# Who sleeps this much longer than a tick was kept from running, or there was nothing to do.
_LATE: Final[Micros] = 20 * MICROS_PER_MILLI


@attrs.frozen
class SessionPath:
    """One way in and out of a session: an endpoint, and how often to read it while data flows (0: at once)."""

    endpoint: DatagramEndpoint
    tick: float = 0.0


@attrs.frozen
class SessionStatistics:
    """Counters of one session's pump."""

    batches_shed: int = 0
    """Batches dropped because the writer's queue was full: the oldest stay, the protocol repairs."""
    wakeups: int = 0
    """How often a reader or the timer ran: the unit that CPU time at low rates is made of."""


class Session(Generic[EventT]):
    """Runs *core* on *paths*; events go to *deliver*, the network's complaints to *complain*.

    *deliver* and *complain* are called between awaits and must not block; they are where the protocol's ``api``
    fills the bounded channels that its users read. *patience* is how late the timer may be while commands keep
    coming, for those who use `commanded`.
    """

    def __init__(
        self,
        core: Core[EventT],
        paths: Sequence[SessionPath],
        *,
        deliver: Callable[[list[EventT]], None],
        complain: Callable[[Trouble], None] | None = None,
        patience: float = 0.0,
    ) -> None:
        self._core = core
        self._paths = tuple(paths)
        self._deliver = deliver
        self._complain = complain
        self._to_writer, self._for_writer = trio.open_memory_channel[list[Run]](WRITER_BACKLOG)
        self._writer_is_behind = False
        self._caught_up = trio.Event()
        self._alarm = trio.CancelScope()
        self._ticking = 0
        self._due: Micros | None = None
        self._longest_tick = max((path.tick for path in paths), default=0.0)
        self._readers = [CoalescingReader(path.endpoint, tick=path.tick) for path in paths]
        self._read_at: Micros = -1
        self._patience = patience
        self._stands_back_until: Micros = -1
        self._batches_shed = 0
        self._wakeups = 0
        self._next_hearing: Micros = 0
        self._closed = False
        self._scope = trio.CancelScope()
        self.on_drained: Callable[[], None] | None = None
        """Called whenever the core has been drained: where several sessions share state, others may have output now."""
        self.on_late: Callable[[Micros], None] | None = None
        """Called after a long sleep, before what is due is done: where several sessions share state, arrivals that
        bear upon it may wait at any of them."""
        self._woke_at: Micros = 0
        self._tick_micros: Micros = micros(self._longest_tick)
        self._longest_sleep: Micros = micros(self._longest_tick) + _LATE

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Run until cancelled; closes the endpoints on the way out, whatever the way."""
        try:
            with self._scope:
                async with trio.open_nursery() as nursery:
                    self._start_tasks(nursery)
                    task_status.started()
        finally:
            self.close()

    def _start_tasks(self, nursery: trio.Nursery) -> None:
        for index in range(len(self._paths)):
            nursery.start_soon(self._read, index)
        nursery.start_soon(self._keep_time)
        nursery.start_soon(self._write)
        self.drain()

    def stop(self) -> None:
        """End every task and close the endpoints."""
        self._scope.cancel()
        self.close()

    def close(self) -> None:
        """Close the endpoints and the writer's queue; harmless when closed already."""
        self._closed = True
        for path in self._paths:
            path.endpoint.close()
        self._to_writer.close()
        self._for_writer.close()
        # Whoever waits for room will find the session closed; left behind, they would wait for a writer that is gone.
        self._writer_is_behind = False
        self._caught_up.set()

    def drain(self) -> None:
        """Send and deliver what the core has to offer; call it after every command given to the core."""
        core = self._core
        transmits = core.poll_transmits()
        if transmits:
            self._transmit(transmits)
        events = core.poll_events()
        if events:
            self._deliver(events)
        self._arm()
        if self.on_drained is not None:
            self.on_drained()

    def commanded(self, now: Micros) -> None:
        """A command was just given to the core: send and deliver, and do what is due as well.

        While commands keep coming, the timer stands back by *patience*: it would only wake up for what is done here.
        """
        self._be_on_time(now)
        self._stands_back_until = now + micros(self._patience)
        self.drain()

    def accompany(self, now: Micros) -> None:
        """A command is about to be given: do what the readers' next tick would do, if it is about time.

        For those who give commands as often as a reader ticks: its ticks, which wake a task for what costs next to
        nothing here, come less often then.
        """
        if self._closed or 2 * (now - self._read_at) < self._tick_micros or not self._tick_micros:
            return
        self._read_at = self._woke_at = now
        for index, reader in enumerate(self._readers):
            self._take_in(index, reader.read_along(), now)
        self._be_on_time(now)
        self.drain()

    def take_waiting(self, now: Micros) -> None:
        """Take in what waits at the endpoints, without waiting for the readers' turn, and do nothing that is due."""
        if self._closed:
            return
        self._woke_at = now
        for index, path in enumerate(self._paths):
            self._take_in(index, path.endpoint.receive_nowait(), now)
        self.drain()

    @property
    def is_writable(self) -> bool:
        """Whether what is sent now leaves at once."""
        return not self._writer_is_behind

    async def wait_writable(self) -> None:
        """Wait until the writer has caught up; returns at once, without a checkpoint, when it is not behind."""
        while self._writer_is_behind:
            await self._caught_up.wait()

    def statistics(self) -> SessionStatistics:
        """Counters since the session began."""
        return SessionStatistics(batches_shed=self._batches_shed, wakeups=self._wakeups)

    def _transmit(self, runs: list[Run]) -> None:
        try:
            if not self._writer_is_behind:
                runs = self._send_inline(runs)
                if not runs:
                    return
                self._writer_is_behind = True
                self._caught_up = trio.Event()
            self._to_writer.send_nowait(runs)
        except trio.WouldBlock:
            self._batches_shed += 1
        except trio.ClosedResourceError:
            pass  # the session is ending, or its endpoint was closed under it; the readers find out and say so

    def _send_inline(self, runs: list[Run]) -> list[Run]:
        paths = self._paths
        if len(paths) == 1:
            return paths[0].endpoint.send_nowait(runs)
        left: list[Run] = []
        for index, path in enumerate(paths):
            mine = [run for run in runs if run.path == index]
            if mine:
                left += path.endpoint.send_nowait(mine)
        return left

    async def _write(self) -> None:
        async for runs in self._for_writer:
            for run in runs:
                try:
                    await self._paths[run.path].endpoint.send([run])
                except trio.ClosedResourceError:
                    if not self._closed:
                        raise
                    return
            if not self._for_writer.statistics().current_buffer_used:
                self._writer_is_behind = False
                self._caught_up.set()

    async def _read(self, index: int) -> None:
        try:
            await self._read_until_closed(index)
        except trio.ClosedResourceError:
            if not self._closed:
                raise

    async def _read_until_closed(self, index: int) -> None:
        reader = self._readers[index]
        was_flowing = False
        while True:
            runs = await reader.receive()
            if reader.flowing != was_flowing:
                was_flowing = reader.flowing
                self._ticking += 1 if was_flowing else -1
            now = self._read_at = current_micros()
            self._take_in(index, runs, now)
            self._awake(now)
            self._be_on_time(now)
            if now >= self._next_hearing:
                self._hear_complaints(now)
            self.drain()

    def _take_in(self, index: int, runs: list[Run], now: Micros) -> None:
        if runs:
            self._core.handle_datagrams(
                [run._replace(path=index) for run in runs] if index else runs, now=now
            )

    async def _keep_time(self) -> None:
        while True:
            with trio.CancelScope() as self._alarm:
                self._arm()
                await trio.sleep_forever()
            now = current_micros()
            self._awake(now)
            self._be_on_time(now)
            if now >= self._next_hearing:
                self._hear_complaints(now)
            self.drain()

    def _awake(self, now: Micros) -> None:
        self._wakeups += 1
        slept, self._woke_at = now - self._woke_at, now
        if slept > self._longest_sleep and self.on_late is not None:
            self.on_late(now)

    def _be_on_time(self, now: Micros) -> None:
        due = self._due
        if due is not None and due <= now:
            self._core.handle_timeout(now=now)

    def _arm(self) -> None:
        # Asking is not free: the answer serves the next wake-up too, which comes before anything can change it.
        due = self._due = self._core.next_timeout()
        alarm = self._alarm
        if self._ticking:
            # A reader that ticks keeps time as well (it does what is due after each read), so the timer stands
            # back, and would act only if the ticks stopped coming.
            earliest = trio.current_time() + 2 * self._longest_tick
            if alarm.deadline < earliest:
                alarm.deadline = earliest + _STANDING_BACK * self._longest_tick
        elif due is not None and due < self._stands_back_until:
            # Commands keep time too, but nobody says when they stop, so the timer stays within reach.
            earliest = self._stands_back_until / MICROS_PER_SECOND
            if alarm.deadline < earliest:
                alarm.deadline = earliest + 2 * self._patience
        elif due is not None and (deadline := due / MICROS_PER_SECOND) < alarm.deadline:
            # Moving a deadline costs as much as a system call. One that has become later stays where it is: the
            # timer wakes up once for nothing, and sets it right.
            alarm.deadline = deadline

    def _hear_complaints(self, now: Micros) -> None:
        self._next_hearing = now + HEARING_INTERVAL
        for path in self._paths:
            for trouble in path.endpoint.poll_troubles():
                if self._complain is not None:
                    self._complain(trouble)
