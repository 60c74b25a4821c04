"""Waits between the tries at one target, and says so each time: the policy of every protocol, at work."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import trio

from terzetto.driver.clock import current_micros
from terzetto.primitives.datagrams import EntropySource
from terzetto.primitives.reconnection import (
    ReconnectGivenUp,
    Reconnection,
    ReconnectScheduled,
    RetrySchedule,
)
from terzetto.primitives.time import seconds

__all__ = ["ReconnectEvent", "Reconnector"]

ReconnectEvent: TypeAlias = ReconnectScheduled | ReconnectGivenUp


class Reconnector:
    """The tries at *target*; *tell* hears of each that follows, and of giving up.

    Without a policy nothing is tried again, and there is nothing to tell.
    """

    def __init__(
        self,
        policy: Reconnection | None,
        target: str,
        *,
        entropy: EntropySource,
        tell: Callable[[ReconnectEvent], None],
    ) -> None:
        self._policy = policy
        self._target = target
        self._tell = tell
        self._schedule = None if policy is None else RetrySchedule(policy, entropy=entropy)

    def succeeded(self) -> None:
        """A try succeeded: the next failure is the first one again."""
        if self._schedule is not None:
            self._schedule.succeeded()

    def lasted(self, time: float) -> None:
        """What a try made was there for *time* seconds; a success, if it was longer than we ever wait."""
        if self._policy is not None and time > self._policy.longest:
            self.succeeded()

    async def wait(self, reason: str) -> bool:
        """A try failed, or what it made is gone: wait for the next one; False if there is none."""
        schedule = self._schedule
        if schedule is None:
            return False
        delay = schedule.failed(now=current_micros())
        if delay is None:
            self._tell(ReconnectGivenUp(self._target, schedule.failures, reason))
            return False
        self._tell(ReconnectScheduled(self._target, schedule.failures, seconds(delay), reason))
        await trio.sleep(seconds(delay))
        return True
