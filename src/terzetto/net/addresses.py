"""Between `Address` and the two forms that sockets speak: Python's tuples and the kernel's ``sockaddr``.

One peer sends all the packets, so each translation is made once and remembered; the memories are bounded,
since strangers choose what fills them.
"""

from __future__ import annotations

import socket
import struct
import sys
from functools import lru_cache
from typing import Final, TypeAlias

from terzetto.errors import InvalidOption
from terzetto.net.endpoint import Address

__all__ = [
    "SockAddr",
    "address_of",
    "address_of_raw",
    "forget_zones",
    "is_multicast",
    "raw_of",
    "sockaddr_of",
    "split_zone",
    "unmapped",
    "zoned",
]

SockAddr: TypeAlias = tuple[str, int] | tuple[str, int, int, int]
"""What the methods of Python's sockets take and return."""

# A listener with more flows than this translates some addresses anew, and that is all that happens.
_REMEMBERED: Final = 4096

_MAPPED_PREFIX: Final = bytes(10) + b"\xff\xff"
_PORT: Final = struct.Struct("!H")
_SCOPE: Final = struct.Struct("=I")


def split_zone(host: str) -> tuple[str, int]:
    """*host* without its zone, and the zone's interface index (0 where there is none).

    Raises `InvalidOption` when no interface has that name.
    """
    bare, percent, zone = host.partition("%")
    if not percent:
        return host, 0
    if zone.isdigit():
        return bare, int(zone)
    try:
        return bare, socket.if_nametoindex(zone)
    except OSError:
        raise InvalidOption(f"zone {zone!r} of {host!r} is not an interface of this machine") from None


def zoned(host: str, index: int) -> str:
    """*host* with the zone that *index* stands for, by name where the interface still exists."""
    if not index:
        return host
    try:
        return f"{host}%{socket.if_indextoname(index)}"
    except OSError:
        return f"{host}%{index}"


def is_multicast(host: str) -> bool:
    """Whether *host* (numeric) is a multicast group."""
    if ":" in host:
        return host[:2].lower() == "ff"
    first, _, _ = host.partition(".")
    return first.isdigit() and 224 <= int(first) <= 239


def unmapped(packed: bytes) -> str:
    """The text of a packed address; IPv4 that a socket of both families shows as IPv6 is IPv4 again."""
    if len(packed) == 16:
        if packed[:12] == _MAPPED_PREFIX:
            return socket.inet_ntop(socket.AF_INET, packed[12:])
        return socket.inet_ntop(socket.AF_INET6, packed)
    return socket.inet_ntop(socket.AF_INET, packed)


@lru_cache(maxsize=_REMEMBERED)
def sockaddr_of(address: Address, family: int) -> SockAddr:
    """*address* as a socket of *family* takes it.

    Names are refused rather than looked up: Python would resolve them here, and stop every task meanwhile.
    """
    host, scope = split_zone(address.host)
    try:
        if ":" in host:
            socket.inet_pton(socket.AF_INET6, host)
        else:
            socket.inet_pton(socket.AF_INET, host)
    except OSError:
        raise InvalidOption(
            f"{address.host!r} is not a numeric address", hint="resolve the name first"
        ) from None
    if not 0 <= address.port <= 65535:
        raise InvalidOption(f"port {address.port} is not within 0..65535")
    if family == socket.AF_INET:
        if ":" in host:
            raise InvalidOption(f"{address} is IPv6, and this endpoint speaks IPv4 only")
        return (host, address.port)
    if ":" not in host:
        host = f"::ffff:{host}"
    return (host, address.port, 0, scope)


@lru_cache(maxsize=_REMEMBERED)
def address_of(sockaddr: SockAddr) -> Address:
    """What one of Python's address tuples means."""
    host, port = sockaddr[0], sockaddr[1]
    if len(sockaddr) == 2:
        return Address(host, port)
    bare = host.partition("%")[0]
    text = unmapped(socket.inet_pton(socket.AF_INET6, bare))
    return Address(zoned(text, sockaddr[3]), port)


@lru_cache(maxsize=_REMEMBERED)
def address_of_raw(raw: bytes, family: int) -> Address:
    """What a kernel's ``sockaddr_in`` or ``sockaddr_in6`` means."""
    (port,) = _PORT.unpack_from(raw, 2)
    if family == socket.AF_INET:
        return Address(socket.inet_ntop(socket.AF_INET, raw[4:8]), port)
    (scope,) = _SCOPE.unpack_from(raw, 24)
    return Address(zoned(unmapped(raw[8:24]), scope), port)


@lru_cache(maxsize=_REMEMBERED)
def raw_of(sockaddr: SockAddr, family: int) -> bytes:
    """*sockaddr* as Linux lays it out in memory."""
    head = family.to_bytes(2, sys.byteorder) + _PORT.pack(sockaddr[1])
    if len(sockaddr) == 2:
        return head + socket.inet_pton(socket.AF_INET, sockaddr[0]) + bytes(8)
    return head + bytes(4) + socket.inet_pton(socket.AF_INET6, sockaddr[0]) + _SCOPE.pack(sockaddr[3])


def forget_zones() -> None:
    """Look interfaces up anew: one that went away and came back has a new index."""
    for memory in (sockaddr_of, address_of, address_of_raw, raw_of):
        memory.cache_clear()
