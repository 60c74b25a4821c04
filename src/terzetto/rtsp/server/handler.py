"""What an application tells an RTSP server: a handler with async methods, all optional."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from terzetto.rtsp.stream import ServerStream
from terzetto.rtsp.wire.description import Description
from terzetto.rtsp.wire.headers.range import Range
from terzetto.rtsp.wire.headers.replay import Replay
from terzetto.rtsp.wire.message import Request, Response

if TYPE_CHECKING:
    from terzetto.rtsp.server.connection import RtspServerConnection
    from terzetto.rtsp.server.session import RtspServerSession

__all__ = ["RtspHandler", "RtspRequest"]


@frozen(kw_only=True)
class RtspRequest:
    """One request, as a handler sees it."""

    method: str
    path: str
    """Without the track and the query; never a file name. ``..`` has no meaning in it."""
    query: str
    user: str | None
    """Who asks, where the server has credentials."""
    connection: RtspServerConnection
    session: RtspServerSession | None
    message: Request
    """The message itself."""
    media: int | None = None
    """SETUP: which media."""
    transport: str | None = None
    """SETUP: ``udp``, ``tcp`` or ``multicast``."""
    description: Description | None = None
    """ANNOUNCE: what is to be published."""
    range: Range | None = None
    """PLAY: from when to when."""
    scale: float | None = None
    """PLAY: how fast the presentation goes by; negative is backwards. Answer with the ``Scale`` that you give."""
    speed: float | None = None
    """PLAY: how fast it is delivered. Answer with the ``Speed`` that you give."""
    replay: Replay | None = None
    """PLAY: how a recording is to be sent, where the client asks for one as ONVIF has it."""


class RtspHandler:
    """Derive from it and write the methods you need; a request whose method you lack is answered 501.

    A method may return a `Response` of its own making, to refuse for instance (``Response(404)``). The methods of one
    connection are called one after the other. An exception that leaves a method is answered 500, and logged.
    """

    async def describe(self, request: RtspRequest) -> ServerStream | Response | None:
        """Which stream is at this path; None is 404."""
        raise NotImplementedError

    async def setup(self, request: RtspRequest) -> ServerStream | Response | None:
        """Which stream to read; None is 404. Without this method `describe` is asked."""
        return await self.describe(request)

    async def announce(self, request: RtspRequest) -> Response | None:
        """Somebody wants to publish ``request.description``; None lets them."""
        raise NotImplementedError

    async def play(self, request: RtspRequest) -> Response | None:
        """A reader starts, or seeks; None lets them."""

    async def record(self, request: RtspRequest) -> Response | None:
        """A publisher starts: set ``request.session.on_packets``, or read its ``packets()``; None lets them."""
        raise NotImplementedError

    async def pause(self, request: RtspRequest) -> Response | None:
        """A reader or publisher stops for now; None lets them."""

    async def get_parameter(self, request: RtspRequest) -> Response | None:
        """Parameters are asked for; None answers with an empty body, which is what a sign of life wants."""

    async def set_parameter(self, request: RtspRequest) -> Response | None:
        """Parameters are set."""
        raise NotImplementedError

    async def connection_opened(self, connection: RtspServerConnection) -> None:
        """Somebody connected."""

    async def connection_closed(self, connection: RtspServerConnection, reason: str) -> None:
        """A connection ended."""

    async def session_opened(self, session: RtspServerSession) -> None:
        """A session began."""

    async def session_closed(self, session: RtspServerSession, reason: str) -> None:
        """A session ended; told exactly once, after which nothing comes from it."""

    def request_received(self, connection: RtspServerConnection, request: Request) -> None:
        """Every request, before anything is done about it: for logs, not for changes."""

    def response_sent(self, connection: RtspServerConnection, request: Request, response: Response) -> None:
        """Every answer, refusals as well, just before it is written."""

    def packets_lost(self, session: RtspServerSession, media: int, count: int) -> None:
        """A publisher's packets are missing."""

    def decode_error(self, session: RtspServerSession, media: int, reason: str) -> None:
        """A publisher's packet made no sense, and was dropped; told ever more rarely while it goes on."""

    def write_error(self, session: RtspServerSession, reason: str) -> None:
        """A reader is too slow: its backlog began to overflow."""
