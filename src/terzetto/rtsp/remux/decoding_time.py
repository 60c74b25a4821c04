"""When each picture is to be decoded, from when it is shown and how far the two orders differ.

With a reorder depth of *d*, all pictures shown before the n-th that is decoded are decoded by the time that the
(n + d)-th is. So the n-th is decoded when the (n - d)-th, counted in the order of showing, is shown: that never
decreases, is never later than the picture itself, and needs no waiting.
"""

from __future__ import annotations

from bisect import insort
from typing import Final

__all__ = ["DecodingTimes"]

# As long as a picture lasts at 25 a second; only the few pictures before the first ones are known need it.
_STEP: Final = 3600
_DEEPEST: Final = 16


class DecodingTimes:
    """Ticks of 90 kHz in, in the order of decoding; ticks of decoding out."""

    def __init__(self) -> None:
        self.depth = 0
        """Pictures by which the orders differ; may be set anew at any key picture."""
        self._shown: list[int] = []
        self._last: int | None = None

    def next(self, shown_at: int) -> int | None:
        """When to decode the picture that is shown then; None where that cannot be in time any more."""
        insort(self._shown, shown_at)
        excess = len(self._shown) - 1 - self.depth
        if excess > 0:
            del self._shown[:excess]
        moment = self._shown[0] if excess >= 0 else self._shown[0] + excess * _STEP
        if self._last is not None:
            moment = max(moment, self._last + 1)
        if moment > shown_at:
            # Nobody said how far the orders differ, or it was not true: a picture or two are given up to find out.
            self.depth = min(self.depth + 1, _DEEPEST)
            return None
        self._last = moment
        return moment
