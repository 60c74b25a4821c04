"""A stream of bytes into aligned transport packets, and those into payloads.

One sync byte proves little, since every byte of a payload may be 0x47: alignment is believed after three in a
row at the right distance, and given up at the first that is missing.
"""

from __future__ import annotations

from typing import Final

from terzetto.mpegts.packet import PACKET_SIZE, SYNC_BYTE
from terzetto.primitives.datagrams import Buffer

__all__ = ["PAYLOAD_SIZE", "PacketAligner", "PayloadCutter", "is_aligned"]

PAYLOAD_SIZE: Final = 7 * PACKET_SIZE
"""Seven packets, 1316 bytes: as many as fit a datagram on an Ethernet, and the custom everywhere."""

_CONFIRMATIONS: Final = 3
_SYNC: Final = bytes((SYNC_BYTE,))


def is_aligned(data: Buffer, packet_size: int = PACKET_SIZE) -> bool:
    """Whether *data* is whole packets, each with its sync byte; nothing at all is not."""
    count, rest = divmod(len(data), packet_size)
    return bool(count) and not rest and bytes(data[::packet_size]).count(_SYNC) == count


class PacketAligner:
    """Takes bytes as they come and gives back whole packets.

    Garbage is left out and counted. At most a few packets' worth of bytes are held back, until it is clear
    where a packet begins.
    """

    __slots__ = ("_held", "_in_sync", "_size", "discarded", "resyncs")

    def __init__(self, packet_size: int = PACKET_SIZE) -> None:
        self._size: Final = packet_size
        self._held = b""
        self._in_sync = False
        self.discarded = 0
        """Bytes left out because they belonged to no packet."""
        self.resyncs = 0
        """How often alignment was lost after it had been found."""

    def feed(self, data: Buffer) -> bytes:
        """Add *data*; the whole packets that are there now, joined, perhaps none."""
        held = self._held + data if self._held else bytes(data)
        out: list[bytes] = []
        position = 0
        while True:
            if not self._in_sync:
                position = self._search(held, position)
                if not self._in_sync:
                    break
            end = position + _aligned_packets(held, position, self._size) * self._size
            if end > position:
                out.append(held[position:end])
                position = end
            if position == len(held) or held[position] == SYNC_BYTE:
                break
            self._in_sync = False
            self.resyncs += 1
        self._held = held[position:]
        return out[0] if len(out) == 1 else b"".join(out)

    def finish(self) -> bytes:
        """The stream has ended: the packets among the bytes held back, taken on fewer confirmations."""
        held, self._held = self._held, b""
        start = held.find(_SYNC)
        while start >= 0:
            end = start + _aligned_packets(held, start, self._size) * self._size
            # A cut packet may follow, if it begins as one.
            if end > start and held[end : end + 1] in (b"", _SYNC):
                self.discarded += start + len(held) - end
                return held[start:end]
            start = held.find(_SYNC, start + 1)
        self.discarded += len(held)
        return b""

    def _search(self, held: bytes, position: int) -> int:
        """Where packets begin, from *position* on, or where they may begin once more bytes are known."""
        start = held.find(_SYNC, position)
        while start >= 0:
            marks = held[start : start + _CONFIRMATIONS * self._size : self._size]
            if marks.count(_SYNC) == len(marks):
                self._in_sync = len(marks) == _CONFIRMATIONS
                break
            start = held.find(_SYNC, start + 1)
        if start < 0:
            start = len(held)
        self.discarded += start - position
        return start


class PayloadCutter:
    """Cuts what is fed into payloads of one size, the last of them shorter.

    Payloads are views of the bytes they came in, except where one spans two of them.
    """

    __slots__ = ("_held", "_size")

    def __init__(self, size: int = PAYLOAD_SIZE) -> None:
        if size <= 0:
            raise ValueError(f"a payload has at least one byte, not {size}")
        self._size: Final = size
        self._held = b""

    def __len__(self) -> int:
        """Bytes that wait for a payload to be full."""
        return len(self._held)

    def feed(self, data: bytes) -> list[Buffer]:
        """Add *data*, which nobody may change afterwards; the payloads that are full now."""
        size = self._size
        payloads: list[Buffer] = []
        start = 0
        if self._held:
            start = size - len(self._held)
            if len(data) < start:
                self._held += data
                return payloads
            payloads.append(self._held + data[:start])
        view = memoryview(data)
        end = len(data) - (len(data) - start) % size
        payloads += [view[first : first + size] for first in range(start, end, size)]
        self._held = data[end:]
        return payloads

    def finish(self) -> Buffer:
        """The last payload, which is short and may be empty."""
        held, self._held = self._held, b""
        return held


def _aligned_packets(data: bytes, start: int, size: int) -> int:
    """How many whole packets stand at *start*, by their sync bytes."""
    count = (len(data) - start) // size
    marks = data[start : start + count * size : size]
    # The strided slice and the count run in C; only broken streams pay for the search.
    if marks.count(_SYNC) == count:
        return count
    return next(index for index, mark in enumerate(marks) if mark != SYNC_BYTE)
