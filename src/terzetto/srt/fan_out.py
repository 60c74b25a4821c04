"""One source to many SRT peers, none of which can hold up the source or the others.

Each peer has a queue of its own, bounded by packets, and what happens when it is full has a name (`SlowReader`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from enum import Enum
from typing import Final

import attrs
import trio

from terzetto.errors import PeerError
from terzetto.primitives.datagrams import Address, Buffer
from terzetto.srt.statistics import SrtStatistics
from terzetto.srt.stream import SrtStream

__all__ = ["FanOut", "SlowReader", "Subscriber", "SubscriberReport", "fitting"]

DEFAULT_QUEUE: Final = 2048
"""Packets: about a second at 20 Mbit/s."""


def fitting(payloads: Sequence[Buffer], size: int) -> Sequence[Buffer]:
    """*payloads*, those that are longer than *size* cut."""
    if max(map(len, payloads), default=0) <= size:
        return payloads
    return [payload[start : start + size] for payload in payloads for start in range(0, len(payload), size)]


class SlowReader(Enum):
    """What becomes of a peer that takes less than the source gives, once its queue is full."""

    DROP_OLDEST = "drop-oldest"
    """It loses what it has waited for longest, and comes closest to live."""
    DROP_NEWEST = "drop-newest"
    """It loses what is new, and keeps what it waits for whole."""
    DISCONNECT = "disconnect"
    """It loses the connection."""


@attrs.frozen
class SubscriberReport:
    """How one peer of a fan-out stands."""

    peer: Address
    stream_id: str
    packets: int
    octets: int
    queue: int
    shed: int
    statistics: SrtStatistics


class Subscriber:
    """One peer and its queue."""

    def __init__(self, stream: SrtStream, *, limit: int, policy: SlowReader) -> None:
        self.stream = stream
        self.packets = 0
        self.octets = 0
        self.shed = 0
        self.was_too_slow = False
        self._limit = limit
        self._policy = policy
        self._queue: deque[Buffer] = deque()
        self._is_busy = False
        self._has_ended = False
        self._changed = trio.Event()

    def offer(self, payloads: Sequence[Buffer]) -> None:
        """Take *payloads*; never waits, never raises."""
        if self._has_ended:
            return
        payloads = fitting(payloads, self.stream.payload_size)
        if not self._queue and not self._is_busy:
            try:
                self.stream.send_packets_nowait(payloads)
            except trio.WouldBlock:
                pass
            except (PeerError, trio.ClosedResourceError):
                self.end()
                return
            else:
                self._count(payloads)
                return
        self._enqueue(payloads)
        self._changed.set()

    def end(self) -> None:
        """Nothing more comes: what waits is sent, then `run` returns."""
        self._has_ended = True
        self._changed.set()

    async def run(self) -> None:
        """Send what waits, until the end, or until the peer goes."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch, nursery.cancel_scope)
            await self._write()
            nursery.cancel_scope.cancel()

    def report(self) -> SubscriberReport:
        """How it stands."""
        return SubscriberReport(
            self.stream.peer_address,
            self.stream.stream_id,
            self.packets,
            self.octets,
            len(self._queue),
            self.shed,
            self.stream.statistics(),
        )

    async def _write(self) -> None:
        while True:
            if self.was_too_slow:
                return
            if self._queue:
                payloads = list(self._queue)
                self._queue.clear()
                self._is_busy = True
                try:
                    await self.stream.send_packets(payloads)
                except (PeerError, trio.ClosedResourceError):
                    return
                finally:
                    self._is_busy = False
                self._count(payloads)
            elif self._has_ended:
                return
            else:
                self._changed = trio.Event()
                await self._changed.wait()

    async def _watch(self, scope: trio.CancelScope) -> None:
        """Notice that the peer has gone, also while there is nothing to send."""
        try:
            while await self.stream.receive_some():
                pass
        except (PeerError, trio.ClosedResourceError):
            pass
        scope.cancel()

    def _enqueue(self, payloads: Sequence[Buffer]) -> None:
        queue = self._queue
        excess = len(queue) + len(payloads) - self._limit
        if excess <= 0:
            queue.extend(payloads)
            return
        self.shed += excess
        if self._policy is SlowReader.DROP_OLDEST:
            queue.extend(payloads)
            for _ in range(excess):
                queue.popleft()
        elif self._policy is SlowReader.DROP_NEWEST:
            queue.extend(payloads[: len(payloads) - excess])
        else:
            self.was_too_slow = True
            self.end()

    def _count(self, payloads: Sequence[Buffer]) -> None:
        self.packets += len(payloads)
        self.octets += sum(map(len, payloads))


class FanOut:
    """Gives what is published to everybody it serves."""

    def __init__(self, *, queue: int = DEFAULT_QUEUE, policy: SlowReader = SlowReader.DROP_OLDEST) -> None:
        if queue < 1:
            raise ValueError("queue must be at least 1 packet")
        self._limit = queue
        self._policy = policy
        self._subscribers: dict[int, Subscriber] = {}
        self._has_ended = False

    def __len__(self) -> int:
        return len(self._subscribers)

    def publish(self, payloads: Sequence[Buffer]) -> None:
        """Give *payloads* to all; never waits."""
        for subscriber in list(self._subscribers.values()):
            subscriber.offer(payloads)

    def end(self) -> None:
        """Nothing more comes: everybody gets what waits, and a goodbye."""
        self._has_ended = True
        for subscriber in self._subscribers.values():
            subscriber.end()

    async def serve(self, stream: SrtStream) -> Subscriber:
        """Keep *stream* supplied until it goes or everything ends; then it is closed."""
        subscriber = Subscriber(stream, limit=self._limit, policy=self._policy)
        if self._has_ended:
            subscriber.end()
        self._subscribers[stream.socket_id] = subscriber
        try:
            await subscriber.run()
            if not subscriber.was_too_slow:
                await stream.aclose()
        finally:
            del self._subscribers[stream.socket_id]
            stream.abort()
        return subscriber

    def reports(self) -> list[SubscriberReport]:
        """How all of them stand."""
        return [subscriber.report() for subscriber in self._subscribers.values()]
