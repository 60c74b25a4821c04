"""Numeric addresses as the simulated network compares them: one spelling each, zones left off."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_address

__all__ = ["canonical", "is_group", "is_loopback", "is_numeric"]


@lru_cache(maxsize=4096)
def canonical(host: str) -> str:
    """The one spelling of *host*; ValueError when it is not a numeric address."""
    return str(ip_address(host.partition("%")[0]))


def is_numeric(host: str) -> bool:
    """Whether *host* is an address rather than a name."""
    try:
        canonical(host)
    except ValueError:
        return False
    return True


@lru_cache(maxsize=4096)
def is_group(host: str) -> bool:
    """Whether *host* is a multicast group."""
    return ip_address(host).is_multicast


@lru_cache(maxsize=4096)
def is_loopback(host: str) -> bool:
    """Whether *host* never leaves the machine."""
    return ip_address(host).is_loopback
