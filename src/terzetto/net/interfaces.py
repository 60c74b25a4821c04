"""Which network interfaces there are, and which one a name or an address means."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import attrs

from terzetto.errors import InvalidOption
from terzetto.net.linux import IS_LINUX

__all__ = ["Interface", "interface_index", "list_interfaces"]

_SIOCGIFCONF: Final = 0x8912
_SIOCGIFFLAGS: Final = 0x8913
_IFF_UP: Final = 0x1
_IFF_LOOPBACK: Final = 0x8
_IFF_MULTICAST: Final = 0x1000
_IFREQ_SIZE: Final = struct.calcsize("@16s24s") if struct.calcsize("@P") == 8 else struct.calcsize("@16s16s")


@attrs.frozen(kw_only=True)
class Interface:
    """A network interface of this machine."""

    name: str
    index: int
    addresses: tuple[str, ...] = ()
    """As they are bound: link-local ones with their zone."""
    is_up: bool | None = None
    """None where the system does not tell, here and below."""
    is_loopback: bool | None = None
    has_multicast: bool | None = None


def list_interfaces() -> list[Interface]:
    """The interfaces of this machine; addresses and abilities are known on Linux."""
    found: dict[str, list[str]] = {name: [] for _, name in socket.if_nameindex()}
    if not IS_LINUX:
        return [Interface(name=name, index=socket.if_nametoindex(name)) for name in found]
    with suppress(OSError):
        for name, packed in _ipv4_addresses():
            found.setdefault(name, []).append(socket.inet_ntop(socket.AF_INET, packed))
    with suppress(OSError):  # a kernel without IPv6 has no such file
        for name, packed, is_link_local in _ipv6_addresses():
            address = socket.inet_ntop(socket.AF_INET6, packed)
            found.setdefault(name, []).append(f"{address}%{name}" if is_link_local else address)
    interfaces = []
    for name, addresses in found.items():
        try:
            flags, index = _flags(name), socket.if_nametoindex(name)
        except OSError:
            continue  # it has gone since we asked
        interfaces.append(
            Interface(
                name=name,
                index=index,
                addresses=tuple(addresses),
                is_up=bool(flags & _IFF_UP),
                is_loopback=bool(flags & _IFF_LOOPBACK),
                has_multicast=bool(flags & _IFF_MULTICAST),
            )
        )
    return interfaces


def interface_index(name_or_address: str) -> int:
    """The kernel's number of the interface; raises `InvalidOption` when there is none.

    Names work everywhere, addresses on Linux.
    """
    try:
        return socket.if_nametoindex(name_or_address)
    except OSError:
        pass
    name = _owner(name_or_address.partition("%")[0]) if IS_LINUX else None
    if name is None:
        known = ", ".join(sorted(name for _, name in socket.if_nameindex()))
        raise InvalidOption(
            f"interface {name_or_address!r} is neither the name nor an address of one on this machine",
            hint=f"it has {known}",
        )
    return socket.if_nametoindex(name)


def _owner(host: str) -> str | None:
    """The name of the interface that has the address *host*."""
    try:
        return _owner_ipv4(socket.inet_pton(socket.AF_INET, host))
    except OSError:
        pass
    try:
        return _owner_ipv6(socket.inet_pton(socket.AF_INET6, host))
    except OSError:
        return None


def _owner_ipv4(packed: bytes) -> str | None:
    return next((name for name, address in _ipv4_addresses() if address == packed), None)


def _owner_ipv6(packed: bytes) -> str | None:
    return next((name for name, address, _ in _ipv6_addresses() if address == packed), None)


def _ipv4_addresses() -> Iterator[tuple[str, bytes]]:
    """Name of the interface and packed address, for each IPv4 address of this (Linux) machine."""
    import array
    import fcntl  # absent from Windows, which never comes here

    room = array.array("B", bytes(_IFREQ_SIZE * 256))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        request = bytearray(struct.pack("@iP", len(room), room.buffer_info()[0]))
        fcntl.ioctl(sock.fileno(), _SIOCGIFCONF, request)
    (used,) = struct.unpack_from("@i", request)
    table = room.tobytes()[:used]
    for at in range(0, used, _IFREQ_SIZE):
        # An alias is listed as eth0:1, which is a label and no interface of its own.
        name = table[at : at + 16].split(b"\0", 1)[0].split(b":", 1)[0].decode()
        yield name, table[at + 20 : at + 24]


def _ipv6_addresses() -> Iterator[tuple[str, bytes, bool]]:
    """Name of the interface, packed address, and whether it is link-local, for each IPv6 address."""
    # This thread's view: one may have moved into a network namespace of its own.
    for line in Path("/proc/thread-self/net/if_inet6").read_text(encoding="ascii").splitlines():
        address, _, _, scope, _, name = line.split()
        yield name, bytes.fromhex(address), scope == "20"


def _flags(name: str) -> int:
    import fcntl

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        answer = fcntl.ioctl(sock.fileno(), _SIOCGIFFLAGS, struct.pack("@16s24x", name.encode()))
    (flags,) = struct.unpack_from("@H", answer, 16)
    return int(flags)
