"""Joining multicast groups, from anybody or from named sources, on a chosen interface."""

from __future__ import annotations

import errno
import socket
import struct
import sys
from contextlib import suppress
from typing import Final

from terzetto.errors import InvalidOption, NoRoute, UnsupportedOperation
from terzetto.net import linux
from terzetto.net.addresses import is_multicast, raw_of, sockaddr_of, split_zone
from terzetto.net.endpoint import Address, EndpointOptions
from terzetto.net.interfaces import interface_index
from terzetto.net.linux import IS_LINUX

__all__ = ["join_groups", "send_multicast_by"]

_INDEX: Final = struct.Struct("@I")
_MREQN: Final = struct.Struct("@4s4si")  # struct ip_mreqn: group, address, interface
_MREQ6: Final = struct.Struct("@16sI")  # struct ipv6_mreq: group, interface
_SOURCE_REQ: Final = struct.Struct("@I0N128s128s")  # struct group_source_req: interface, group, source

_WINDOWS_INDEX: Final = struct.Struct("!I")  # an address within 0.0.0.0/8 that means an interface

_ANY: Final = bytes(4)


def send_multicast_by(sock: socket.socket, interface: str) -> int:
    """Send multicast by *interface* (name or address); its index, or 0 where only the address is known."""
    index, address = _index_and_address(interface)
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, _INDEX.pack(index))
    if sock.family == socket.AF_INET:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, _mreqn(b"", index, address))
    return index


def join_groups(sock: socket.socket, options: EndpointOptions) -> None:
    """Join the groups of *options*, and the one that is bound where it is a group."""
    groups = list(options.groups)
    if is_multicast(options.local.host) and options.local.host not in groups:
        groups.append(options.local.host)
    _hear_own_groups_only(sock)
    if options.sources and not groups:
        raise InvalidOption("sources name whom to hear in a multicast group, and no group is given")
    for group in groups:
        bare, index = split_zone(group)
        if not is_multicast(bare):
            raise InvalidOption(
                f"{group!r} is not a multicast group", hint="they are 224.0.0.0/4 and ff00::/8"
            )
        if (":" in bare) != (sock.family == socket.AF_INET6):
            raise InvalidOption(f"group {group!r} is of another address family than the endpoint")
        address = _ANY
        if options.interface is not None:
            index, address = _index_and_address(options.interface)
        try:
            if options.sources:
                for source in options.sources:
                    _join_source(sock, bare, source, index, address)
            else:
                _join(sock, bare, index, address)
        except OSError as exc:
            raise _explained(exc, group) from exc


def _hear_own_groups_only(sock: socket.socket) -> None:
    """Not, as Linux would by default, those that any process of the machine has joined."""
    if not IS_LINUX:
        return
    with suppress(OSError):
        if sock.family == socket.AF_INET:
            sock.setsockopt(linux.SOL_IP, linux.IP_MULTICAST_ALL, 0)
        else:
            sock.setsockopt(linux.SOL_IPV6, linux.IPV6_MULTICAST_ALL, 0)


def _join(sock: socket.socket, group: str, index: int, address: bytes) -> None:
    if sock.family == socket.AF_INET6:
        packed = socket.inet_pton(socket.AF_INET6, group)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, _MREQ6.pack(packed, index))
        return
    packed = socket.inet_pton(socket.AF_INET, group)
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, _mreqn(packed, index, address))


def _mreqn(group: bytes, index: int, address: bytes) -> bytes:
    """*group* (or none) on an interface, as the IPv4 options of this platform want it."""
    if not index:
        return group + address
    if sys.platform == "win32":
        return group + _WINDOWS_INDEX.pack(index)
    return _MREQN.pack(group or _ANY, _ANY, index)


def _join_source(sock: socket.socket, group: str, source: str, index: int, address: bytes) -> None:
    if IS_LINUX:
        family = int(sock.family)
        request = _SOURCE_REQ.pack(
            index,
            raw_of(sockaddr_of(Address(group, 0), family), family),
            raw_of(sockaddr_of(Address(source, 0), family), family),
        )
        level = socket.IPPROTO_IP if sock.family == socket.AF_INET else socket.IPPROTO_IPV6
        sock.setsockopt(level, linux.MCAST_JOIN_SOURCE_GROUP, request)
        return
    option = getattr(socket, "IP_ADD_SOURCE_MEMBERSHIP", None)
    if option is None or sock.family != socket.AF_INET:
        raise UnsupportedOperation("source-specific multicast is not supported on this platform")
    # BSD, macOS and Windows agree on this order; Linux, above, has another.
    packed = [socket.inet_pton(socket.AF_INET, host) for host in (group, source)]
    sock.setsockopt(socket.IPPROTO_IP, option, packed[0] + packed[1] + address)


def _index_and_address(interface: str) -> tuple[int, bytes]:
    try:
        return interface_index(interface), _ANY
    except InvalidOption:
        if not IS_LINUX:
            with suppress(OSError):
                return 0, socket.inet_pton(socket.AF_INET, interface)
        raise


def _explained(exc: OSError, group: str) -> NoRoute:
    if exc.errno in (errno.ENODEV, errno.EADDRNOTAVAIL, errno.ENXIO):
        return NoRoute(
            f"no interface carries the multicast group {group}",
            hint="name one with the interface option, or add a route for multicast",
        )
    return NoRoute(f"cannot join the multicast group {group}: {exc.strerror}")
