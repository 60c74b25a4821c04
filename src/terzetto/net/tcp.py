"""Kernel TCP connections."""

from __future__ import annotations

import errno
import socket
import sys
from contextlib import suppress
from typing import Final

import trio

from terzetto.errors import (
    AddressInUse,
    ConnectionRefusedByPeer,
    NoRoute,
    PeerTimedOut,
    PermissionRefused,
    TerzettoError,
    WorldError,
)
from terzetto.net.addresses import address_of, sockaddr_of
from terzetto.net.stream import ByteListener, ByteStream, StreamOptions
from terzetto.primitives.datagrams import Address, Buffer

__all__ = ["TcpListener", "TcpStream", "open_tcp_listeners", "open_tcp_stream"]

# What one read asks for: a burst of a picture's packets, without a buffer that is dear to allocate.
_RECEIVE_SIZE: Final = 128 * 1024


class TcpStream(ByteStream):
    """One connected socket."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._local = address_of(sock.getsockname())
        self._peer = address_of(sock.getpeername())
        self._sending = trio.Lock()
        self._receiving = False

    @property
    def local_address(self) -> Address:
        """Our end."""
        return self._local

    @property
    def peer_address(self) -> Address:
        """The other end."""
        return self._peer

    def send_nowait(self, data: Buffer) -> int:
        """Send as much of *data* as the kernel takes at once."""
        self._check_open()
        try:
            return self._socket.send(data)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError as exc:
            raise _broken(exc) from exc

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send all of *data*, waiting for room."""
        self._check_open()
        if self._sending.locked():
            raise trio.BusyResourceError("another task is sending on this connection")
        await trio.lowlevel.checkpoint()
        async with self._sending:
            view = memoryview(data)
            while view:
                sent = self.send_nowait(view)
                view = view[sent:]
                if view and not sent:
                    await trio.lowlevel.wait_writable(self._socket)

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until there is room."""
        self._check_open()
        await trio.lowlevel.wait_writable(self._socket)

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Wait for bytes; empty at the end."""
        self._check_open()
        if self._receiving:
            raise trio.BusyResourceError("another task is receiving on this connection")
        size = _RECEIVE_SIZE if max_bytes is None else max_bytes
        self._receiving = True
        try:
            await trio.lowlevel.checkpoint()
            while True:
                self._check_open()
                try:
                    return self._socket.recv(size)
                except (BlockingIOError, InterruptedError):
                    await trio.lowlevel.wait_readable(self._socket)
                except OSError as exc:
                    raise _broken(exc) from exc
        finally:
            self._receiving = False

    def close(self) -> None:
        """Close at once."""
        if self._socket.fileno() >= 0:
            trio.lowlevel.notify_closing(self._socket)
            self._socket.close()

    async def aclose(self) -> None:
        """Close at once; the kernel sends what it has taken."""
        self.close()
        await trio.lowlevel.checkpoint()

    def _check_open(self) -> None:
        if self._socket.fileno() < 0:
            raise trio.ClosedResourceError


class TcpListener(ByteListener):
    """One listening socket."""

    def __init__(self, sock: socket.socket, options: StreamOptions) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._options = options
        self._local = address_of(sock.getsockname())

    @property
    def local_address(self) -> Address:
        """Where it listens."""
        return self._local

    async def accept(self) -> TcpStream:
        """Wait for a connection; OSError when the system has no room for another."""
        await trio.lowlevel.checkpoint()
        while True:
            if self._socket.fileno() < 0:
                raise trio.ClosedResourceError
            try:
                sock, _ = self._socket.accept()
            except (BlockingIOError, InterruptedError):
                await trio.lowlevel.wait_readable(self._socket)
                continue
            except ConnectionAbortedError:
                continue
            try:
                _prepare(sock, self._options)
                return TcpStream(sock)
            except OSError:
                # It was gone again before we looked.
                sock.close()

    async def aclose(self) -> None:
        """Stop listening."""
        if self._socket.fileno() >= 0:
            trio.lowlevel.notify_closing(self._socket)
            self._socket.close()
        await trio.lowlevel.checkpoint()


