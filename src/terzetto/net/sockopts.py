"""From `EndpointOptions` to a bound socket.

Everything that only some systems know is tried and, where it is a mere improvement, done without.
"""

from __future__ import annotations

import errno
import socket
import struct
import warnings
from contextlib import suppress
from typing import Final

from terzetto.errors import (
    AddressInUse,
    InvalidOption,
    NoRoute,
    PermissionRefused,
    UnsupportedOperation,
    WorldError,
)
from terzetto.net import linux
from terzetto.net.addresses import is_multicast, sockaddr_of, split_zone
from terzetto.net.ancillary import IP_PKTINFO
from terzetto.net.endpoint import EndpointOptions, SmallBufferWarning
from terzetto.net.linux import IS_LINUX
from terzetto.net.multicast import join_groups, send_multicast_by

__all__ = ["explained", "is_wildcard", "open_socket", "speaks_ipv4", "speaks_ipv6"]

_NETWORK_ORDER: Final = struct.Struct("!I")

_warned_of_small_buffers: Final[set[str]] = set()


def open_socket(options: EndpointOptions) -> socket.socket:
    """Open and bind a non-blocking socket as *options* say; failing, it leaves nothing open."""
    try:
        sock = _create(options)
    except WorldError:
        raise
    except OSError as exc:
        raise explained(exc, options) from exc
    try:
        sock.setblocking(False)
        _size_buffers(sock, options)
        _set_header_fields(sock, options)
        if options.reuse_port:
            _reuse_port(sock)
        if options.groups or is_multicast(options.local.host):
            # Several receivers of a group on one host are normal, and all of them are served.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _choose_interface(sock, options)
        _ask_for_reports(sock)
        _bind(sock, options)
        if is_wildcard(options):
            _ask_for_destinations(sock)
        join_groups(sock, options)
    except BaseException as exc:
        sock.close()
        if isinstance(exc, OSError) and not isinstance(exc, WorldError):
            raise explained(exc, options) from exc
        raise
    return sock


def is_wildcard(options: EndpointOptions) -> bool:
    """Whether *options* bind every address, so that a datagram has to tell which one it was sent to."""
    return options.local.host in ("", "0.0.0.0", "::")


def speaks_ipv4(sock: socket.socket) -> bool:
    """Whether *sock* sends and receives IPv4."""
    return sock.family == socket.AF_INET or not sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)


def speaks_ipv6(sock: socket.socket) -> bool:
    """Whether *sock* sends and receives IPv6."""
    return sock.family == socket.AF_INET6


def _create(options: EndpointOptions) -> socket.socket:
    host = options.local.host
    if options.family not in (0, 4, 6):
        raise InvalidOption(f"family is {options.family}, and must be 4, 6 or 0 for both")
    if host:
        sockaddr_of(options.local, socket.AF_INET6)  # numeric, or refused here
    family = (6 if ":" in host else 4) if host and host != "::" else options.family
    if host == "::" and family == 4:
        family = 6
    if family == 4:
        return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    except OSError as exc:
        if family == 0:
            return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        raise UnsupportedOperation(f"this machine has no IPv6 ({exc.strerror})") from exc
    try:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if family == 0 else 1)
    except OSError:
        sock.close()
        if family == 0:
            return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        raise
    return sock


def _size_buffers(sock: socket.socket, options: EndpointOptions) -> None:
    _size_buffer(sock, "receive", options.receive_buffer, socket.SO_RCVBUF, linux.SO_RCVBUFFORCE, "rmem_max")
    _size_buffer(sock, "send", options.send_buffer, socket.SO_SNDBUF, linux.SO_SNDBUFFORCE, "wmem_max")


def _size_buffer(sock: socket.socket, word: str, asked: int, option: int, force: int, sysctl: str) -> None:
    if IS_LINUX:
        with suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, force, asked)
            return  # granted by privilege, whatever the limit is
    with suppress(OSError):  # some systems refuse what is too much instead of granting what they can
        sock.setsockopt(socket.SOL_SOCKET, option, asked)
    granted = sock.getsockopt(socket.SOL_SOCKET, option)
    if IS_LINUX:
        granted //= 2  # the kernel counts its own bookkeeping in, and doubles what it is asked for
    if granted >= asked or word in _warned_of_small_buffers:
        return
    _warned_of_small_buffers.add(word)
    remedy = f"raise it with: sysctl -w net.core.{sysctl}={asked}" if IS_LINUX else "raise the system's limit"
    warnings.warn(
        f"the kernel grants a {word} buffer of {granted} bytes where {asked} were asked for, so bursts may "
        f"be lost inside this machine; {remedy}",
        SmallBufferWarning,
        stacklevel=2,
    )


