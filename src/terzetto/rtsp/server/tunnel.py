"""Clients that come through HTTP: two requests that belong together, or a WebSocket.

A connection shows with its first bytes what it speaks, so tunnels need no port of their own.
"""

from __future__ import annotations

from collections.abc import Callable

import trio

from terzetto.errors import MalformedPacket
from terzetto.net.stream import ByteStream, ReplayedStream, WrappedStream
from terzetto.rtsp.websocket_stream import WebSocketStream
from terzetto.rtsp.wire.base64_stream import Base64Decoder
from terzetto.rtsp.wire.fields import Fields
from terzetto.rtsp.wire.http_head import HeadReader, HttpRequest, HttpResponse
from terzetto.rtsp.wire.websocket import PROTOCOL, accept_key

__all__ = ["Tunnels", "tunnel_of"]

_MEDIA_TYPE = "application/x-rtsp-tunnelled"
# How long a GET may be without its POST. Both come at once, or never.
_PAIRING_TIME = 5.0
_LONGEST_COOKIE = 64
_GET, _POST = b"GET ", b"POST "


class _HttpTunnel(WrappedStream):
    """What we say leaves by the client's GET; what it says comes by its POST, and by those that replace it."""

    def __init__(self, down: ByteStream, up: ByteStream, early: bytes, *, forget: Callable[[], None]) -> None:
        super().__init__(down)
        self._up = up
        self._forget = forget
        self._decoder = Base64Decoder()
        self._early = early
        self._waiting = b""
        self._replaced = False

    def replace(self, up: ByteStream, early: bytes) -> None:
        """The client goes on by another POST: some do when the length that they announced is used up."""
        before, self._up = self._up, up
        self._early += early
        self._replaced = True
        before.close()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        while not self._waiting:
            text = await self._receive_text()
            if not text:
                return b""
            try:
                self._waiting = self._decoder.decode(text)
            except MalformedPacket as exc:
                raise trio.BrokenResourceError(exc.reason) from exc
        size = len(self._waiting) if max_bytes is None else max_bytes
        taken, self._waiting = self._waiting[:size], self._waiting[size:]
        return taken

    async def _receive_text(self) -> bytes:
        while True:
            if self._early:
                await trio.lowlevel.checkpoint()
                early, self._early = self._early, b""
                return early
            self._replaced = False
            try:
                data = await self._up.receive_some()
            except (trio.ClosedResourceError, trio.BrokenResourceError):
                if not self._replaced:
                    raise
                continue
            if data or not self._replaced:
                return bytes(data)

    def close(self) -> None:
        self._forget()
        self._up.close()
        super().close()

    async def aclose(self) -> None:
        self._forget()
        try:
            await self._up.aclose()
        finally:
            await super().aclose()


def tunnel_of(stream: ByteStream) -> str:
    """What *stream* goes through: ``none``, ``http`` or ``websocket``."""
    if isinstance(stream, _HttpTunnel):
        return "http"
    return "websocket" if isinstance(stream, WebSocketStream) else "none"


class Tunnels:
    """Finds out what a new connection speaks, and brings together what belongs together."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[str, str], Callable[[ByteStream, bytes], None]] = {}

    async def unwrap(self, stream: ByteStream) -> ByteStream | None:
        """The stream on which the client of *stream* speaks RTSP; None where another connection carries it.

        Closes what makes no sense. The caller bounds how long this may take before the client has spoken.
        """
        data = b""
        # GET_PARAMETER, which is RTSP, differs from GET in the fourth byte only.
        while len(data) < len(_POST) and (not data or _GET.startswith(data) or _POST.startswith(data)):
            more = await stream.receive_some()
            if not more:
                break
            data += more
        if not data.startswith((_GET, _POST)):
            return ReplayedStream(stream, data)
        reader = HeadReader()
        try:
            head = reader.feed(data)
            while head is None:
                more = await stream.receive_some()
                if not more:
                    raise MalformedPacket("HTTP head is truncated")
                head = reader.feed(bytes(more))
            request = HttpRequest.parse(head)
        except MalformedPacket:
            await _refuse(stream, 400, "Bad Request")
            return None
        return await self._accept(stream, request, reader.take_rest())

    async def _accept(self, stream: ByteStream, request: HttpRequest, early: bytes) -> ByteStream | None:
        fields = request.fields
        if request.method == "GET" and "websocket" in (fields.get("Upgrade") or "").lower():
            return await _upgrade(stream, fields, early)
        cookie = (fields.get("X-Sessioncookie") or "").strip()
        if not cookie or len(cookie) > _LONGEST_COOKIE or not cookie.isprintable():
            await _refuse(stream, 404, "Not Found")
            return None
        # The address is part of it: who guesses or overhears a cookie elsewhere cannot speak for its owner.
        identity = (stream.peer_address.host, cookie)
        if request.method == "POST":
            take = self._waiting.get(identity)
            if take is None:
                await _refuse(stream, 400, "Bad Request")
            else:
                take(stream, early)
            return None
        if identity in self._waiting:
            await _refuse(stream, 400, "Bad Request")
            return None
        return await self._pair(stream, identity)

    async def _pair(self, down: ByteStream, identity: tuple[str, str]) -> ByteStream | None:
        arrived = trio.Event()
        tunnels: list[_HttpTunnel] = []

        def forget() -> None:
            self._waiting.pop(identity, None)

        def take(up: ByteStream, early: bytes) -> None:
            if tunnels:
                tunnels[0].replace(up, early)
            else:
                tunnels.append(_HttpTunnel(down, up, early, forget=forget))
                arrived.set()

        self._waiting[identity] = take
        try:
            await down.send_all(_GRANTED)
            with trio.move_on_after(_PAIRING_TIME):
                await arrived.wait()
        except BaseException:
            forget()
            raise
        if tunnels:
            return tunnels[0]
        forget()
        down.close()
        return None


_GRANTED = HttpResponse(
    code=200,
    reason="OK",
    fields=Fields(
        {
            "Connection": "close",
            "Cache-Control": "no-store",
            "Pragma": "no-cache",
            "Content-Type": _MEDIA_TYPE,
        }
    ),
).encode()


async def _upgrade(stream: ByteStream, fields: Fields, early: bytes) -> ByteStream | None:
    key = fields.get("Sec-WebSocket-Key")
    version = (fields.get("Sec-WebSocket-Version") or "").strip()
    offered = [name.strip() for text in fields.get_all("Sec-WebSocket-Protocol") for name in text.split(",")]
    if key is None or version != "13" or (offered and PROTOCOL not in offered):
        await _refuse(stream, 400, "Bad Request")
        return None
    if not _is_same_origin(fields):
        # A page from elsewhere must not use its visitor's way to our cameras.
        await _refuse(stream, 403, "Forbidden")
        return None
    answer = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Accept": accept_key(key)}
    if offered:
        answer["Sec-WebSocket-Protocol"] = PROTOCOL
    await stream.send_all(
        HttpResponse(code=101, reason="Switching Protocols", fields=Fields(answer)).encode()
    )
    return WebSocketStream(stream, entropy=None, early=early)


def _is_same_origin(fields: Fields) -> bool:
    origin = fields.get("Origin")
    return origin is None or origin.partition("://")[2] == (fields.get("Host") or "")


async def _refuse(stream: ByteStream, code: int, reason: str) -> None:
    fields = Fields({"Connection": "close", "Content-Length": "0"})
    try:
        await stream.send_all(HttpResponse(code=code, reason=reason, fields=fields).encode())
    finally:
        stream.close()
