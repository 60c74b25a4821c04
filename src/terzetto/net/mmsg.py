"""recvmmsg and sendmmsg, many datagrams in one system call, which Python's ``socket`` does not offer.

The kernel works on an array of message headers. We keep that array in a block of memory that ``struct`` can
read and restore at once: a ctypes attribute per field and packet costs more than the system call does.

The memory is not one endpoint's: a call is over, and all it brought copied out, before anything else can run.
So endpoints take an area from a shelf and put it back, and a hundred of them do with one (per thread).
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import struct
from collections.abc import Iterator, Sequence
from typing import Final

from terzetto.net.ancillary import CONTROL_SIZE
from terzetto.net.endpoint import Buffer
from terzetto.net.linux import IS_LINUX, MSG_DONTWAIT

__all__ = [
    "NAME_SIZE",
    "RECEIVE_SLOTS",
    "SEND_SLOTS",
    "SLOT_STRIDE",
    "ReceiveArea",
    "SendArea",
    "give_receive_area",
    "give_send_area",
    "is_available",
    "take_receive_area",
    "take_send_area",
]

NAME_SIZE: Final = 32
"""Room for a ``sockaddr_in6`` (28 bytes), rounded up."""

RECEIVE_SLOTS: Final = 32
SEND_SLOTS: Final = 64
SEND_BYTES: Final = 256 << 10

# The largest that UDP can carry, and then some: with a stride of exactly 64 KiB the starts of all slots would
# compete for the same few lines of the processor's cache.
SLOT_STRIDE: Final = 65536 + 4096 + 192


class _Iovec(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("len", ctypes.c_size_t)]


class _Msghdr(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_void_p),
        ("namelen", ctypes.c_uint32),
        ("iov", ctypes.c_void_p),
        ("iovlen", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("controllen", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    ]


class _Mmsghdr(ctypes.Structure):
    _fields_ = [("hdr", _Msghdr), ("len", ctypes.c_uint)]


_HEADER_SIZE: Final = ctypes.sizeof(_Mmsghdr)
_AT_CONTROLLEN: Final = _Msghdr.controllen.offset
_AT_LEN: Final = _Mmsghdr.len.offset

RESULT: Final = struct.Struct(
    f"={_AT_CONTROLLEN}x{'Q' if ctypes.sizeof(ctypes.c_size_t) == 8 else 'I'}"
    f"{_AT_LEN - _AT_CONTROLLEN - ctypes.sizeof(ctypes.c_size_t)}xI{_HEADER_SIZE - _AT_LEN - 4}x"
)
"""What we read of a header after recvmmsg: the length of the control data, and of the message."""


def _memory(size: int) -> tuple[mmap.mmap, int]:
    # A mapping rather than a bytearray: a slice of it is `bytes` at once, without a memoryview in between.
    # Private, so that a forked child gets a copy of its own and not our datagrams.
    area = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    return area, ctypes.addressof(ctypes.c_char.from_buffer(area))


def _load() -> tuple[ctypes._FuncPointer, ctypes._FuncPointer] | None:
    if not IS_LINUX:
        return None
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        return libc.recvmmsg, libc.sendmmsg
    except (OSError, AttributeError):
        return None


_calls = _load()


def is_available() -> bool:
    """Whether the C library offers both calls."""
    return _calls is not None


class ReceiveArea:
    """Slots for one recvmmsg: data and, apart from it, name and control data of each message.

    Message ``i`` has its data at ``i * SLOT_STRIDE`` of ``data``; name and control data lie together at
    ``i * META_STRIDE`` of ``meta``, so that one comparison tells whether anything about them has changed.
    """

    META_STRIDE: Final = NAME_SIZE + CONTROL_SIZE

    __slots__ = ("_call", "_headers_at", "_iov", "_pristine", "_vlen", "data", "headers", "meta")

    def __init__(self) -> None:
        if _calls is None:
            raise NotImplementedError("this platform has no recvmmsg")
        self._call = _calls[0]
        self.data, data_at = _memory(RECEIVE_SLOTS * SLOT_STRIDE)
        self.meta, meta_at = _memory(RECEIVE_SLOTS * self.META_STRIDE)
        memory, headers_at = _memory(RECEIVE_SLOTS * _HEADER_SIZE)
        self._iov, iov_at = _memory(RECEIVE_SLOTS * ctypes.sizeof(_Iovec))
        pristine = bytearray()
        iovs = bytearray()
        for slot in range(RECEIVE_SLOTS):
            name_at = meta_at + slot * self.META_STRIDE
            iovs += bytes(_Iovec(data_at + slot * SLOT_STRIDE, SLOT_STRIDE))
            header = _Msghdr(
                name_at,
                NAME_SIZE,
                iov_at + slot * ctypes.sizeof(_Iovec),
                1,
                name_at + NAME_SIZE,
                CONTROL_SIZE,
                0,
            )
            pristine += bytes(_Mmsghdr(header, 0))
        self._iov[:] = bytes(iovs)
        memory[:] = bytes(pristine)
        self.headers = memoryview(memory)
        self._pristine = [bytes(pristine[: n * _HEADER_SIZE]) for n in range(RECEIVE_SLOTS + 1)]
        self._headers_at = ctypes.c_void_p(headers_at)
        self._vlen = ctypes.c_uint(RECEIVE_SLOTS)

    def receive(self, fd: int) -> int:
        """Fill the slots with what waits at *fd*; how many were filled. Raises `OSError` as a socket does."""
        got: int = self._call(fd, self._headers_at, self._vlen, MSG_DONTWAIT, None)
        if got < 0:
            number = ctypes.get_errno()
            if number == errno.EAGAIN:
                return 0
            raise OSError(number, os.strerror(number))
        return got

    def results(self, count: int) -> Iterator[tuple[int, int]]:
        """For each of *count* filled slots the length of its control data and of its message."""
        return RESULT.iter_unpack(self.headers[: count * _HEADER_SIZE])

    def reset(self, count: int) -> None:
        """Make *count* slots ready again; the kernel wrote the lengths it used over the room there is."""
        self.headers[: count * _HEADER_SIZE] = self._pristine[count]


class SendArea:
    """Slots for one sendmmsg to one peer."""

    __slots__ = (
        "_call",
        "_data",
        "_data_at",
        "_headers",
        "_headers_at",
        "_iov",
        "_layout",
        "_meta",
        "_templates",
    )

    def __init__(self) -> None:
        if _calls is None:
            raise NotImplementedError("this platform has no sendmmsg")
        self._call = _calls[1]
        self._data, self._data_at = _memory(SEND_BYTES)
        self._meta, meta_at = _memory(NAME_SIZE + CONTROL_SIZE)
        self._iov, iov_at = _memory(SEND_SLOTS * ctypes.sizeof(_Iovec))
        self._headers, headers_at = _memory(SEND_SLOTS * _HEADER_SIZE)
        self._headers_at = ctypes.c_void_p(headers_at)
        self._templates = (meta_at, iov_at)
        self._layout = (-1, -1)

    def send(self, fd: int, datagrams: Sequence[Buffer], name: bytes, control: bytes) -> int:
        """Send the first of at most `SEND_SLOTS` *datagrams*; how many went.

        Raises `OSError`, which is about the first one.
        """
        self._lay_out(len(name), len(control))
        self._meta[: len(name)] = name
        self._meta[NAME_SIZE : NAME_SIZE + len(control)] = control
        data = self._data
        iovs: list[int] = []
        at = 0
        for datagram in datagrams:
            end = at + len(datagram)
            if end > SEND_BYTES:
                break
            data[at:end] = datagram
            iovs += (self._data_at + at, end - at)
            at = end
        if not iovs:
            raise OSError(errno.EMSGSIZE, os.strerror(errno.EMSGSIZE))
        struct.pack_into(f"@{len(iovs)}N", self._iov, 0, *iovs)
        sent: int = self._call(fd, self._headers_at, len(iovs) // 2, MSG_DONTWAIT)
        if sent < 0:
            number = ctypes.get_errno()
            if number == errno.EAGAIN:
                raise BlockingIOError(number, os.strerror(number))
            raise OSError(number, os.strerror(number))
        return sent

    def _lay_out(self, name_size: int, control_size: int) -> None:
        if self._layout == (name_size, control_size):
            return
        meta_at, iov_at = self._templates
        headers = bytearray()
        for slot in range(SEND_SLOTS):
            header = _Msghdr(
                meta_at,
                name_size,
                iov_at + slot * ctypes.sizeof(_Iovec),
                1,
                meta_at + NAME_SIZE if control_size else None,
                control_size,
                0,
            )
            headers += bytes(_Mmsghdr(header, 0))
        self._headers[:] = bytes(headers)
        self._layout = (name_size, control_size)


_receive_shelf: Final[list[ReceiveArea]] = []
_send_shelf: Final[list[SendArea]] = []


def take_receive_area() -> ReceiveArea:
    """Borrow an area to receive into; put it back with `give_receive_area`."""
    try:
        return _receive_shelf.pop()
    except IndexError:
        return ReceiveArea()


def give_receive_area(area: ReceiveArea) -> None:
    """Put *area* back, once everything it holds has been copied."""
    _receive_shelf.append(area)


def take_send_area() -> SendArea:
    """Borrow an area to send from; put it back with `give_send_area`."""
    try:
        return _send_shelf.pop()
    except IndexError:
        return SendArea()


def give_send_area(area: SendArea) -> None:
    """Put *area* back."""
    _send_shelf.append(area)
