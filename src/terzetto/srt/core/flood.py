"""How many connection attempts one corner of the network may make.

An attempt with a good cookie comes from where it says, and costs us key derivation; whoever makes too many of
them waits, and the rest of the world does not.
"""

from __future__ import annotations

import ipaddress
from typing import Final

from terzetto.primitives.time import MICROS_PER_SECOND, Micros

__all__ = ["AttemptLimit"]

# Neighbours share a limit: an address is cheap, a network less so.
_PREFIX: Final = {4: 24, 6: 48}
_PER_SECOND: Final = 100
_BURST: Final = 200
_MOST_PREFIXES: Final = 1024


class AttemptLimit:
    """A bucket of attempts for each prefix, bounded in number; the least recently used is forgotten."""

    __slots__ = ("_buckets",)

    def __init__(self) -> None:
        self._buckets: dict[str, tuple[float, Micros]] = {}

    def allows(self, host: str, *, now: Micros) -> bool:
        """Whether an attempt from *host* may be looked at."""
        prefix = _prefix_of(host)
        tokens, at = self._buckets.pop(prefix, (float(_BURST), now))
        tokens = min(_BURST, tokens + _PER_SECOND * (now - at) / MICROS_PER_SECOND)
        is_allowed = tokens >= 1
        self._buckets[prefix] = (tokens - 1 if is_allowed else tokens, now)
        if len(self._buckets) > _MOST_PREFIXES:
            del self._buckets[next(iter(self._buckets))]
        return is_allowed


def _prefix_of(host: str) -> str:
    address = ipaddress.ip_address(host.partition("%")[0])
    network = ipaddress.ip_network((address, _PREFIX[address.version]), strict=False)
    return str(network.network_address)
