"""The smallest core that is one: it beats, echoes, and says when its peer fell silent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from terzetto.primitives.datagrams import Address, Run
from terzetto.primitives.time import Micros

BEAT_EVERY: Micros = 1_000_000
PATIENCE: Micros = 5_000_000


class Heard(NamedTuple):
    at: Micros
    what: bytes
    path: int


class Silence(NamedTuple):
    at: Micros


class Heartbeat:
    """Sends a beat a second to *peer*; echoes what begins with ``?``; falls over ``!`` (a bug, on purpose)."""

    def __init__(self, peer: Address, *, now: Micros, beats: bool = True) -> None:
        self.peer = peer
        self.next_beat: Micros | None = now if beats else None
        self.silent_at: Micros | None = None
        self.timeouts = 0
        self._transmits: list[Run] = []
        self._events: list[Heard | Silence] = []

    def handle_datagrams(self, runs: Sequence[Run], *, now: Micros) -> None:
        for run in runs:
            for datagram in run.datagrams:
                what = bytes(datagram)
                if what == b"!":
                    raise ZeroDivisionError("a bug in the core")
                if what[:1] == b"?":
                    self._transmits.append(run._replace(datagrams=[b"=" + what[1:]]))
                self._events.append(Heard(now, what, run.path))
        self.silent_at = now + PATIENCE

    def handle_timeout(self, *, now: Micros) -> None:
        self.timeouts += 1
        if self.next_beat is not None and now >= self.next_beat:
            self._transmits.append(Run(self.peer, [b"beat"]))
            self.next_beat += BEAT_EVERY
        if self.silent_at is not None and now >= self.silent_at:
            self.silent_at = None
            self._events.append(Silence(now))

    def send(self, datagrams: Sequence[bytes], *, path: int = 0) -> None:
        self._transmits.append(Run(self.peer, list(datagrams), path))

    def poll_transmits(self) -> list[Run]:
        transmits, self._transmits = self._transmits, []
        return transmits

    def poll_events(self) -> list[Heard | Silence]:
        events, self._events = self._events, []
        return events

    def next_timeout(self) -> Micros | None:
        return min((due for due in (self.next_beat, self.silent_at) if due is not None), default=None)
