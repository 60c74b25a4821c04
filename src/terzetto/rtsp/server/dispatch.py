"""From a request to its answer: checks in a fixed order, then the handler, then what follows from its word."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from terzetto.errors import MalformedPacket
from terzetto.rtsp.core.rtsp_states import State
from terzetto.rtsp.server.answers import Answer, Context, RefusedError, ok, require_session, require_url
from terzetto.rtsp.server.application import Application
from terzetto.rtsp.server.connection import RtspServerConnection
from terzetto.rtsp.server.examination import Examiner
from terzetto.rtsp.server.publishers import PublisherMethods
from terzetto.rtsp.server.readers import ReaderMethods
from terzetto.rtsp.server.transports import TransportChoice
from terzetto.rtsp.wire.headers.content_type import PARAMETERS
from terzetto.rtsp.wire.headers.public import format_methods
from terzetto.rtsp.wire.headers.session import SessionHeader
from terzetto.rtsp.wire.headers.transport import parse_transports
from terzetto.rtsp.wire.message import Request, Response
from terzetto.rtsp.wire.status import Status

if TYPE_CHECKING:
    from terzetto.rtsp.server.server import RtspServer

__all__ = ["Dispatcher"]

# Media Foundation gives its sign of life exactly when the time we announce is over.
_ANNOUNCED_EARLIER = 5


class Dispatcher:
    """Answers the requests of all connections of one server."""

    def __init__(self, server: RtspServer) -> None:
        self._server = server
        self._handler = server.handler
        self._examiner = Examiner(server)
        self._application = Application(server)
        self._transports = TransportChoice(server)
        self._readers = ReaderMethods(server, self._application, self._transports)
        self._publishers = PublisherMethods(server, self._application, self._transports)
        self._methods: dict[str, Callable[[Context], Awaitable[Answer]]] = {
            "DESCRIBE": self._readers.describe,
            "ANNOUNCE": self._publishers.announce,
            "SETUP": self._setup,
            "PLAY": self._readers.play,
            "RECORD": self._publishers.record,
            "PAUSE": self._readers.pause,
            "TEARDOWN": self._teardown,
            "GET_PARAMETER": self._get_parameter,
            "SET_PARAMETER": self._set_parameter,
        }

    def failure(self) -> Answer:
        """What a handler's exception is answered with."""
        return Answer(response=Response(Status.INTERNAL_ERROR), close=True)

    async def answer(self, connection: RtspServerConnection, request: Request) -> Answer:
        """Answer one request."""
        try:
            context, refusal = await self._examiner.examine(connection, request)
            if refusal is not None:
                return refusal
            if request.method == "OPTIONS":
                answer = self._options(context)
            else:
                answer = await self._methods[request.method](context)
        except RefusedError as exc:
            return Answer(response=exc.response)
        session = connection.session
        if session is not None and request.method != "TEARDOWN" and answer.response.is_success:
            header = SessionHeader(session.rules.token, self._announced_timeout)
            answer.response.fields.setdefault("Session", str(header))
        return answer

    @property
    def _announced_timeout(self) -> int:
        return max(1, int(self._server.options.idle_timeout) - _ANNOUNCED_EARLIER)

    def _options(self, context: Context) -> Answer:
        del context
        methods = ["OPTIONS", "DESCRIBE", "SETUP", "PLAY", "PAUSE", "TEARDOWN", "GET_PARAMETER"]
        if self._application.has("announce") and self._application.has("record"):
            methods += ["ANNOUNCE", "RECORD"]
        if self._application.has("set_parameter"):
            methods.append("SET_PARAMETER")
        return ok(Public=format_methods(methods))

    async def _setup(self, context: Context) -> Answer:
        url = require_url(context)
        try:
            specs = parse_transports(context.request.fields.get("Transport") or "")
        except MalformedPacket:
            raise RefusedError(Status.UNSUPPORTED_TRANSPORT) from None
        session = context.session
        is_publisher = session is not None and session.state is State.PRE_RECORD
        spec, lower = self._transports.choose(specs, session, is_publisher=is_publisher)
        if session is not None and is_publisher:
            return await self._publishers.setup(context, session, url, spec, lower)
        return await self._readers.setup(context, session, url, spec, lower)

    async def _teardown(self, context: Context) -> Answer:
        session = require_session(context)
        self._server.close_session(session, "torn down by the client")
        return ok()

    async def _get_parameter(self, context: Context) -> Answer:
        answered = await self._application.ask(
            "get_parameter", self._handler.get_parameter(self._application.request(context, context.session))
        )
        if answered is not None:
            return Answer(response=answered)
        return ok(Content_Type=PARAMETERS)

    async def _set_parameter(self, context: Context) -> Answer:
        if not self._application.has("set_parameter"):
            if context.request.body:
                raise RefusedError(Status.NOT_IMPLEMENTED)
            return ok()  # ONVIF devices give signs of life this way
        answered = await self._application.ask(
            "set_parameter", self._handler.set_parameter(self._application.request(context, context.session))
        )
        return ok() if answered is None else Answer(response=answered)
