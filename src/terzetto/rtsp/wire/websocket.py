"""WebSocket frames (RFC 6455): RTSP in binary messages, whose borders mean nothing.

::

    F:1 reserved:3 opcode:4 | M:1 length:7 | length:16 or 64 | mask:32, where M | payload
"""

from __future__ import annotations

from base64 import b64encode
from enum import IntEnum
from hashlib import sha1
from typing import Final, NamedTuple

from terzetto.errors import MalformedPacket
from terzetto.primitives.datagrams import Buffer

__all__ = ["PROTOCOL", "Opcode", "WebSocketDecoder", "WebSocketFrame", "accept_key", "encode_websocket_frame"]

PROTOCOL: Final = "rtsp.onvif.org"
"""The subprotocol that ONVIF names."""

_MAGIC: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_FINAL_BIT: Final = 0x80
_RESERVED_BITS: Final = 0x70
_MASK_BIT: Final = 0x80
_LONGEST_CONTROL: Final = 125
# More than any peer puts into one message: a whole burst of frames, with room.
_LONGEST_FRAME: Final = 4 << 20


class Opcode(IntEnum):
    """What a frame is."""

    CONTINUATION = 0
    TEXT = 1
    BINARY = 2
    CLOSE = 8
    PING = 9
    PONG = 10


class WebSocketFrame(NamedTuple):
    """One frame, out of its mask."""

    opcode: Opcode
    payload: bytes


def accept_key(key: str) -> str:
    """What a server answers to a client's key."""
    return b64encode(sha1(key.strip().encode() + _MAGIC).digest()).decode()


def encode_websocket_frame(opcode: Opcode, payload: Buffer, *, mask: bytes | None = None) -> bytes:
    """One whole message; a client masks it with four random bytes, a server does not."""
    size = len(payload)
    masked = _MASK_BIT if mask is not None else 0
    if size < 126:
        head = bytes((_FINAL_BIT | opcode, masked | size))
    elif size < 0x10000:
        head = bytes((_FINAL_BIT | opcode, masked | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((_FINAL_BIT | opcode, masked | 127)) + size.to_bytes(8, "big")
    return head + bytes(payload) if mask is None else head + mask + _apply_mask(mask, bytes(payload))


class WebSocketDecoder:
    """Takes bytes cut anywhere; gives whole frames."""

    def __init__(self, *, is_server: bool) -> None:
        self._is_server = is_server
        self._data = bytearray()

    def decode(self, data: Buffer) -> list[WebSocketFrame]:
        """The frames that are complete with *data*; MalformedPacket when the peer breaks the protocol."""
        self._data += data
        frames = []
        while (frame := self._next()) is not None:
            frames.append(frame)
        return frames

    def _next(self) -> WebSocketFrame | None:
        data = self._data
        if len(data) < 2:
            return None
        first, second = data[0], data[1]
        if first & _RESERVED_BITS:
            raise MalformedPacket("WebSocket frame has reserved bits")
        try:
            opcode = Opcode(first & 0x0F)
        except ValueError:
            raise MalformedPacket("WebSocket frame has an unknown opcode") from None
        if bool(second & _MASK_BIT) is not self._is_server:
            raise MalformedPacket("WebSocket frame is masked as only the other side's may be")
        size, at = second & ~_MASK_BIT, 2
        if opcode >= Opcode.CLOSE and (size > _LONGEST_CONTROL or not first & _FINAL_BIT):
            raise MalformedPacket("WebSocket control frame is too long, or in pieces")
        if size >= 126:
            width = 2 if size == 126 else 8
            if len(data) < at + width:
                return None
            size, at = int.from_bytes(data[at : at + width], "big"), at + width
        if size > _LONGEST_FRAME:
            raise MalformedPacket("WebSocket frame is too long")
        mask_size = 4 if self._is_server else 0
        end = at + mask_size + size
        if len(data) < end:
            return None
        payload = bytes(data[at + mask_size : end])
        if mask_size:
            payload = _apply_mask(bytes(data[at : at + 4]), payload)
        del data[:end]
        return WebSocketFrame(opcode, payload)


def _apply_mask(mask: bytes, payload: bytes) -> bytes:
    # As one big number: a loop over bytes would take a thousand times as long.
    size = len(payload)
    pattern = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(pattern, "big")).to_bytes(size, "big")
