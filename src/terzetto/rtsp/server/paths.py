"""A handler that is ready to use: streams by path, given by the program or published by clients."""

from __future__ import annotations

from collections.abc import Mapping

from terzetto.rtsp.server.handler import RtspHandler, RtspRequest
from terzetto.rtsp.server.session import RtspServerSession
from terzetto.rtsp.stream import ServerStream
from terzetto.rtsp.wire.message import Response
from terzetto.rtsp.wire.status import Status

__all__ = ["PathHandler"]


class PathHandler(RtspHandler):
    """Serves *streams* by path; with *accept_publishers* clients may add streams of their own, for others to read.

    One publisher to a path: a second one is refused while the first is there.
    """

    def __init__(
        self, streams: Mapping[str, ServerStream] | None = None, *, accept_publishers: bool = False
    ) -> None:
        self.streams = dict(streams or {})
        self.accept_publishers = accept_publishers
        self._published: dict[RtspServerSession, str] = {}

    async def describe(self, request: RtspRequest) -> ServerStream | Response | None:
        """The stream at this path."""
        return self.streams.get(request.path)

    async def announce(self, request: RtspRequest) -> Response | None:
        """Let a publisher in, if the path is free."""
        if not self.accept_publishers:
            return Response(Status.FORBIDDEN)
        return Response(Status.FORBIDDEN) if request.path in self.streams else None

    async def record(self, request: RtspRequest) -> Response | None:
        """Give what is published to readers."""
        session = request.session
        assert session is not None
        assert session.description is not None
        if session in self._published:
            return None
        if request.path in self.streams:
            return Response(Status.FORBIDDEN)
        stream = ServerStream(session.description)
        self.streams[request.path] = stream
        self._published[session] = request.path
        session.on_packets = stream.relay
        return None

    async def session_closed(self, session: RtspServerSession, reason: str) -> None:
        """A publisher that leaves takes its stream along."""
        path = self._published.pop(session, None)
        if path is not None:
            self.streams.pop(path).close(f"the publisher left: {reason}")
