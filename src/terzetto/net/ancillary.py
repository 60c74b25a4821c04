"""What travels beside a datagram: its segment size, the address it was sent to, what the kernel dropped."""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Iterable
from functools import lru_cache
from typing import Final, NamedTuple, TypeAlias

from terzetto.net import linux
from terzetto.net.addresses import is_multicast, split_zone, unmapped, zoned

__all__ = [
    "CONTROL_SIZE",
    "NO_CONTROL",
    "Control",
    "ControlMessage",
    "parse_control",
    "parse_control_raw",
    "raw_control",
    "source_control",
]

ControlMessage: TypeAlias = tuple[int, int, bytes]
"""Level, type and data, as `socket.socket.sendmsg` takes and `recvmsg` gives them."""

# Room for everything we ask for at once on a socket of two families, twice over.
CONTROL_SIZE: Final = 256

# macOS numbers them otherwise and Python tells; Python 3.11 on Linux does not.
IP_PKTINFO: Final = getattr(socket, "IP_PKTINFO", linux.IP_PKTINFO)
IPV6_PKTINFO: Final = getattr(socket, "IPV6_PKTINFO", linux.IPV6_PKTINFO)

_HEADER: Final = struct.Struct("@Nii")  # struct cmsghdr
_ALIGN: Final = struct.calcsize("@N")
_INDEX: Final = struct.Struct("=I")


class Control(NamedTuple):
    """The ancillary data of one received message."""

    local: str | None = None
    """Our address that the message was sent to."""
    segment: int = 0
    """Size of the datagrams that the kernel joined into this message; 0 when it is a single one."""
    dropped: int = 0
    """Datagrams the socket had no room for so far; 0 says nothing."""


NO_CONTROL: Final = Control()


def parse_control(messages: Iterable[ControlMessage]) -> Control:
    """Read the ancillary data of one message; what we did not ask for is passed over."""
    local: str | None = None
    segment = dropped = 0
    for level, kind, data in messages:
        if level == linux.SOL_UDP and kind == linux.UDP_GRO:
            segment = int.from_bytes(data[:4], sys.byteorder)
        elif level == linux.SOL_IP and kind == IP_PKTINFO and len(data) >= 12:
            # The middle field, not the last: for a multicast datagram the last one is the group, from which
            # nobody can answer, and the middle one is the address the kernel would answer from.
            local = unmapped(data[4:8])
        elif level == linux.SOL_IPV6 and kind == IPV6_PKTINFO and len(data) >= 20:
            local = _local_ipv6(data)
        elif level == socket.SOL_SOCKET and kind == linux.SO_RXQ_OVFL:
            dropped = int.from_bytes(data[:4], sys.byteorder)
    return Control(local, segment, dropped)


def _local_ipv6(data: bytes) -> str | None:
    host = unmapped(data[:16])
    if is_multicast(host):
        return None
    return zoned(host, _INDEX.unpack_from(data, 16)[0]) if host.startswith("fe80:") else host


# Keyed by the kernel's bytes. Not large: the counter of dropped datagrams makes new keys while a flood lasts.
@lru_cache(maxsize=512)
def parse_control_raw(raw: bytes) -> Control:
    """As `parse_control`, of a control buffer as the kernel leaves it."""
    messages: list[ControlMessage] = []
    at = 0
    while at + _HEADER.size <= len(raw):
        length, level, kind = _HEADER.unpack_from(raw, at)
        if length < _HEADER.size:
            break
        messages.append((level, kind, raw[at + _HEADER.size : at + length]))
        at += (length + _ALIGN - 1) // _ALIGN * _ALIGN
    return parse_control(messages)


@lru_cache(maxsize=512)
def source_control(local: str, family: int) -> tuple[ControlMessage, ...]:
    """The ancillary data that makes a datagram leave from *local*."""
    host, index = split_zone(local)
    if is_multicast(host):
        return ()
    if family == socket.AF_INET:
        packed = socket.inet_pton(socket.AF_INET, host)
        return ((linux.SOL_IP, IP_PKTINFO, _INDEX.pack(index) + packed + bytes(4)),)
    packed = socket.inet_pton(socket.AF_INET6, host if ":" in host else f"::ffff:{host}")
    return ((linux.SOL_IPV6, IPV6_PKTINFO, packed + _INDEX.pack(index)),)


def raw_control(messages: Iterable[ControlMessage]) -> bytes:
    """*messages* as the kernel wants a control buffer."""
    raw = b""
    for level, kind, data in messages:
        raw += _HEADER.pack(_HEADER.size + len(data), level, kind) + data
        raw += bytes(-len(raw) % _ALIGN)
    return raw
