"""A brake on guessing passwords: each failure from a host makes the next answer to it come later."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from terzetto.primitives.time import MICROS_PER_MILLI, MICROS_PER_SECOND, Micros

__all__ = ["GuessBrake"]

_FIRST_DELAY: Final = 250 * MICROS_PER_MILLI
_LONGEST_DELAY: Final = 8 * MICROS_PER_SECOND
_FORGET_AFTER: Final = 300 * MICROS_PER_SECOND
_MAX_HOSTS: Final = 4096


class GuessBrake:
    """Remembers failures by host, for a while, and for so many hosts only."""

    def __init__(self) -> None:
        self._failures: OrderedDict[str, tuple[int, Micros]] = OrderedDict()

    def failed(self, host: str, *, now: Micros) -> Micros:
        """A wrong password came from *host*; how long to hold the answer back."""
        count, last = self._failures.pop(host, (0, now))
        if now - last > _FORGET_AFTER:
            count = 0
        count += 1
        self._failures[host] = (count, now)
        while len(self._failures) > _MAX_HOSTS:
            self._failures.popitem(last=False)
        return min(_LONGEST_DELAY, _FIRST_DELAY << min(count - 1, 10))

    def succeeded(self, host: str) -> None:
        """The right password came from *host*."""
        self._failures.pop(host, None)
