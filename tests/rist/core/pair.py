"""Two cores play against each other: no network, no tasks, a clock that jumps to the next thing that happens."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable

from terzetto.primitives.datagrams import Address, Buffer, Run
from terzetto.primitives.time import Micros
from terzetto.rist.core.receiver import Receiver
from terzetto.rist.core.sender import Sender
from terzetto.rist.core.settings import Settings
from terzetto.rist.core.simple import SimpleTranslator
from terzetto.rist.events import PacketsReady, RistEvent, RistPacket
from terzetto.rist.options import RistKnobs, RistOptions

SENDER = Address("192.0.2.1", 6000)
RECEIVER = Address("192.0.2.2", 5000)

DropRule = Callable[[int, Buffer], bool]


def entropy(start: int) -> Callable[[int], bytes]:
    """Bytes that are different each time and the same in each run."""
    counter = itertools.count(start)
    return lambda size: next(counter).to_bytes(size, "big")


class Pair:
    """A calling sender and a listening receiver, *delay* apart; *drop* decides over each media datagram."""

    def __init__(
        self,
        *,
        delay: Micros = 10_000,
        drop: DropRule | None = None,
        drop_feedback: DropRule | None = None,
        wall_clock_offset: Micros = 1_700_000_000_000_000,
        flow_id: int = 0x1234_5678,
        **knobs: object,
    ) -> None:
        self.now: Micros = 0
        self.delay = delay
        self.drop = drop
        self.drop_feedback = drop_feedback
        self.wall_clock_offset = wall_clock_offset
        knobs.setdefault("tick", 0.0)  # a core alone has no reader that ticks
        options = RistOptions(**knobs)  # type: ignore[arg-type]
        self.settings = Settings.of(options)
        self.options = options
        self.sender = self.make_sender(flow_id)
        self.receiver = Receiver(
            self.translator(),
            self.settings,
            now=0,
            wall_clock_offset=wall_clock_offset,
            entropy=entropy(1000),
        )
        self.sender_address = SENDER
        self.receiver_address = RECEIVER
        self.delivered: list[RistPacket] = []
        self.delivered_at: list[Micros] = []
        self.events: list[RistEvent] = []
        self.sender_events: list[RistEvent] = []
        self._flying: list[tuple[Micros, int, str, Run]] = []
        self._order = itertools.count()
        self._media_count = itertools.count(1)
        self._feedback_count = itertools.count(1)

    def translator(self) -> SimpleTranslator:
        return SimpleTranslator(payload_type=self.options.rtp_ptype, nack_type=self.options.nack_type)

    def make_sender(self, flow_id: int) -> Sender:
        return Sender(
            self.translator(),
            self.settings,
            flow_id=flow_id,
            now=self.now,
            wall_clock_offset=self.wall_clock_offset,
            entropy=entropy(flow_id),
            remote=RECEIVER,
        )

    # -- the world -----------------------------------------------------------------------------------------------

    def drain(self) -> None:
        for run in self.sender.poll_transmits():
            self._carry("receiver", run, self.sender_address)
        for run in self.receiver.poll_transmits():
            self._carry("sender", run, self.receiver_address)
        self.sender_events += self.sender.poll_events()
        for event in self.receiver.poll_events():
            if isinstance(event, PacketsReady):
                self.delivered += event.packets
                self.delivered_at += [self.now] * len(event.packets)
            else:
                self.events.append(event)

    def _carry(self, to: str, run: Run, source: Address) -> None:
        peer = Address(source.host, source.port + run.path)
        for datagram in run.datagrams:
            rule, count = (
                (self.drop_feedback, self._feedback_count) if run.path else (self.drop, self._media_count)
            )
            if rule is not None and rule(next(count), datagram):
                continue
            flight = (self.now + self.delay, next(self._order), to, Run(peer, [datagram], run.path))
            heapq.heappush(self._flying, flight)

    def run_until(self, end: Micros) -> None:
        """Let everything happen that happens before *end*."""
        self.drain()
        while True:
            times = [end]
            if self._flying:
                times.append(self._flying[0][0])
            times += [
                due for due in (self.sender.next_timeout(), self.receiver.next_timeout()) if due is not None
            ]
            moment = max(self.now, min(times))
            if moment >= end:
                self.now = end
                return
            self.now = moment
            while self._flying and self._flying[0][0] <= self.now:
                _, _, to, run = heapq.heappop(self._flying)
                core = self.receiver if to == "receiver" else self.sender
                core.handle_datagrams([run], now=self.now)
                self.drain()
            for core in (self.sender, self.receiver):
                due = core.next_timeout()
                if due is not None and due <= self.now:
                    core.handle_timeout(now=self.now)
                    self.drain()

    def connect(self) -> None:
        """Let the handshake happen."""
        self.run_until(self.now + 300_000)
        assert self.sender.peer.is_connected

    def stream(self, count: int, *, interval: Micros = 1000, start: int = 0) -> list[bytes]:
        """Send *count* numbered payloads at a steady pace."""
        payloads = [number.to_bytes(4, "big") * 8 for number in range(start, start + count)]
        for payload in payloads:
            self.sender.send([payload], now=self.now)
            self.run_until(self.now + interval)
        return payloads


__all__ = ["RECEIVER", "SENDER", "Pair", "RistKnobs", "entropy"]
