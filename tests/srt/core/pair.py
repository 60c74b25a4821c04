"""Two SRT sockets and a network between them, in one heap of events: no task, no real time, one seed."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from terzetto.primitives.datagrams import Address, Buffer, Run
from terzetto.srt.core.connection import Connection, Signal
from terzetto.srt.core.listener import ConnectionRequest
from terzetto.srt.core.messages import Message
from terzetto.srt.core.multiplexer import Multiplexer, Notice
from terzetto.srt.core.negotiation import RefusedError
from terzetto.srt.options import SrtOptions

__all__ = ["CALLER", "LISTENER", "Link", "Pair"]

CALLER = Address("192.0.2.1", 4001)
LISTENER = Address("192.0.2.2", 9000)

MILLI = 1000
SECOND = 1_000_000


class Link:
    """One direction: delay, jitter, loss, duplication. ``drop`` decides about single packets."""

    def __init__(
        self,
        *,
        delay: int = 10 * MILLI,
        jitter: int = 0,
        loss: float = 0.0,
        duplicate: float = 0.0,
        drop: Callable[[bytes, int], bool] | None = None,
    ) -> None:
        self.delay = delay
        self.jitter = jitter
        self.loss = loss
        self.duplicate = duplicate
        self.drop = drop


class Pair:
    """A caller and a listener, driven by the events between them."""

    def __init__(
        self,
        *,
        seed: int = 1,
        caller: SrtOptions | None = None,
        listener: SrtOptions | None = None,
        forth: Link | None = None,
        back: Link | None = None,
        decide: Callable[[Pair, ConnectionRequest], None] | None = None,
        start: int = 1_000_000,
        skew_ppm: int = 0,
    ) -> None:
        self.random = random.Random(seed)
        self.now = start
        self.links = {CALLER: forth or Link(), LISTENER: back or Link()}
        self.options = {CALLER: caller or SrtOptions(), LISTENER: listener or SrtOptions()}
        self.sockets = {
            CALLER: Multiplexer(entropy=self.random.randbytes),
            LISTENER: Multiplexer(entropy=self.random.randbytes),
        }
        self.notices: dict[Address, list[Notice]] = {CALLER: [], LISTENER: []}
        self.connections: dict[Address, Connection] = {}
        self.refused: RefusedError | None = None
        self.delivered: dict[Address, list[tuple[int, bytes]]] = {CALLER: [], LISTENER: []}
        self.messages: dict[Address, list[Message]] = {CALLER: [], LISTENER: []}
        self.lateness: list[int] = []
        self.wire: list[tuple[int, Address, bytes]] = []
        self._decide = decide
        self._skew_ppm = skew_ppm
        self._heap: list[tuple[int, int, Any]] = []
        self._order = 0
        self.listener.listen(self.options[LISTENER], now=self.clock(LISTENER))

    @property
    def caller(self) -> Multiplexer:
        return self.sockets[CALLER]

    @property
    def listener(self) -> Multiplexer:
        return self.sockets[LISTENER]

    def clock(self, side: Address) -> int:
        """The caller's clock runs fast by ``skew_ppm``."""
        return self.now + (self.now * self._skew_ppm // 1_000_000 if side == CALLER else 0)

    def at(self, moment: int, action: Callable[[], object]) -> None:
        self._order += 1
        heapq.heappush(self._heap, (moment, self._order, action))

    def call(self) -> int:
        socket_id = self.caller.call(LISTENER, self.options[CALLER], now=self.clock(CALLER))
        self.drain(CALLER)
        return socket_id

    def meet(self, *, late: int = 0) -> None:
        """Both call each other, the listener *late* microseconds after the caller."""
        for side, other, wait in ((CALLER, LISTENER, 0), (LISTENER, CALLER, late)):
            self.at(self.now + wait, partial(self._meet, side, other))

    def _meet(self, side: Address, other: Address) -> None:
        self.sockets[side].meet(other, self.options[side], now=self.clock(side))
        self.drain(side)

    def connect(self) -> tuple[Connection, Connection]:
        """Call, and run until both sides are connected."""
        self.call()
        self.run(for_=3 * SECOND, until=lambda: len(self.connections) == 2 or self.refused is not None)
        assert self.refused is None, self.refused
        return self.connections[CALLER], self.connections[LISTENER]

    def send(self, payloads: Sequence[Buffer], side: Address = CALLER) -> int:
        taken = self.connections[side].send(payloads, now=self.clock(side))
        self.touch(side)
        return taken

    def touch(self, side: Address) -> None:
        self.sockets[side].touch(self.connections[side], now=self.clock(side))
        self.drain(side)

    def run(self, *, for_: int, until: Callable[[], bool] | None = None) -> None:
        """Let time pass, event by event."""
        end = self.now + for_
        while until is None or not until():
            moments = [end]
            if self._heap:
                moments.append(self._heap[0][0])
            for side, core in self.sockets.items():
                due = core.next_timeout()
                if due is not None:
                    moments.append(self._real(side, due))
            self.now = max(self.now, min(moments))
            if self.now >= end:
                return
            while self._heap and self._heap[0][0] <= self.now:
                heapq.heappop(self._heap)[2]()
            for side, core in self.sockets.items():
                due = core.next_timeout()
                if due is not None and due <= self.clock(side):
                    core.handle_timeout(now=self.clock(side))
                    self.drain(side)
                    due = core.next_timeout()
                    assert due is None or due > self.clock(side), (
                        "what is due is done, or the driver would spin"
                    )

    def _real(self, side: Address, moment: int) -> int:
        if side != CALLER or not self._skew_ppm:
            return moment
        real = moment * 1_000_000 // (1_000_000 + self._skew_ppm)
        while real + real * self._skew_ppm // 1_000_000 < moment:
            real += 1
        return real

    def drain(self, side: Address) -> None:
        core = self.sockets[side]
        for notice in core.poll_events():
            self.notices[side].append(notice)
            self._notice(side, notice)
        for run in core.poll_transmits():
            self.transmit(side, run)

    def transmit(self, source: Address, run: Run) -> None:
        link = self.links[source]
        for datagram in run.datagrams:
            packet = bytes(datagram)
            self.wire.append((self.now, source, packet))
            if link.drop is not None and link.drop(packet, self.now):
                continue
            if self.random.random() < link.loss:
                continue
            for _ in range(2 if self.random.random() < link.duplicate else 1):
                delay = link.delay + (self.random.randrange(link.jitter) if link.jitter else 0)
                self.at(self.now + delay, partial(self.arrive, source, run.peer, packet))

    def arrive(self, source: Address, target: Address, packet: bytes) -> None:
        if target in self.sockets:
            self.sockets[target].handle_datagrams([Run(source, [memoryview(packet)])], now=self.clock(target))
            self.drain(target)

    def _notice(self, side: Address, notice: Notice) -> None:
        what = notice.what
        if isinstance(what, Connection):
            self.connections[side] = what
        elif isinstance(what, RefusedError):
            self.refused = what
        elif isinstance(what, ConnectionRequest):
            if self._decide is not None:
                self._decide(self, what)
            else:
                self.listener.accept(what, self.options[LISTENER], now=self.clock(LISTENER))
            self.drain(LISTENER)
        elif what is Signal.READABLE:
            self._read(side)

    def _read(self, side: Address) -> None:
        connection = self.connections[side]
        now = self.clock(side)
        if connection.agreement.has_long_messages:
            while messages := connection.take_messages(now=now, limit=64):
                self.messages[side] += messages
            self.touch(side)
            return
        while taken := connection.take(now=now, limit=64):
            for play_at, position, _, payload in taken:
                assert play_at <= now
                self.lateness.append(now - play_at)
                self.delivered[side].append((position, bytes(payload)))
        self.touch(side)

    def events(self, side: Address, kind: type) -> list[Any]:
        return [notice.what for notice in self.notices[side] if isinstance(notice.what, kind)]
