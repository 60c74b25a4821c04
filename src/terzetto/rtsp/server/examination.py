"""What a request is held against before its method begins, in a fixed order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio
from attrs import evolve

from terzetto.driver.clock import current_micros
from terzetto.errors import MalformedPacket
from terzetto.primitives.time import seconds
from terzetto.rtsp.server.answers import Answer, Context, RefusedError
from terzetto.rtsp.server.connection import RtspServerConnection
from terzetto.rtsp.server.session import RtspServerSession
from terzetto.rtsp.wire.headers.allow import format_allow
from terzetto.rtsp.wire.headers.require import KNOWN_OPTIONS, parse_option_tags
from terzetto.rtsp.wire.headers.session import SessionHeader
from terzetto.rtsp.wire.headers.unsupported import format_unsupported
from terzetto.rtsp.wire.message import Request, Response
from terzetto.rtsp.wire.status import METHODS, Status
from terzetto.rtsp.wire.url import RtspUrl

if TYPE_CHECKING:
    from terzetto.rtsp.server.server import RtspServer

__all__ = ["Examiner"]


class Examiner:
    """Examines the requests of all connections of one server."""

    def __init__(self, server: RtspServer) -> None:
        self._server = server

    async def examine(
        self, connection: RtspServerConnection, request: Request
    ) -> tuple[Context, Answer | None]:
        """What is known of the request, and an answer if it goes no further."""
        if request.cseq is None:
            raise RefusedError(Status.BAD_REQUEST)
        if request.method not in METHODS or request.method == "REDIRECT":
            raise RefusedError(Status.NOT_IMPLEMENTED)
        url = _parse_target(request)
        tags = [tag for tag in parse_option_tags(request.fields) if tag not in KNOWN_OPTIONS]
        if tags:
            raise RefusedError(Status.OPTION_NOT_SUPPORTED, Unsupported=format_unsupported(tags))
        context = Context(connection=connection, request=request, url=url, session=None)
        if request.method != "OPTIONS":
            refusal = await self._authenticate(context)
            if refusal is not None:
                return context, refusal
        session = self._find_session(context)
        if session is not None:
            session.hear()
            status = session.rules.refuses(request.method)
            if status is not None:
                raise RefusedError(status, Allow=format_allow(session.rules.allowed()))
        return evolve(context, session=session), None

    async def _authenticate(self, context: Context) -> Answer | None:
        server, connection = self._server, context.connection
        if server.credentials is None or connection.user is not None:
            return None
        now = current_micros()
        claim = connection.authenticator.examine(
            context.request, base=_base_of(context.request.target), now=now
        )
        if isinstance(claim, Response):
            return Answer(response=claim)
        password = await server.credentials(claim.username)
        if password is not None and claim.matches(password):
            connection.user = claim.username
            server.brake.succeeded(connection.peer_address.host)
            return None
        delay = server.brake.failed(connection.peer_address.host, now=now)
        await trio.sleep(seconds(delay))
        # The same nonce again tells the client that it was not the nonce.
        return Answer(response=connection.authenticator.challenge(now=current_micros()), close=True)

    def _find_session(self, context: Context) -> RtspServerSession | None:
        connection = context.connection
        text = context.request.fields.get("Session")
        if text is None:
            return connection.session
        try:
            token = SessionHeader.parse(text).token
        except MalformedPacket:
            raise RefusedError(Status.SESSION_NOT_FOUND) from None
        session = self._server.sessions.get(token)
        if session is None or not session.rules.belongs_to(
            connection.peer_address.host, connection.user, connection.number
        ):
            raise RefusedError(Status.SESSION_NOT_FOUND)
        if connection.session is None:
            connection.session = session
            session.connection = connection
        elif connection.session is not session:
            raise RefusedError(Status.BAD_REQUEST)
        return session


def _parse_target(request: Request) -> RtspUrl | None:
    if request.target == "*":
        if request.method != "OPTIONS":
            raise RefusedError(Status.BAD_REQUEST)
        return None
    try:
        return RtspUrl.parse(request.target)
    except MalformedPacket:
        raise RefusedError(Status.BAD_REQUEST) from None


def _base_of(target: str) -> str:
    """The URL without its track: what some players hash in SETUP."""
    for marker in ("/trackID=", "trackID="):
        position = target.rfind(marker)
        if position > 0:
            return target[:position]
    return target
