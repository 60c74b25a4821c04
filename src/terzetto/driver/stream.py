"""One stream core, its byte stream, and the tasks that make it run.

As in `session`, everything clever is in the core::

    stream -> reader --+                        +--> send_nowait -> stream
                       v                        |
    timer ---------> core --poll_bytes()--------+--> backlog -> writer -> stream
                       |
                       +--poll_events()--> deliver

What others write on the same stream (media of a fan-out) goes through `StreamSession.write`, so that nothing is put
into the middle of a message; it is refused when the peer reads too slowly, and whoever writes decides what then.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final, Generic, TypeVar

import trio

from terzetto.driver.clock import current_micros
from terzetto.driver.contract import StreamCore
from terzetto.net.stream import ByteStream
from terzetto.primitives.datagrams import Buffer
from terzetto.primitives.time import MICROS_PER_SECOND

__all__ = ["StreamSession"]

EventT = TypeVar("EventT")

# Frames joined for one call to the kernel: enough to spare calls, little enough to copy.
_JOIN: Final = 256 * 1024

# A read that brought so much was worth its wake-up, and more is probably waiting.
_PLENTY: Final = 32 * 1024


class StreamSession(Generic[EventT]):
    """Runs *core* on *stream*; events go to *deliver*, which must not block.

    *ready*, where given, is awaited before each read: a way to leave in the kernel what nobody can take yet. A single
    write that takes longer than *write_timeout* seconds ends the session.
    """

    def __init__(
        self,
        core: StreamCore[EventT],
        stream: ByteStream,
        *,
        deliver: Callable[[list[EventT]], None],
        ready: Callable[[], Awaitable[None]] | None = None,
        write_timeout: float = math.inf,
    ) -> None:
        self._core = core
        self._stream = stream
        self._deliver = deliver
        self._ready = ready
        self._write_timeout = write_timeout
        self._backlog: deque[Buffer] = deque()
        self._backlog_bytes = 0
        self._writing = 0
        self._wanted = trio.Event()
        self._caught_up = trio.Event()
        self._alarm = trio.CancelScope()
        self._ended = trio.Event()
        self._broken = False
        self.tick = 0.0
        """After each read wait so many seconds before the next, so that media comes in batches; 0 reads at once."""
        self.failure: Exception | None = None
        """Why the stream broke, where it did."""

    @property
    def backlog(self) -> int:
        """Bytes that wait to be written: what the peer is behind, beyond the kernel's buffers."""
        return self._backlog_bytes + self._writing

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Run until the core has finished and all is written, the stream breaks, or we are cancelled.

        Closes the stream on the way out, whatever the way; a broken stream is an end of file to the core.
        """
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._read)
                nursery.start_soon(self._keep_time)
                nursery.start_soon(self._write)
                self.drain()
                task_status.started()
                await self._ended.wait()
                nursery.cancel_scope.cancel()
        finally:
            self.close()

    def close(self) -> None:
        """Close the stream at once; harmless when closed already."""
        self._ended.set()
        self._broken = True
        self._backlog.clear()
        self._backlog_bytes = 0
        self._caught_up.set()
        self._stream.close()

    def drain(self) -> None:
        """Write and deliver what the core has to offer; call it after every command given to the core."""
        core = self._core
        data = core.poll_bytes()
        if data:
            self._put(data)
        events = core.poll_events()
        if events:
            self._deliver(events)
            data = core.poll_bytes()
            if data:
                self._put(data)
        self._arm()
        self._finish_if_done()

    def write(self, data: Buffer, *, limit: float = math.inf) -> bool:
        """Write *data* behind everything before it; False, with nothing written, when the backlog is over *limit*."""
        if self._broken or self._backlog_bytes + self._writing > limit:
            return False
        self._put(data)
        return True

    async def wait_written(self) -> None:
        """Wait until the backlog is empty."""
        while self.backlog and not self._broken:
            self._caught_up = trio.Event()
            await self._caught_up.wait()

    def _put(self, data: Buffer) -> None:
        if self._broken:
            return
        if not self._backlog and not self._writing:
            try:
                sent = self._stream.send_nowait(data)
            except (trio.BrokenResourceError, trio.ClosedResourceError) as exc:
                self._break(exc)
                return
            if sent == len(data):
                return
            data = memoryview(data)[sent:]
        self._backlog.append(data)
        self._backlog_bytes += len(data)
        self._wanted.set()

    async def _write(self) -> None:
        while True:
            await self._wanted.wait()
            self._wanted = trio.Event()
            while self._backlog:
                data = self._take()
                self._writing = len(data)
                try:
                    with trio.move_on_after(self._write_timeout) as patience:
                        await self._stream.send_all(data)
                except (trio.BrokenResourceError, trio.ClosedResourceError) as exc:
                    self._break(exc)
                    return
                finally:
                    self._writing = 0
                if patience.cancelled_caught:
                    self._break(TimeoutError("the peer did not take what was written to it"))
                    return
            self._caught_up.set()
            self._finish_if_done()

    def _take(self) -> Buffer:
        backlog = self._backlog
        if len(backlog) == 1:
            self._backlog_bytes = 0
            return backlog.popleft()
        parts: list[Buffer] = []
        size = 0
        while backlog and (not parts or size + len(backlog[0]) <= _JOIN):
            part = backlog.popleft()
            parts.append(part)
            size += len(part)
        self._backlog_bytes -= size
        return b"".join(parts)

    async def _read(self) -> None:
        core, stream = self._core, self._stream
        while True:
            if self._ready is not None:
                await self._ready()
            try:
                data = await stream.receive_some()
            except trio.BrokenResourceError as exc:
                self._break(exc)
                return
            except trio.ClosedResourceError:
                return
            now = current_micros()
            if data:
                core.handle_bytes(bytes(data), now=now)
            else:
                core.handle_eof(now=now)
            self._be_on_time()
            self.drain()
            if not data:
                return
            if self.tick and len(data) < _PLENTY:
                await trio.sleep(self.tick)

    async def _keep_time(self) -> None:
        while True:
            with trio.CancelScope() as self._alarm:
                self._arm()
                await trio.sleep_forever()
            self._be_on_time()
            self.drain()

    def _be_on_time(self) -> None:
        now = current_micros()
        due = self._core.next_timeout()
        if due is not None and due <= now:
            self._core.handle_timeout(now=now)

    def _arm(self) -> None:
        due = self._core.next_timeout()
        deadline = math.inf if due is None else due / MICROS_PER_SECOND
        if self._alarm.deadline != deadline:
            self._alarm.deadline = deadline

    def _break(self, exc: Exception) -> None:
        """The stream is gone: tell the core, once."""
        if self._broken:
            return
        self._broken = True
        self.failure = exc
        self._backlog.clear()
        self._backlog_bytes = 0
        self._caught_up.set()
        self._core.handle_eof(now=current_micros())
        events = self._core.poll_events()
        if events:
            self._deliver(events)
        self._ended.set()

    def _finish_if_done(self) -> None:
        if self._core.is_finished and not self._backlog and not self._writing:
            self._ended.set()
