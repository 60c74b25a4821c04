"""RTSP through what lets only HTTP pass: two HTTP requests, or a WebSocket; and through a proxy.

::

    HTTP        connection A: GET, whose answer never ends, carries what the server says
                connection B: POST, whose body never ends, carries what we say, in base64
    WebSocket   one connection, upgraded
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Awaitable, Callable

from terzetto.errors import AuthenticationFailed, ConnectionRefusedByPeer, MalformedPacket, WrongProtocol
from terzetto.net.stream import ByteStream, ReplayedStream, WrappedStream
from terzetto.primitives.datagrams import Buffer, EntropySource
from terzetto.rtsp.core.client_auth import ClientAuthenticator, Verdict
from terzetto.rtsp.websocket_stream import WebSocketStream
from terzetto.rtsp.wire.base64_stream import encode_base64
from terzetto.rtsp.wire.fields import Fields
from terzetto.rtsp.wire.http_head import HeadReader, HttpRequest, HttpResponse
from terzetto.rtsp.wire.message import Request
from terzetto.rtsp.wire.url import RtspUrl
from terzetto.rtsp.wire.websocket import PROTOCOL, accept_key

__all__ = ["connect_through_proxy", "open_http_tunnel", "open_websocket"]

_MEDIA_TYPE = "application/x-rtsp-tunnelled"
# A fiction that every server knows: the body never ends.
_POST_LENGTH = "32767"
_LONG_AGO = "Sun, 9 Jan 1972 00:00:00 GMT"

Dial = Callable[[], Awaitable[ByteStream]]


class _HttpTunnel(WrappedStream):
    """What the server says comes by one connection, what we say goes by another."""

    def __init__(self, down: ByteStream, up: ByteStream) -> None:
        super().__init__(down)
        self._up = up

    def send_nowait(self, data: Buffer) -> int:
        """Text cut in the middle would have to be remembered, so this is left to `send_all`."""
        del data
        return 0

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._up.send_all(encode_base64(bytes(data)))

    async def wait_send_all_might_not_block(self) -> None:
        await self._up.wait_send_all_might_not_block()

    def close(self) -> None:
        self._up.close()
        super().close()

    async def aclose(self) -> None:
        try:
            await self._up.aclose()
        finally:
            await super().aclose()


async def open_http_tunnel(
    dial: Dial, url: RtspUrl, *, authenticator: ClientAuthenticator, entropy: EntropySource, user_agent: str
) -> ByteStream:
    """Two connections that *dial* makes, as one stream."""
    cookie = entropy(16).hex()
    target = url.target or "/"
    common = {"Host": url.location, "User-Agent": user_agent, "X-Sessioncookie": cookie}
    uncached = {"Pragma": "no-cache", "Cache-Control": "no-cache"}
    down, early = await _ask_until_granted(
        dial,
        HttpRequest(
            method="GET", target=target, fields=Fields({**common, "Accept": _MEDIA_TYPE, **uncached})
        ),
        authenticator,
        url,
    )
    try:
        up = await dial()
        try:
            post = HttpRequest(
                method="POST",
                target=target,
                fields=Fields(
                    {
                        **common,
                        "Content-Type": _MEDIA_TYPE,
                        **uncached,
                        "Content-Length": _POST_LENGTH,
                        "Expires": _LONG_AGO,
                    }
                ),
            )
            _authorize(post, authenticator)
            # Nobody answers it, as a rule, so nobody waits for an answer.
            await up.send_all(post.encode())
        except BaseException:
            up.close()
            raise
    except BaseException:
        down.close()
        raise
    return _HttpTunnel(ReplayedStream(down, early), up)


async def open_websocket(
    dial: Dial, url: RtspUrl, *, authenticator: ClientAuthenticator, entropy: EntropySource, user_agent: str
) -> ByteStream:
    """One connection that *dial* makes, upgraded."""
    key = b64encode(entropy(16)).decode()
    fields = {
        "Host": url.location,
        "User-Agent": user_agent,
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": key,
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Protocol": PROTOCOL,
    }
    request = HttpRequest(method="GET", target=url.target or "/", fields=Fields(fields))
    stream, early = await _ask_until_granted(dial, request, authenticator, url, expected=101, key=key)
    return WebSocketStream(stream, entropy=entropy, early=early)


async def connect_through_proxy(transport: ByteStream, url: RtspUrl) -> None:
    """Have the proxy at the other end of *transport* connect us to the server of *url*."""
    host = f"[{url.host}]" if ":" in url.host else url.host
    where = f"{host}:{url.effective_port}"
    request = HttpRequest(method="CONNECT", target=where, fields=Fields({"Host": where}))
    response, early = await _ask(transport, request)
    if not response.is_success or early:
        raise ConnectionRefusedByPeer(
            f"the proxy does not connect us to {where}: {response.code} {response.reason}",
            code=response.code,
            reason=response.reason,
            hint="check the proxy's address, and what it allows",
        )


async def _ask_until_granted(
    dial: Dial,
    request: HttpRequest,
    authenticator: ClientAuthenticator,
    url: RtspUrl,
    *,
    expected: int = 200,
    key: str = "",
) -> tuple[ByteStream, bytes]:
    """The connection on which *request* was granted, with what came behind the answer."""
    while True:
        was_authorized = _authorize(request, authenticator)
        stream = await dial()
        try:
            response, early = await _ask(stream, request)
            if response.code == expected and _is_accepted(response, key):
                return stream, early
            if response.code != 401:
                raise ConnectionRefusedByPeer(
                    f"{url}: the server opens no tunnel: {response.code} {response.reason}",
                    code=response.code,
                    reason=response.reason,
                    hint="it may speak RTSP alone; try without the tunnel",
                )
            verdict = authenticator.handle_refusal(
                response.fields.get_all("WWW-Authenticate"), was_authorized=was_authorized
            )
            if verdict is not Verdict.RETRY:
                raise AuthenticationFailed(f"{url}: {verdict.value}")
        except BaseException:
            stream.close()
            raise
        stream.close()


async def _ask(stream: ByteStream, request: HttpRequest) -> tuple[HttpResponse, bytes]:
    await stream.send_all(request.encode())
    reader = HeadReader()
    try:
        while True:
            data = await stream.receive_some()
            if not data:
                raise ConnectionRefusedByPeer(
                    "the server closed the connection instead of opening a tunnel",
                    hint="it may speak RTSP alone; try without the tunnel",
                )
            head = reader.feed(bytes(data))
            if head is not None:
                return HttpResponse.parse(head), reader.take_rest()
    except MalformedPacket as exc:
        raise WrongProtocol(
            f"the server does not speak HTTP: {exc.reason}", hint="try without the tunnel"
        ) from exc


def _authorize(request: HttpRequest, authenticator: ClientAuthenticator) -> bool:
    proof = Request(request.method, request.target)
    if not authenticator.authorize(proof):
        return False
    request.fields["Authorization"] = proof.fields["Authorization"]
    return True


def _is_accepted(response: HttpResponse, key: str) -> bool:
    return not key or (response.fields.get("Sec-WebSocket-Accept") or "").strip() == accept_key(key)
