"""One control connection at work on the server."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import trio

from terzetto.driver.clock import current_micros
from terzetto.driver.stream import StreamSession
from terzetto.net.stream import ByteStream
from terzetto.primitives.datagrams import Address, Buffer
from terzetto.primitives.time import micros
from terzetto.rtsp.core.rtsp_states import State
from terzetto.rtsp.core.server_auth import ServerAuthenticator
from terzetto.rtsp.core.server_control import (
    ConnectionEnded,
    FramesReceived,
    RequestReceived,
    ServerControl,
    ServerControlEvent,
    ServerControlSettings,
)
from terzetto.rtsp.core.server_session import Lower
from terzetto.rtsp.statistics import ConnectionStatistics
from terzetto.rtsp.wire.headers.connection import wants_close
from terzetto.rtsp.wire.message import Request
from terzetto.rtsp.wire.url import RtspUrl

if TYPE_CHECKING:
    from terzetto.rtsp.server.server import RtspServer
    from terzetto.rtsp.server.session import RtspServerSession

__all__ = ["RtspServerConnection"]

_LOG = logging.getLogger("terzetto.rtsp")


class RtspServerConnection:
    """One client's connection; handlers get it with each request."""

    def __init__(
        self, server: RtspServer, stream: ByteStream, number: int, *, is_secure: bool, tunnel: str = "none"
    ) -> None:
        options = server.options
        self._server = server
        self._stream = stream
        self._tunnel = tunnel
        self.number = number
        """Counts connections; no two are the same."""
        self.is_secure = is_secure
        self.session: RtspServerSession | None = None
        self.user: str | None = None
        """Who it is, once they have proved it."""
        self.authenticator = ServerAuthenticator(options.realm, server.schemes, server.network.entropy)
        self.control = ServerControl(
            ServerControlSettings(
                server_name=options.server_name,
                first_request_timeout=micros(options.request_timeout),
                unit_timeout=micros(options.request_timeout),
                idle_timeout=micros(options.idle_timeout),
            ),
            now=current_micros(),
        )
        self._requests_in, self._requests = trio.open_memory_channel[Request](1)
        self._driver = StreamSession(
            self.control,
            stream,
            deliver=self._deliver,
            ready=self._wait_ready,
            write_timeout=options.write_timeout,
        )
        self._scope = trio.CancelScope()
        self._reason = ""
        self.user_data: object = None
        """The application's own."""

    # -- for handlers --------------------------------------------------------------------------------------------

    @property
    def peer_address(self) -> Address:
        """The client's address."""
        return self._stream.peer_address

    @property
    def local_address(self) -> Address:
        """Our address that it connected to."""
        return self._stream.local_address

    def close(self, reason: str = "closed by the server") -> None:
        """Close at once."""
        self._reason = self._reason or reason
        self._scope.cancel()

    def statistics(self) -> ConnectionStatistics:
        """A snapshot of the counters."""
        return ConnectionStatistics(
            bytes_received=self.control.bytes_received,
            bytes_sent=self.control.bytes_sent,
            tunnel=self._tunnel,
        )

    # -- for the server ------------------------------------------------------------------------------------------

    @property
    def backlog(self) -> int:
        """Bytes that wait for the client."""
        return self._driver.backlog

    @property
    def driver(self) -> StreamSession[ServerControlEvent]:
        """What runs it."""
        return self._driver

    def redirect(self, target: RtspUrl, *, path: str, session: str) -> bool:
        """Ask the client of that session to go elsewhere; False once the connection is over."""
        here = f"rtsp{'s' * self.is_secure}://{self.local_address}{path}"
        said = self.control.request("REDIRECT", here, {"Location": target.text, "Session": session})
        self._driver.drain()
        return said

    def write(self, data: Buffer, *, limit: int) -> bool:
        """Write interleaved frames; False when too much waits already."""
        if self._driver.write(data, limit=limit):
            self.control.bytes_sent += len(data)
            return True
        return False

    def close_soon(self, reason: str) -> None:
        """Close, once whoever calls is done."""
        self._reason = self._reason or reason
        self._server.nursery.start_soon(self._close_task)

    async def _close_task(self) -> None:
        await trio.lowlevel.checkpoint()
        self._scope.cancel()

    async def run(self) -> None:
        """Serve until the client leaves, or is shown out."""
        handler = self._server.handler
        try:
            await handler.connection_opened(self)
            with self._scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._answer_requests)
                    await self._driver.run()
                    nursery.cancel_scope.cancel()
        finally:
            self._driver.close()
            self._requests_in.close()
            self._requests.close()
            reason = self._reason or str(self._driver.failure or "closed")
            self._server.forget_connection(self, reason)
            with trio.CancelScope(shield=True, deadline=trio.current_time() + 1.0):
                await handler.connection_closed(self, reason)

    async def _wait_ready(self) -> None:
        while self.control.is_crowded:  # noqa: ASYNC110
            await trio.sleep(0.01)

    def _deliver(self, events: list[ServerControlEvent]) -> None:
        for event in events:
            if isinstance(event, FramesReceived):
                session = self.session
                if session is not None and session.rules.lower is Lower.TCP and session.state.is_streaming:
                    session.take_frames(event.frames)
            elif isinstance(event, RequestReceived):
                try:
                    self._requests_in.send_nowait(event.request)
                except (trio.ClosedResourceError, trio.BrokenResourceError):
                    return
            elif isinstance(event, ConnectionEnded):
                self._reason = self._reason or event.reason

    async def _answer_requests(self) -> None:
        handler = self._server.handler
        async for request in self._requests:
            handler.request_received(self, request)
            try:
                answer = await self._server.dispatcher.answer(self, request)
            except Exception:
                _LOG.exception("a handler failed at %s", request.method)
                answer = self._server.dispatcher.failure()
            handler.response_sent(self, request, answer.response)
            close = answer.close or wants_close(request.fields.get_all("Connection"))
            self.control.respond(answer.response, now=current_micros(), close=close)
            self._driver.drain()
            if answer.after is not None:
                # Media may flow only behind the answer.
                answer.after()
            session = self.session
            streams_here = (
                session is not None and session.rules.lower is Lower.TCP and session.state.is_streaming
            )
            # A reader over TCP may be silent for ever: that it takes what we send is sign of life enough.
            self.control.may_be_idle = streams_here and session is not None and session.state is State.PLAYING
            self._driver.tick = self._server.options.tick if streams_here else 0.0
            self._driver.drain()