def _set_header_fields(sock: socket.socket, options: EndpointOptions) -> None:
    for name, value in (("ttl", options.ttl), ("tos", options.tos)):
        if value is not None and not 0 <= value <= 255:
            raise InvalidOption(f"{name} is {value}, and must be within 0..255")
    if options.ttl == 0:
        raise InvalidOption("ttl is 0, and must be within 1..255")
    ipv4, ipv6 = speaks_ipv4(sock), speaks_ipv6(sock)
    if options.ttl is not None:
        if ipv4:
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, options.ttl)
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, options.ttl)
        if ipv6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, options.ttl)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, options.ttl)
    if options.tos is not None:
        if ipv4:
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, options.tos)
        if ipv6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, options.tos)
    if ipv4:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, int(options.multicast_loop))
    if ipv6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, int(options.multicast_loop))


def _reuse_port(sock: socket.socket) -> None:
    option = getattr(socket, "SO_REUSEPORT", None)
    if option is None:
        raise UnsupportedOperation("this platform lets no two sockets bind one port (reuse_port)")
    sock.setsockopt(socket.SOL_SOCKET, option, 1)


def _choose_interface(sock: socket.socket, options: EndpointOptions) -> None:
    if options.interface is None:
        return
    index = send_multicast_by(sock, options.interface)
    if not IS_LINUX or not index:
        return
    # Not SO_BINDTODEVICE: that would also deafen us to what comes in elsewhere, and needs privileges on old
    # kernels.
    with suppress(OSError):
        if speaks_ipv4(sock):
            sock.setsockopt(linux.SOL_IP, linux.IP_UNICAST_IF, _NETWORK_ORDER.pack(index))
        if speaks_ipv6(sock):
            sock.setsockopt(linux.SOL_IPV6, linux.IPV6_UNICAST_IF, _NETWORK_ORDER.pack(index))


def _ask_for_reports(sock: socket.socket) -> None:
    """Let the kernel tell about ICMP errors and about what it dropped."""
    if not IS_LINUX:
        return
    with suppress(OSError):
        if speaks_ipv4(sock):
            sock.setsockopt(linux.SOL_IP, linux.IP_RECVERR, 1)
        if speaks_ipv6(sock):
            sock.setsockopt(linux.SOL_IPV6, linux.IPV6_RECVERR, 1)
    with suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, linux.SO_RXQ_OVFL, 1)


def _ask_for_destinations(sock: socket.socket) -> None:
    """Let each datagram tell which of our addresses it was sent to."""
    with suppress(OSError):
        if sock.family == socket.AF_INET:
            sock.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
        else:
            option = getattr(socket, "IPV6_RECVPKTINFO", linux.IPV6_RECVPKTINFO)
            sock.setsockopt(socket.IPPROTO_IPV6, option, 1)


def _bind(sock: socket.socket, options: EndpointOptions) -> None:
    local = options.local
    if not local.host or (is_multicast(local.host) and not hasattr(socket, "SO_REUSEPORT")):
        # Windows cannot bind a group; everywhere else that keeps other groups on the same port out.
        host = "0.0.0.0" if sock.family == socket.AF_INET else "::"
    else:
        host = local.host
    bare, scope = split_zone(host)
    if not 0 <= local.port <= 65535:
        raise InvalidOption(f"port {local.port} is not within 0..65535")
    sock.bind((bare, local.port) if sock.family == socket.AF_INET else (bare, local.port, 0, scope))


def explained(exc: OSError, options: EndpointOptions) -> WorldError:
    """The error of ours that says what *exc* means for whoever wrote *options*."""
    local = options.local
    where = str(local) if local.host else f"port {local.port}"
    if exc.errno == errno.EADDRINUSE:
        if not local.port:
            return AddressInUse("no free port is left on this machine")
        return AddressInUse(
            f"{where} is in use by another socket",
            hint=f"choose another port, or find the other program with: ss -lunp 'sport = :{local.port}'",
        )
    if exc.errno in (errno.EMFILE, errno.ENFILE):
        return PermissionRefused(
            "the system grants no further open files", hint="raise the limit with: ulimit -n"
        )
    if exc.errno == errno.EINVAL and local.host.startswith("fe80:") and "%" not in local.host:
        return NoRoute(
            f"{local.host} is link-local and could be on any interface", hint=f"write {local.host}%interface"
        )
    if exc.errno in (errno.EADDRNOTAVAIL, errno.ENODEV, errno.EINVAL):
        return NoRoute(
            f"{local.host} is not an address of this machine",
            hint="bind one of its own addresses, or leave the host out to bind all of them",
        )
    if exc.errno in (errno.EACCES, errno.EPERM):
        return PermissionRefused(
            f"the system does not let this user bind {where}",
            hint="ports below 1024 need privileges (CAP_NET_BIND_SERVICE); choose a higher one",
        )
    return NoRoute(f"cannot open a socket on {where}: {exc.strerror}")
