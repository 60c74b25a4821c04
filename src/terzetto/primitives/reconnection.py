"""When to try again after a connection failed, and when to stop: one policy for every protocol.

The wait grows by a factor from try to try, up to a longest; a part of it is left to chance, so that a thousand
callers of a server that restarted do not all come back in the same instant.
"""

from __future__ import annotations

from typing import Any, Final

import attrs

from terzetto.errors import InvalidOption
from terzetto.primitives.datagrams import EntropySource
from terzetto.primitives.time import Micros, micros

__all__ = ["ReconnectGivenUp", "ReconnectScheduled", "Reconnection", "RetrySchedule", "check_reconnection"]

_CHANCES: Final = 1 << 32


def _positive(_: object, field: attrs.Attribute[float], value: float) -> None:
    if not value > 0:
        raise InvalidOption(f"{field.name} is {value!r}; it must be more than 0")


@attrs.frozen(kw_only=True)
class Reconnection:
    """How often, and for how long, to try again.

    The first wait takes *initial* seconds, each further one *factor* times as long as the one before, none more
    than *longest*. *jitter* is the part of a wait that chance decides: 0.5 waits between half of it and all.
    """

    initial: float = attrs.field(default=0.5, validator=_positive)
    factor: float = attrs.field(default=2.0)
    longest: float = attrs.field(default=15.0, validator=_positive)
    jitter: float = attrs.field(default=0.5)
    most_attempts: int | None = attrs.field(default=None)
    """Give up after so many failures in a row; None never does."""
    give_up_after: float | None = attrs.field(default=None)
    """Give up this many seconds after the first of a row of failures; None never does."""

    def __attrs_post_init__(self) -> None:
        if not 1 <= self.factor <= 100:
            raise InvalidOption(f"factor is {self.factor!r}; it must be between 1 and 100")
        if not 0 <= self.jitter <= 1:
            raise InvalidOption(f"jitter is {self.jitter!r}; it must be between 0 and 1")
        if self.most_attempts is not None and self.most_attempts < 1:
            raise InvalidOption(f"most_attempts is {self.most_attempts!r}; it must be at least 1, or None")
        if self.give_up_after is not None and self.give_up_after < 0:
            raise InvalidOption(f"give_up_after is {self.give_up_after!r}; it must be at least 0, or None")


def check_reconnection(_: object, field: attrs.Attribute[Any], value: object) -> None:
    """Refuse what is no policy, as an attrs validator of an option."""
    if value is not None and not isinstance(value, Reconnection):
        raise InvalidOption(f"{field.name} is {value!r}, must be a Reconnection or None")


class RetrySchedule:
    """One target's tries under a policy."""

    def __init__(self, policy: Reconnection, *, entropy: EntropySource) -> None:
        self.failures = 0
        """In a row, without success between."""
        self._policy = policy
        self._entropy = entropy
        self._since: Micros | None = None

    def succeeded(self) -> None:
        """A try succeeded: the next failure is the first one again."""
        self.failures = 0
        self._since = None

    def failed(self, *, now: Micros) -> Micros | None:
        """A try failed, or what it made is gone: how long to wait for the next one, or None to give up."""
        policy = self._policy
        self.failures += 1
        if self._since is None:
            self._since = now
        if policy.most_attempts is not None and self.failures >= policy.most_attempts:
            return None
        # A bound for the float's sake: the longest wait is reached long before.
        growth = policy.factor ** min(self.failures - 1, 64)
        wait = min(policy.initial * growth, policy.longest)
        chance = int.from_bytes(self._entropy(4), "big") / _CHANCES
        delay = micros(wait * (1 - policy.jitter * chance))
        if policy.give_up_after is not None and now + delay - self._since > micros(policy.give_up_after):
            return None
        return delay


@attrs.frozen
class ReconnectScheduled:
    """A connection failed, and another try follows."""

    target: str
    attempt: int
    """How many failures in a row there have been."""
    delay: float
    """Seconds until the next try."""
    reason: str


@attrs.frozen
class ReconnectGivenUp:
    """The policy tries no more."""

    target: str
    attempts: int
    reason: str
