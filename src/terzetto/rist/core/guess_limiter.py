"""How often strangers may try passwords, over all logins of one listener.

Each failure counts against its host and is forgiven after ten seconds; a host with five on its account is not
answered. Somebody who mistypes gets on with it, somebody who guesses gets six a minute from one address. Computing
the server's side costs milliseconds, so that is rationed over all hosts as well.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from terzetto.primitives.time import MICROS_PER_SECOND, Micros
from terzetto.primitives.token_bucket import TokenBucket

__all__ = ["GuessLimiter"]

_FAILURES_AT_ONCE: Final = 5
_FAILURE_FORGIVEN_AFTER: Final[Micros] = 10 * MICROS_PER_SECOND
_HOSTS: Final = 1024
_LOGINS_PER_SECOND: Final = 20
_LOGINS_AT_ONCE: Final = 40


class _Host:
    __slots__ = ("failures", "since")

    def __init__(self, now: Micros) -> None:
        self.failures = 0
        self.since = now


class GuessLimiter:
    """Shared by all authenticators of a listener."""

    def __init__(self, *, now: Micros) -> None:
        self._hosts: OrderedDict[str, _Host] = OrderedDict()
        self._logins = TokenBucket(_LOGINS_PER_SECOND, _LOGINS_AT_ONCE, now=now)

    def may_try(self, host: str, *, now: Micros) -> bool:
        """Whether *host* has failed seldom enough to be answered."""
        known = self._hosts.get(host)
        if known is None:
            return True
        self._forgive(known, now)
        return known.failures < _FAILURES_AT_ONCE

    def may_compute(self, *, now: Micros) -> bool:
        """Whether one more login may be computed now."""
        return self._logins.take(1, now)

    def failed(self, host: str, *, now: Micros) -> None:
        """A login from *host* failed."""
        known = self._hosts.setdefault(host, _Host(now))
        self._forgive(known, now)
        known.failures += 1
        self._hosts.move_to_end(host)
        if len(self._hosts) > _HOSTS:
            self._hosts.popitem(last=False)

    def forgive(self, host: str, failures: int) -> None:
        """That many failures of *host* turned out to be no guesses: the same user got in after them."""
        known = self._hosts.get(host)
        if known is not None:
            known.failures = max(0, known.failures - failures)

    @staticmethod
    def _forgive(known: _Host, now: Micros) -> None:
        forgiven = (now - known.since) // _FAILURE_FORGIVEN_AFTER
        if forgiven > 0:
            known.failures = max(0, known.failures - forgiven)
            known.since += forgiven * _FAILURE_FORGIVEN_AFTER
