"""What a byte stream is to terzetto, whoever implements it: a connection that keeps order and loses nothing.

It is a `trio.abc.Stream` that can also send without waiting, which spares whoever feeds many readers a task switch
for each of them.
"""

from __future__ import annotations

from abc import abstractmethod

import attrs
import trio

from terzetto.primitives.datagrams import Address, Buffer

__all__ = ["ByteListener", "ByteStream", "StreamOptions"]


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


class ByteListener(trio.abc.Listener[ByteStream]):
    """Accepts connections."""

    @property
    @abstractmethod
    def local_address(self) -> Address:
        """Where it listens."""
