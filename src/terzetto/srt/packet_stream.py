"""What everything that carries packets both ways has in common: bytes, single packets and batches of them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import trio

from terzetto.errors import CallerError
from terzetto.primitives.datagrams import Buffer
from terzetto.srt.packet_reader import PacketReader, SrtPacket

__all__ = ["PacketStream"]


class PacketStream(trio.abc.Stream):
    """A stream whose payloads are packets; `send_packets` and ``_reader`` are what a kind of it brings itself."""

    _reader: PacketReader

    @property
    @abstractmethod
    def payload_size(self) -> int:
        """The most that one packet carries here."""

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send *data*, cut into payloads; returns when all of it is in the send buffer."""
        view = memoryview(data if isinstance(data, bytes) else bytes(data))
        size = self.payload_size
        await self.send_packets([view[start : start + size] for start in range(0, len(view), size)])

    async def send_packet(self, payload: Buffer, *, source_time: float | None = None) -> None:
        """Send one payload as one packet; *source_time* is its moment on trio's clock, if not now."""
        await self.send_packets([payload], source_time=source_time)

    @abstractmethod
    async def send_packets(self, payloads: Sequence[Buffer], *, source_time: float | None = None) -> None:
        """Send several payloads, one packet each, as one batch."""

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """What is due, joined; ``b""`` when the peer has closed.

        Without *max_bytes* whole payloads are returned, several if several are due.
        """
        return await self._reader.some(max_bytes)

    async def receive_packet(self) -> SrtPacket:
        """The next payload; `trio.EndOfChannel` when the peer has closed."""
        return await self._reader.packet()

    async def receive_packets(self) -> list[SrtPacket]:
        """All payloads that are due, at least one; `trio.EndOfChannel` when the peer has closed."""
        return await self._reader.packets()

    def _check_sizes(self, payloads: Sequence[Buffer]) -> None:
        most = self.payload_size
        longest = max(map(len, payloads), default=0)
        if longest > most:
            raise CallerError(
                f"a payload has {longest} bytes; {most} is the most that one packet carries here",
                hint="use send_all, or set payload_size before connecting",
            )
