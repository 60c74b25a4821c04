"""A byte stream inside a WebSocket, for either side."""

from __future__ import annotations

import trio

from terzetto.errors import MalformedPacket
from terzetto.net.stream import ByteStream, WrappedStream
from terzetto.primitives.datagrams import Buffer, EntropySource
from terzetto.rtsp.wire.websocket import Opcode, WebSocketDecoder, encode_websocket_frame

__all__ = ["WebSocketStream"]

_UNSUPPORTED_DATA = (1003).to_bytes(2, "big")
_PROTOCOL_ERROR = (1002).to_bytes(2, "big")
_NORMAL = (1000).to_bytes(2, "big")


class WebSocketStream(WrappedStream):
    """Bytes in binary messages over *transport*, once the handshake is over; *early* came behind it.

    With *entropy* it is a client's side, which masks what it sends; a server has none.
    """

    def __init__(self, transport: ByteStream, *, entropy: EntropySource | None, early: bytes = b"") -> None:
        super().__init__(transport)
        self._entropy = entropy
        self._decoder = WebSocketDecoder(is_server=entropy is None)
        self._early = early
        self._waiting = b""
        self._ended = False
        self._said_goodbye = False
        # Pings are answered by who reads, while another task may be sending.
        self._sending = trio.StrictFIFOLock()

    def send_nowait(self, data: Buffer) -> int:
        """A frame goes whole or not at all, so this is left to `send_all`."""
        del data
        return 0

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send *data* as one message."""
        if data:
            await self._send(Opcode.BINARY, bytes(data))
        else:
            await trio.lowlevel.checkpoint()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Wait for bytes; none is the end."""
        while not self._waiting and not self._ended:
            early, self._early = self._early, b""
            data = early or await self._transport.receive_some()
            if not data:
                self._ended = True
                break
            await self._take(bytes(data))
        size = len(self._waiting) if max_bytes is None else max_bytes
        taken, self._waiting = self._waiting[:size], self._waiting[size:]
        return taken

    async def aclose(self) -> None:
        """Say goodbye, and close."""
        try:
            if not self._ended:
                await self._say_goodbye(_NORMAL)
        finally:
            await super().aclose()

    async def _take(self, data: bytes) -> None:
        try:
            frames = self._decoder.decode(data)
        except MalformedPacket as exc:
            self._ended = True
            await self._say_goodbye(_PROTOCOL_ERROR)
            raise trio.BrokenResourceError(exc.reason) from exc
        for opcode, payload in frames:
            if opcode in (Opcode.BINARY, Opcode.CONTINUATION):
                self._waiting += payload
            elif opcode is Opcode.PING:
                await self._send(Opcode.PONG, payload)
            elif opcode in (Opcode.CLOSE, Opcode.TEXT):
                self._ended = True
                await self._say_goodbye(payload[:2] if opcode is Opcode.CLOSE else _UNSUPPORTED_DATA)
                return

    async def _send(self, opcode: Opcode, payload: bytes) -> None:
        mask = self._entropy(4) if self._entropy is not None else None
        frame = encode_websocket_frame(opcode, payload, mask=mask)
        async with self._sending:
            await self._transport.send_all(frame)

    async def _say_goodbye(self, code: bytes) -> None:
        if self._said_goodbye:
            return
        self._said_goodbye = True
        try:
            await self._send(Opcode.CLOSE, code)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # it is gone already