async def open_tcp_stream(peer: Address, options: StreamOptions) -> TcpStream:
    """Connect to *peer*.

    Raises `ConnectionRefusedByPeer` where nobody listens, `PeerTimedOut` when nothing answers for as long as the
    system is patient, or `NoRoute`.
    """
    family = socket.AF_INET6 if peer.is_ipv6 else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        _prepare(sock, options)
        if options.interface_address is not None:
            sock.bind((options.interface_address, 0))
        await trio.lowlevel.checkpoint()
        with suppress(BlockingIOError, InterruptedError):
            sock.connect(sockaddr_of(peer, family))
        await trio.lowlevel.wait_writable(sock)
        error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            raise OSError(error, errno.errorcode.get(error, ""))
        return TcpStream(sock)
    except OSError as exc:
        sock.close()
        if isinstance(exc, TerzettoError):
            raise
        raise _not_connected(exc, peer) from exc
    except BaseException:
        sock.close()
        raise


async def open_tcp_listeners(local: Address, options: StreamOptions) -> list[TcpListener]:
    """Listen on *local*; host ``""`` is every address of both families, port 0 any free one.

    Raises `AddressInUse`, `NoRoute` (the address is not ours) or `PermissionRefused`.
    """
    await trio.lowlevel.checkpoint()
    if local.host:
        return [_listen(local, options)]
    # One socket for both families where the system can do that.
    if socket.has_dualstack_ipv6():
        with suppress(NoRoute):
            return [_listen(Address("::", local.port), options, dual=True)]
    return [_listen(Address("0.0.0.0", local.port), options)]


def _listen(local: Address, options: StreamOptions, *, dual: bool = False) -> TcpListener:
    family = socket.AF_INET6 if local.is_ipv6 else socket.AF_INET
    try:
        sock = socket.socket(family, socket.SOCK_STREAM)
    except OSError as exc:
        raise NoRoute(f"cannot listen on {local}: {exc.strerror}") from exc
    try:
        if sys.platform != "win32":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if dual else 1)
        sock.bind(sockaddr_of(local, family))
        sock.listen(options.backlog)
        return TcpListener(sock, options)
    except OSError as exc:
        sock.close()
        if isinstance(exc, TerzettoError):
            raise
        raise _not_bound(exc, local) from exc
    except BaseException:
        sock.close()
        raise


def _prepare(sock: socket.socket, options: StreamOptions) -> None:
    if options.no_delay:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if options.send_buffer is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, options.send_buffer)
    if options.receive_buffer is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, options.receive_buffer)
    if options.tos is not None:
        with suppress(OSError):
            if sock.family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, options.tos)
            else:
                sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, options.tos)


def _broken(exc: OSError) -> trio.BrokenResourceError:
    return trio.BrokenResourceError(f"the connection broke: {exc.strerror or exc}")


def _not_connected(exc: OSError, peer: Address) -> TerzettoError:
    number = exc.errno
    if number == errno.ECONNREFUSED:
        return ConnectionRefusedByPeer(
            f"nobody listens on {peer}", hint="check the port, and whether the server runs"
        )
    if number == errno.ETIMEDOUT:
        return PeerTimedOut(f"{peer} does not answer", hint="check the address, and any firewall between")
    if number in (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL):
        return NoRoute(f"there is no way to {peer} ({exc.strerror})")
    if number in (errno.EACCES, errno.EPERM):
        return PermissionRefused(f"the system does not let us connect to {peer}")
    return WorldError(f"cannot connect to {peer}: {exc.strerror or exc}")


def _not_bound(exc: OSError, local: Address) -> TerzettoError:
    if exc.errno == errno.EADDRINUSE:
        return AddressInUse(f"{local} is in use", hint="choose another port, or 0 for any free one")
    if exc.errno == errno.EADDRNOTAVAIL:
        return NoRoute(f"{local.host} is no address of this machine")
    if exc.errno in (errno.EACCES, errno.EPERM):
        return PermissionRefused(
            f"the system does not let us listen on {local}", hint="use a port above 1023"
        )
    return WorldError(f"cannot listen on {local}: {exc.strerror or exc}")
