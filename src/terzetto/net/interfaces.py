"""Which network interface a name or an address means."""

from __future__ import annotations

import socket
import struct
from pathlib import Path
from typing import Final

from terzetto.errors import InvalidOption
from terzetto.net.linux import IS_LINUX

__all__ = ["interface_index"]

_SIOCGIFCONF: Final = 0x8912
_IFREQ_SIZE: Final = struct.calcsize("@16s24s") if struct.calcsize("@P") == 8 else struct.calcsize("@16s16s")


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
    import array
    import fcntl  # absent from Windows, which never comes here

    room = array.array("B", bytes(_IFREQ_SIZE * 256))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        request = bytearray(struct.pack("@iP", len(room), room.buffer_info()[0]))
        fcntl.ioctl(sock.fileno(), _SIOCGIFCONF, request)
    (used,) = struct.unpack_from("@i", request)
    table = room.tobytes()[:used]
    for at in range(0, used, _IFREQ_SIZE):
        if table[at + 20 : at + 24] == packed:
            # An alias is listed as eth0:1, which is a label and no interface of its own.
            return table[at : at + 16].split(b"\0", 1)[0].split(b":", 1)[0].decode()
    return None


def _owner_ipv6(packed: bytes) -> str | None:
    # The thread's view, not the process's: a thread may live in a network namespace of its own.
    for line in Path("/proc/thread-self/net/if_inet6").read_text(encoding="ascii").splitlines():
        address, _, _, _, _, name = line.split()
        if bytes.fromhex(address) == packed:
            return name
    return None
