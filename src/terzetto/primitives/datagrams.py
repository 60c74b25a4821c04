"""The values that pass between a core and the network: addresses, and runs of datagrams.

The unit is a *run*, several datagrams of one peer that arrived or leave together, because per-packet calls,
not protocol arithmetic, are what costs in Python: one run is one system call and one call into a core.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

__all__ = ["Address", "Buffer", "EntropySource", "Run"]

Buffer: TypeAlias = bytes | memoryview
"""Bytes that never change once handed over, so that whoever holds them need not copy."""

EntropySource: TypeAlias = Callable[[int], bytes]
"""Gives that many random bytes; handed to cores, which own no randomness, so that runs can be replayed."""


class Address(NamedTuple):
    """Where a datagram came from or goes to: a numeric host and a port.

    IPv6 hosts carry their zone, where they have one, as ``fe80::1%eth0``.
    """

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_ipv6(self) -> bool:
        """Whether this is an IPv6 address."""
        return ":" in self.host


class Run(NamedTuple):
    """Consecutive datagrams between us and one peer, oldest first.

    ``path`` says by which of a session's endpoints the run came or must leave (0 where there is only one).
    ``local`` is our own address that the peer addressed, where the endpoint knows it: an answer that carries it
    leaves from there, which matters on hosts with several addresses.
    """

    peer: Address
    datagrams: Sequence[Buffer]
    path: int = 0
    local: str | None = None
