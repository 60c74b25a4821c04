"""A nursery whose exceptions a user can read.

Inside a session several tasks may fall over one cause, and trio, rightly, wraps whatever leaves a nursery in a
group. Whoever uses a stream wants the cause: ``except PeerTimedOut`` has to work around ``async with``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import trio

__all__ = ["open_session_nursery"]


@asynccontextmanager
async def open_session_nursery() -> AsyncIterator[trio.Nursery]:
    """A nursery that is cancelled when its block ends, and raises one plain exception where one happened.

    An exception that the block itself raised wins; otherwise the first one that a task raised. The others become
    notes on it.
    """
    from_block: BaseException | None = None
    try:
        async with trio.open_nursery() as nursery:
            try:
                yield nursery
            except BaseException as exc:
                from_block = exc
                raise
            finally:
                nursery.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        raise _chosen(group, from_block) from None


def _chosen(group: BaseExceptionGroup[BaseException], from_block: BaseException | None) -> BaseException:
    causes = _causes(group)
    if not causes:
        # All of it is the cancellation of a scope around us, which any one of them carries outward.
        return next(_leaves(group))
    chosen = from_block if from_block is not None and _causes(from_block) else causes[0]
    shown = _causes(chosen)
    for cause in causes:
        if cause not in shown:
            chosen.add_note(f"also: {type(cause).__name__}: {cause}")
    return chosen


def _causes(exc: BaseException) -> list[BaseException]:
    return [leaf for leaf in _leaves(exc) if not isinstance(leaf, trio.Cancelled)]


def _leaves(exc: BaseException) -> Iterator[BaseException]:
    if isinstance(exc, BaseExceptionGroup):
        for inner in exc.exceptions:
            yield from _leaves(inner)
    else:
        yield exc
