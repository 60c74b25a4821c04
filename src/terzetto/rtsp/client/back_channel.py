"""Talking to a camera: a back channel as an ordinary trio stream (ONVIF Streaming Specification, section 5.3)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import trio

from terzetto.driver.clock import current_micros
from terzetto.errors import UnsupportedOperation
from terzetto.primitives.datagrams import EntropySource
from terzetto.primitives.time import MICROS_PER_SECOND, Micros
from terzetto.rtsp.formats.catalogue import sample_size
from terzetto.rtsp.formats.contract import AccessUnit
from terzetto.rtsp.formats.writer import UnitWriter
from terzetto.rtsp.wire.description import Format

__all__ = ["BackChannel"]

# A packet holds this much sound, as telephones and cameras have it.
_PACKET: Final = MICROS_PER_SECOND // 50
# How far sound may be sent before it is heard: little, for cameras buffer little.
_LEAD: Final = MICROS_PER_SECOND // 10


class BackChannel(trio.abc.SendStream):
    """Sends sound to whoever listens at the other end.

    `send_all` takes samples (G.711, G.722 or LPCM, as the format says) and waits as long as they take to be heard, so a
    file may be sent as it is; `send_unit` takes frames of other formats (AAC), each with its time. After a silence the
    clock goes on as if it had been sent.
    """

    def __init__(
        self,
        media_format: Format,
        send: Callable[[Sequence[bytes]], Awaitable[None]],
        entropy: EntropySource,
    ) -> None:
        self.format: Final = media_format
        """What the other end takes."""
        self._writer = UnitWriter(media_format, entropy)
        self._send = send
        self._sample_size = sample_size(media_format)
        self._ticks = media_format.clock_rate * _PACKET // MICROS_PER_SECOND
        # G.722 has two samples of four bits to a tick, so a byte to a tick there as well.
        self._step = self._ticks * (self._sample_size or 1)
        self._rest = b""
        self._timestamp = 0
        self._due: Micros | None = None
        self._closed = False
        self._lock = trio.StrictFIFOLock()

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send samples; what is less than 20 ms waits for more, or for `aclose`."""
        self._check()
        if self._sample_size is None:
            raise UnsupportedOperation(
                f"{self.format.encoding} is no format of bare samples", hint="send whole frames by send_unit"
            )
        await trio.lowlevel.checkpoint()
        async with self._lock:
            self._rest += bytes(data)
            while len(self._rest) >= self._step:
                piece, self._rest = self._rest[: self._step], self._rest[self._step :]
                await self._talk(piece, self._ticks)

    async def send_unit(self, unit: AccessUnit) -> None:
        """Send a frame, whose time counts ticks of the format's clock from wherever the caller likes."""
        self._check()
        async with self._lock:
            await self._send(self._writer.write(unit))

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until what was sent is nearly heard."""
        self._check()
        async with self._lock:
            await self._wait()

    async def aclose(self) -> None:
        """Send what waits, and say no more; the session goes on."""
        if self._closed:
            await trio.lowlevel.checkpoint()
            return
        self._closed = True
        size = self._sample_size
        if size is not None and len(self._rest) >= size:
            piece = self._rest[: len(self._rest) - len(self._rest) % size]
            await self._talk(piece, 0)
        await trio.lowlevel.checkpoint()

    def _check(self) -> None:
        if self._closed:
            raise trio.ClosedResourceError

    async def _wait(self) -> None:
        now = current_micros()
        if self._due is not None and self._due - _LEAD > now:
            await trio.sleep((self._due - _LEAD - now) / MICROS_PER_SECOND)
        else:
            await trio.lowlevel.checkpoint()

    async def _talk(self, samples: bytes, ticks: int) -> None:
        await self._wait()
        now = current_micros()
        if self._due is None:
            self._due = now
        elif now - self._due > _LEAD:
            self._timestamp += (now - self._due) * self.format.clock_rate // MICROS_PER_SECOND
            self._due = now
        packets = self._writer.write(AccessUnit((samples,), self._timestamp & 0xFFFF_FFFF))
        self._timestamp += ticks
        self._due += ticks * MICROS_PER_SECOND // self.format.clock_rate
        await self._send(packets)
