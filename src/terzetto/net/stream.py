"""What a byte stream is to terzetto, whoever implements it: a connection that keeps order and loses nothing.

It is a `trio.abc.Stream` that can also send without waiting, which spares whoever feeds many readers a task switch
for each of them.
"""

from __future__ import annotations

from abc import abstractmethod

import attrs
import trio

from terzetto.primitives.datagrams import Address, Buffer

__all__ = ["ByteListener", "ByteStream", "ReplayedStream", "StreamOptions", "WrappedStream"]


@attrs.frozen(kw_only=True)
class StreamOptions:
    """How to open a byte stream, or listen for some."""

    no_delay: bool = True
    """Send what there is at once rather than wait for more to send along."""
    send_buffer: int | None = None
    """Bytes of kernel memory for what waits to leave; None is the system's choice, which adapts."""
    receive_buffer: int | None = None
    """Bytes of kernel memory for what waits to be read."""
    tos: int | None = None
    """The IP traffic class byte of what we send."""
    backlog: int = 128
    """Connections that may wait to be accepted."""
    interface_address: str | None = None
    """Connect from this address."""


class ByteStream(trio.abc.Stream):
    """One connection. Sending and receiving may go on at once, each by one task."""

    @property
    @abstractmethod
    def local_address(self) -> Address:
        """Our end."""

    @property
    @abstractmethod
    def peer_address(self) -> Address:
        """The other end."""

    @abstractmethod
    def send_nowait(self, data: Buffer) -> int:
        """Send as much of *data* as goes at once; how many bytes that was.

        0 also where the stream cannot say at once (TLS): use `send_all`. Raises `trio.BrokenResourceError` when the
        connection is gone.
        """

    @abstractmethod
    def close(self) -> None:
        """Close at once, without a word to the peer beyond what the system says."""


class WrappedStream(ByteStream):
    """Another stream with something around it: what a subclass does not do otherwise is done by the transport."""

    def __init__(self, transport: ByteStream) -> None:
        self._transport = transport

    @property
    def local_address(self) -> Address:
        """Our end."""
        return self._transport.local_address

    @property
    def peer_address(self) -> Address:
        """The other end."""
        return self._transport.peer_address

    def send_nowait(self, data: Buffer) -> int:
        """Send as much of *data* as goes at once."""
        return self._transport.send_nowait(data)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send all of *data*."""
        await self._transport.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until there is room."""
        await self._transport.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Wait for bytes; empty at the end."""
        return bytes(await self._transport.receive_some(max_bytes))

    def close(self) -> None:
        """Close at once."""
        self._transport.close()

    async def aclose(self) -> None:
        """Close."""
        await self._transport.aclose()


class ReplayedStream(WrappedStream):
    """A stream of which somebody has read *early* already; it is read again."""

    def __init__(self, transport: ByteStream, early: bytes) -> None:
        super().__init__(transport)
        self._early = early

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """What was read before, then what comes."""
        if not self._early:
            return await super().receive_some(max_bytes)
        await trio.lowlevel.checkpoint()
        size = len(self._early) if max_bytes is None else max_bytes
        taken, self._early = self._early[:size], self._early[size:]
        return taken


class ByteListener(trio.abc.Listener[ByteStream]):
    """Accepts connections."""

    @property
    @abstractmethod
    def local_address(self) -> Address:
        """Where it listens."""
