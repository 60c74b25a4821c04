"""Has the source begun to count anew?

A source that restarts under its old number (SSRC) begins with another sequence, often with another timestamp. Where
that looks like a jump ahead, it is followed as any jump is; where it looks like packets from the past, they would be
refused for ever. Two things give such a restart away: packets from behind whose time lies ahead, of which one may be
an accident and a few are proof; and, when the clock began anew as well, a long run of packets that are all refused,
one number after the other.
"""

from __future__ import annotations

from typing import Final

__all__ = ["RestartWatch"]

_AHEAD_IN_TIME: Final = 5
_REFUSED: Final = 100

# Numbers may be missing between two packets of the new beginning, but not many.
_LARGEST_STEP: Final = 1000


class RestartWatch:
    """Counts what is strange about packets from behind; `clear` when the flow advances."""

    __slots__ = ("_ahead_in_time", "_last_refused", "_mask", "_refused", "is_suspicious")

    def __init__(self, *, bits: int) -> None:
        self._mask = (1 << bits) - 1
        self.is_suspicious = False
        """Whether anything was noted since the last `clear`."""
        self._ahead_in_time = 0
        self._refused = 0
        self._last_refused = -1

    def clear(self) -> None:
        """The flow advances as it should."""
        self.is_suspicious = False
        self._ahead_in_time = self._refused = 0
        self._last_refused = -1

    def note_ahead_in_time(self) -> bool:
        """A packet from behind is younger than the newest; true when that is proof enough."""
        self.is_suspicious = True
        self._ahead_in_time += 1
        return self._ahead_in_time >= _AHEAD_IN_TIME

    def note_refused(self, sequence: int) -> bool:
        """A packet from behind was too late or a duplicate; true when it ends a run that only a restart explains.

        Copies of one packet are no run, however many the network makes.
        """
        step = (sequence - self._last_refused) & self._mask
        if self._last_refused < 0 or step > _LARGEST_STEP:
            self._refused = 0
        elif step == 0:
            return False
        self.is_suspicious = True
        self._last_refused = sequence
        self._refused += 1
        return self._refused >= _REFUSED
