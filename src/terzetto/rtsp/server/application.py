"""The handler of a server, as the methods ask it."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING, TypeVar

from terzetto.rtsp.core.control_url import split_track
from terzetto.rtsp.server.answers import Context, RefusedError
from terzetto.rtsp.server.connection import RtspServerConnection
from terzetto.rtsp.server.handler import RtspHandler, RtspRequest
from terzetto.rtsp.server.session import RtspServerSession
from terzetto.rtsp.wire.status import Status

if TYPE_CHECKING:
    from terzetto.rtsp.server.server import RtspServer

__all__ = ["Application"]

_Answered = TypeVar("_Answered")


class Application:
    """Asks the application's handler."""

    def __init__(self, server: RtspServer) -> None:
        self._server = server
        self._handler = server.handler

    def has(self, name: str) -> bool:
        """Whether the handler's author wrote this method."""
        return getattr(type(self._handler), name) is not getattr(RtspHandler, name)

    async def ask(self, name: str, answer: Awaitable[_Answered]) -> _Answered:
        """The handler's word; 501 when it has none."""
        try:
            return await answer
        except NotImplementedError:
            raise RefusedError(Status.NOT_IMPLEMENTED) from None

    def request(self, context: Context, session: RtspServerSession | None = None) -> RtspRequest:
        """The request as the handler sees it."""
        url = context.url
        target = split_track(url.target) if url is not None else None
        session = session or context.session
        path = target.path if target is not None else "/"
        if session is not None and session.description is not None and session.path is not None:
            path = session.path
        return RtspRequest(
            method=context.request.method,
            path=path,
            query=target.query if target is not None else "",
            user=context.connection.user,
            connection=context.connection,
            session=session,
            message=context.request,
        )

    async def open_session(self, connection: RtspServerConnection) -> RtspServerSession:
        """A new session, made known to the handler."""
        session = self._server.open_session(connection)
        if session is None:
            raise RefusedError(Status.SERVICE_UNAVAILABLE)
        await self._handler.session_opened(session)
        return session
