"""trio's task scheduling from a seed.

trio shuffles the tasks that are ready in each tick, on purpose, so that nobody relies on an order. A run that
should be repeated exactly needs that shuffle to come from a seed too; trio has switches for this, which its own tests
and hypothesis-trio use, but which are no public promise.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from random import Random

from terzetto.errors import UnsupportedOperation

__all__ = ["deterministic_scheduling"]


@contextmanager
def deterministic_scheduling(seed: int | str) -> Iterator[None]:
    """While this block runs, let trio order ready tasks by *seed* alone.

    Enter it before, or first thing inside, `trio.run`. Raises `UnsupportedOperation` when this version of trio has
    other switches than the ones we know.
    """
    from trio._core import _run as scheduler

    shuffle = getattr(scheduler, "_r", None)
    if not hasattr(scheduler, "_ALLOW_DETERMINISTIC_SCHEDULING") or not isinstance(shuffle, Random):
        raise UnsupportedOperation(
            "this version of trio cannot schedule deterministically",
            hint="runs are then the same on each link but not in the order of tasks; use trio 0.27 to 0.35",
        )
    state, allowed = shuffle.getstate(), scheduler._ALLOW_DETERMINISTIC_SCHEDULING
    shuffle.seed(f"{seed}/scheduling")
    scheduler._ALLOW_DETERMINISTIC_SCHEDULING = True  # type: ignore[misc]
    try:
        yield
    finally:
        shuffle.setstate(state)
        scheduler._ALLOW_DETERMINISTIC_SCHEDULING = allowed  # type: ignore[misc]
