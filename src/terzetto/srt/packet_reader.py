"""What is due, as bytes or as packets: the two views that a connection and a group give of one flow."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

import trio

from terzetto.primitives.datagrams import Buffer

__all__ = ["PacketReader", "SrtPacket"]


class SrtPacket(NamedTuple):
    """One payload, and what is known of it."""

    payload: Buffer
    sequence: int
    """The 31-bit number on the wire."""
    source_time: float
    """When it was sent, on trio's clock here, as far as the handshake tells."""
    lost_before: int
    """Packets that were given up between the one before and this one."""


class PacketReader:
    """Shapes what *receive* gives: all packets that are due, at least one, or none at the end.

    What a reader of single packets or of bounded bytes has left over is kept for the next.
    """

    def __init__(self, receive: Callable[[], Awaitable[list[SrtPacket]]]) -> None:
        self._receive_packets = receive
        self._rest: Buffer = b""
        self._waiting: list[SrtPacket] = []

    async def some(self, max_bytes: int | None = None) -> bytes:
        """What is due, joined; without *max_bytes* whole payloads; ``b""`` at the end."""
        if max_bytes is not None and max_bytes < 1:
            raise ValueError("max_bytes must be at least 1")
        if not self._rest:
            packets = await self._receive_packets()
            self._rest = packets[0].payload if len(packets) == 1 else b"".join(p.payload for p in packets)
        else:
            await trio.lowlevel.checkpoint()
        if max_bytes is None or len(self._rest) <= max_bytes:
            data, self._rest = self._rest, b""
        else:
            data, self._rest = self._rest[:max_bytes], self._rest[max_bytes:]
        return bytes(data)

    async def packet(self) -> SrtPacket:
        """The next one; `trio.EndOfChannel` at the end."""
        if self._waiting:
            await trio.lowlevel.checkpoint()
        else:
            self._waiting = (await self.packets())[::-1]
        return self._waiting.pop()

    async def packets(self) -> list[SrtPacket]:
        """All that are due, at least one; `trio.EndOfChannel` at the end."""
        packets = await self._receive_packets()
        if not packets:
            raise trio.EndOfChannel
        return packets

    def take_kept(self) -> list[SrtPacket]:
        """Those left over by who read one at a time, for *receive* to give before any others."""
        packets, self._waiting = self._waiting[::-1], []
        return packets
