"""How much may be said to an address before its owner has shown that it hears us.

Whoever listens answers who calls, and a caller's address is easily forged: an answer longer than the question would
be a weapon in the hands of whoever asks in another's name. So until the peer has answered something that only who
hears us can know, it is told no more bytes than came from its host. What a profile has to say for itself waits until
there is room, some of it; a report that does not fit is not said, since another one follows soon.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from terzetto.primitives.datagrams import Run

__all__ = ["Allowance"]

# What a datagram costs beside its payload; a forger pays it as well.
_HEADERS: Final = 28

# More hosts than one session looks at in earnest; a crowd pushes out the poorest.
_REMEMBERED_HOSTS: Final = 64

_ENOUGH: Final = 65_536

# A login is a word at a time; whatever waits longer than that was said again since.
_MOST_WAITING: Final = 8


class Allowance:
    """Bytes heard and not answered yet, by host."""

    def __init__(self) -> None:
        self._credit: dict[str, int] = {}
        self._waiting: list[Run] = []
        self.withheld = 0
        """Datagrams that were not said."""

    def hear(self, runs: Iterable[Run]) -> None:
        """*runs* came."""
        credit = self._credit
        for run in runs:
            host = run.peer.host
            had = credit.get(host)
            if had is None:
                if len(credit) >= _REMEMBERED_HOSTS:
                    del credit[min(credit, key=credit.__getitem__)]
                had = 0
            if had < _ENOUGH:
                credit[host] = had + sum(map(len, run.datagrams)) + _HEADERS * len(run.datagrams)

    def left(self, host: str) -> int:
        """How many bytes *host* may still be told, headers included."""
        return self._credit.get(host, 0)

    def within(self, control: Sequence[Run], transmits: Sequence[Run]) -> list[Run]:
        """What may be said of a profile's own words and, after these, of all others; it counts as said."""
        said: list[Run] = []
        waiting = self._waiting + [
            run._replace(datagrams=[datagram]) for run in control for datagram in run.datagrams
        ]
        self._waiting = []
        for run in waiting:
            if not self._say(run, said):
                self._waiting.append(run)
        self.withheld += len(self._waiting[:-_MOST_WAITING])
        del self._waiting[:-_MOST_WAITING]
        for run in transmits:
            if not self._say(run, said):
                self.withheld += len(run.datagrams)
        return said

    def release(self) -> list[Run]:
        """What waited, now that the peer may be told everything."""
        waiting, self._waiting = self._waiting, []
        return waiting

    def _say(self, run: Run, said: list[Run]) -> bool:
        cost = sum(map(len, run.datagrams)) + _HEADERS * len(run.datagrams)
        left = self._credit.get(run.peer.host, 0) - cost
        if left < 0:
            return False
        self._credit[run.peer.host] = left
        said.append(run)
        return True
