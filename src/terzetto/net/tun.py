"""A TUN device: an interface of this machine whose packets we read and write (Linux).

Its addresses and routes are the administrator's to set (``ip addr add ... dev NAME; ip link set NAME up``). Making
one takes the right to administer the network (root, or CAP_NET_ADMIN), unless the administrator has made it before
and given it to our user: ``ip tuntap add dev rist0 mode tun user alice``.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import trio

from terzetto.errors import AddressInUse, InvalidOption, PermissionRefused, UnsupportedOperation
from terzetto.net.linux import IS_LINUX
from terzetto.primitives.datagrams import Buffer

__all__ = ["DEFAULT_TUN_MTU", "TunDevice", "open_tun"]

DEFAULT_TUN_MTU: Final = 1280
"""What IPv6 needs at least, and what fits into a tunnel over any ordinary path."""

_DEVICE: Final = "/dev/net/tun"
_TUNSETIFF: Final = 0x4004_54CA
_SIOCSIFMTU: Final = 0x8922
_IFF_TUN: Final = 0x0001
_IFF_NO_PI: Final = 0x1000
_IFREQ_FLAGS: Final = struct.Struct("16sH22x")
_IFREQ_MTU: Final = struct.Struct("16si20x")
_LONGEST_NAME: Final = 15

_LONGEST_PACKET: Final = 65535

# As many packets are read in one go; a bridge has other work as well.
_BATCH: Final = 64


class TunDevice:
    """One open device; `open_tun` makes them. One task at a time may receive."""

    def __init__(self, fd: int, name: str) -> None:
        self._fd = fd
        self.name = name
        """The interface's name."""
        self.refused = 0
        """Packets that the kernel did not take: no IP, or the interface is down."""

    async def receive(self) -> list[bytes]:
        """Wait until this machine has sent something into the device; whole IP packets, oldest first."""
        while True:
            if self._fd < 0:
                raise trio.ClosedResourceError
            await trio.lowlevel.wait_readable(self._fd)
            packets = self._drain()
            if packets:
                return packets

    def _drain(self) -> list[bytes]:
        packets: list[bytes] = []
        for _ in range(_BATCH):
            try:
                packets.append(os.read(self._fd, _LONGEST_PACKET))
            except BlockingIOError:
                break
            except OSError as exc:
                if exc.errno != errno.EIO:  # the interface is down, and will be up again
                    raise
                break
        return packets

    def send_nowait(self, packet: Buffer) -> bool:
        """Let this machine receive an IP packet; whether the kernel took it."""
        if self._fd < 0:
            raise trio.ClosedResourceError
        try:
            os.write(self._fd, packet)
        except OSError:
            self.refused += 1
            return False
        return True

    def close(self) -> None:
        """Close it; an interface that `open_tun` made disappears."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            trio.lowlevel.notify_closing(fd)
            os.close(fd)


@contextmanager
def open_tun(name: str = "", *, mtu: int = DEFAULT_TUN_MTU) -> Iterator[TunDevice]:
    """Open the TUN device *name*, making it where it is not there; "" lets the kernel choose a name.

    Raises `UnsupportedOperation` where there is no such thing, `PermissionRefused` without the right to it, and
    `AddressInUse` where another program has it.
    """
    device = _open(name, mtu)
    try:
        yield device
    finally:
        device.close()


def _open(name: str, mtu: int) -> TunDevice:
    if not IS_LINUX:
        raise UnsupportedOperation("TUN devices are there on Linux only")
    if len(name.encode()) > _LONGEST_NAME or "/" in name or any(character.isspace() for character in name):
        raise InvalidOption(
            f"{name!r} cannot be the name of an interface", hint=f"it has at most {_LONGEST_NAME} bytes"
        )
    if not 68 <= mtu <= _LONGEST_PACKET:
        raise InvalidOption(f"mtu is {mtu}, must lie between 68 and {_LONGEST_PACKET} bytes")
    try:
        fd = os.open(_DEVICE, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as exc:
        raise UnsupportedOperation(f"{_DEVICE} is not there", hint="load the kernel's module tun") from exc
    except PermissionError as exc:
        raise _refused(name) from exc
    try:
        return TunDevice(fd, _attach(fd, name, mtu))
    except BaseException:
        os.close(fd)
        raise


def _attach(fd: int, name: str, mtu: int) -> str:
    # Not there on Windows, where nobody comes this far.
    from fcntl import ioctl

    try:
        answer = ioctl(fd, _TUNSETIFF, _IFREQ_FLAGS.pack(name.encode(), _IFF_TUN | _IFF_NO_PI))
    except PermissionError as exc:
        raise _refused(name) from exc
    except OSError as exc:
        if exc.errno == errno.EBUSY:
            raise AddressInUse(f"the device {name} is in use by another program") from exc
        raise InvalidOption(f"{name!r} cannot be a TUN device: {exc.strerror}") from exc
    raw: bytes = _IFREQ_FLAGS.unpack(answer)[0]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        try:
            ioctl(any_socket, _SIOCSIFMTU, _IFREQ_MTU.pack(raw, mtu))
        except PermissionError:
            pass  # it was made for us, and its length is who made it's to choose
    return raw.rstrip(b"\0").decode()


def _refused(name: str) -> PermissionRefused:
    wanted = name or "rist0"
    return PermissionRefused(
        f"the kernel does not let us have the TUN device {wanted}",
        hint="run as root or with CAP_NET_ADMIN, or have it made: "
        f"ip tuntap add dev {wanted} mode tun user $USER",
    )
