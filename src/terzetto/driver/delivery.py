"""The last yard: from a core's events to the task that reads them.

Two shapes. Packets go to one reader, in a queue that is bounded by packets and sheds the oldest, because a reader
of live media that fell behind wants what is new. Events go to everybody who listens, each with a bounded queue.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable
from types import TracebackType
from typing import Final, Generic, NoReturn, TypeVar
from weakref import ref

import trio

__all__ = ["EventHub", "EventListener", "PacketQueue"]

T = TypeVar("T")


class PacketQueue(Generic[T]):
    """Batches of packets on their way to one reader; beyond *limit* packets the oldest batches are shed."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._batches: deque[list[T]] = deque()
        self._waiting = 0
        # Parked by hand rather than on a memory channel, whose way through trio costs more than all our own work
        # for a batch; one task waits at most, so there is no queue of tasks to be fair to.
        self._reader: trio.lowlevel.Task | None = None
        self._error: Exception | None = None
        self._ended = False
        self._closed = False
        self._consume: Callable[[list[T]], None] | None = None
        self.shed = 0
        """Packets dropped because the reader was too slow."""

    def __len__(self) -> int:
        return self._waiting

    def put(self, packets: list[T]) -> None:
        """Hand over *packets*; never waits."""
        if self._closed or self._ended:
            return
        if self._consume is not None:
            self._consume(packets)
            return
        self._batches.append(packets)
        self._waiting += len(packets)
        while self._waiting > self._limit and len(self._batches) > 1:
            oldest = self._batches.popleft()
            self._waiting -= len(oldest)
            self.shed += len(oldest)
        self._wake()

    def divert(self, consume: Callable[[list[T]], None] | None) -> None:
        """Hand batches to *consume* from now on, at once, instead of queueing them; what waits comes first.

        It spares a hand-over from task to task. *consume* must neither wait nor raise. None ends it.
        """
        self._consume = consume
        if consume is not None:
            waiting = self.get_nowait()
            if waiting:
                consume(waiting)

    def end(self, error: Exception | None = None) -> None:
        """Nothing more comes: readers get what is left, then *error*, or the end."""
        if not self._ended:
            self._ended = True
            self._error = error
            self._wake()

    def close(self) -> None:
        """The reader's side is done: drop what is left, and wake whoever waits."""
        self._closed = True
        self._batches.clear()
        self._waiting = 0
        self._wake()

    def put_back(self, packets: list[T]) -> None:
        """Return what a reader took but did not use; it comes first again."""
        if packets:
            self._batches.appendleft(packets)
            self._waiting += len(packets)
            self._wake()

    def get_nowait(self) -> list[T]:
        """Everything that waits, in order; empty when there is nothing, also at the end."""
        if self._closed:
            raise trio.ClosedResourceError
        batches = self._batches
        if not batches:
            return []
        self._waiting = 0
        if len(batches) == 1:
            return batches.popleft()
        joined = [packet for batch in batches for packet in batch]
        batches.clear()
        return joined

    async def get(self) -> list[T]:
        """Wait for packets; all that wait, in order. An empty list is the end."""
        if self._reader is not None:
            raise trio.BusyResourceError("another task is reading from this stream")
        await trio.lowlevel.checkpoint_if_cancelled()
        while True:
            packets = self.get_nowait()
            if packets:
                return packets
            if self._ended:
                if self._error is not None:
                    raise self._error
                return []
            self._reader = trio.lowlevel.current_task()
            await trio.lowlevel.wait_task_rescheduled(self._give_up_waiting)

    def _give_up_waiting(self, _raise_cancel: Callable[[], NoReturn]) -> trio.lowlevel.Abort:
        self._reader = None
        return trio.lowlevel.Abort.SUCCEEDED

    def _wake(self) -> None:
        if self._reader is not None:
            trio.lowlevel.reschedule(self._reader)
            self._reader = None


# Enough for a listener that pauses to breathe; more than that is history, which is what statistics are for.
_BACKLOG: Final = 256
_REMEMBERED: Final = 64


class EventHub(Generic[T]):
    """Tells events to everybody who listens; a late listener hears the most recent ones first."""

    def __init__(self) -> None:
        self._recent: deque[T] = deque(maxlen=_REMEMBERED)
        # Weakly: a loop over events may be left by `break`, and nobody says goodbye to an iterator.
        self._listeners: list[ref[EventListener[T]]] = []
        self._closed = False

    def publish(self, event: T) -> None:
        """Tell *event*; a listener whose queue is full misses its oldest."""
        self._recent.append(event)
        for listener in self._living():
            listener.hear(event)

    def close(self) -> None:
        """Listeners hear what is left, then their iteration ends."""
        self._closed = True
        for listener in self._living():
            listener.end()

    def listen(self) -> EventListener[T]:
        """What happens from now on, after what happened lately."""
        listener = EventListener(self._recent)
        if self._closed:
            listener.end()
        else:
            self._listeners.append(ref(listener))
        return listener

    def _living(self) -> list[EventListener[T]]:
        living = [listener for each in self._listeners if (listener := each()) is not None]
        if len(living) != len(self._listeners):
            self._listeners = [ref(listener) for listener in living]
        return living


class EventListener(AsyncGenerator[T, None]):
    """Iterates over events as they happen.

    Used like an asynchronous generator, but no trap like one: a loop that is left by ``break`` leaves nothing behind
    that would have to be closed.
    """

    def __init__(self, recent: Iterable[T]) -> None:
        self._events = deque(recent, maxlen=_BACKLOG)
        self._waiting = trio.lowlevel.ParkingLot()
        self._ended = False

    async def asend(self, _value: None) -> T:
        """The next event; what ``async for`` calls."""
        await trio.lowlevel.checkpoint()
        while not self._events:
            if self._ended:
                raise StopAsyncIteration
            await self._waiting.park()
        return self._events.popleft()

    async def athrow(
        self,
        typ: type[BaseException] | BaseException,
        val: BaseException | object = None,
        tb: TracebackType | None = None,
    ) -> T:
        """Stop listening, and raise."""
        self.end()
        return await super().athrow(typ, val, tb)  # type: ignore[arg-type]

    async def aclose(self) -> None:
        """Stop listening."""
        self._events.clear()
        self.end()
        await trio.lowlevel.checkpoint()

    def hear(self, event: T) -> None:
        """Something happened; the oldest that nobody took makes room."""
        self._events.append(event)
        self._waiting.unpark()

    def end(self) -> None:
        """Nothing more will happen."""
        self._ended = True
        self._waiting.unpark_all()
