"""trio's clock as the cores count time."""

from __future__ import annotations

import trio

from terzetto.primitives.time import MICROS_PER_SECOND, Micros

__all__ = ["current_micros"]


def current_micros() -> Micros:
    """trio's current time in whole microseconds.

    Rounded, not cut off: a task that slept until a deadline must never read a time before it, or it would spin
    (under an autojump clock, for ever).
    """
    return round(trio.current_time() * MICROS_PER_SECOND)
