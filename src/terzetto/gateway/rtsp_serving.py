"""The ends of a route that listen for RTSP: one path that players read, or that a publisher fills."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Final, cast

import attrs
import trio

from terzetto.gateway.contract import Batch, Json, Report, Sink, Source
from terzetto.gateway.rtsp_medias import Incoming, RtpWrapper, description_of
from terzetto.rtsp.server import RtspHandler, RtspRequest, RtspServer, RtspServerSession, serve_rtsp
from terzetto.rtsp.stream import ServerStream
from terzetto.rtsp.url import RtspListening
from terzetto.rtsp.wire.description import Description
from terzetto.rtsp.wire.message import Response
from terzetto.rtsp.wire.status import Status

__all__ = ["RtspIntake", "RtspOutlet", "open_intake", "open_outlet"]

# A player may come before the first packet, which says what there is to play.
_PATIENCE: Final = 5.0


class RtspOutlet(Sink):
    """Serves the route's stream to all who play it; a slow one harms nobody."""

    def __init__(self, path: str, report: Report) -> None:
        self.handler = _Players(self, path, report)
        self.server: RtspServer | None = None
        self._stream: ServerStream | None = None
        self._described: Description | None = None
        self._has_stream = trio.Event()
        self._wrapper = RtpWrapper()

    def send_nowait(self, batch: Batch) -> None:
        """Send to everybody who plays; what a slow reader cannot take is left out for that one."""
        description = description_of(batch)
        if self._stream is None or (description is not self._described and description != self._described):
            self._begin(description)
        assert self._stream is not None
        for media, packets, ntp in self._wrapper.runs(batch):
            self._stream.write(media, packets, ntp=ntp)

    async def send(self, batch: Batch) -> None:
        """The same."""
        self.send_nowait(batch)
        await trio.lowlevel.checkpoint()

    async def stream(self) -> ServerStream | None:
        """What there is to play; None when nothing has come for a while."""
        with trio.move_on_after(_PATIENCE):
            await self._has_stream.wait()
        return self._stream

    def statistics(self) -> Mapping[str, Json]:
        """The counters of the stream and the number of its readers."""
        if self._stream is None:
            return {"readers": 0}
        return cast("Mapping[str, Json]", attrs.asdict(self._stream.statistics()))

    async def aclose(self) -> None:
        """Let players have what waits for them, then close."""
        if self.server is not None:
            await self.server.drain()

    def _begin(self, description: Description) -> None:
        if self._stream is not None:
            self._stream.close("the medias changed")
        self._stream = ServerStream(description)
        self._described = description
        self._has_stream.set()


class _Players(RtspHandler):
    def __init__(self, outlet: RtspOutlet, path: str, report: Report) -> None:
        self._outlet = outlet
        self._path = path
        self._report = report

    async def describe(self, request: RtspRequest) -> ServerStream | Response | None:
        return await self._outlet.stream() if request.path.rstrip("/") == self._path.rstrip("/") else None

    async def play(self, request: RtspRequest) -> Response | None:
        session = request.session
        if session is not None and not session.user_data:
            session.user_data = True
            self._report("reader_joined", f"{session.host} plays by {session.transport}")
        return None

    async def session_closed(self, session: RtspServerSession, reason: str) -> None:
        if session.user_data:
            self._report("reader_left", f"{session.host} left: {reason}")


class RtspIntake(Source):
    """Takes one publisher after the other."""

    def __init__(self, path: str, report: Report) -> None:
        self.handler = _Publishers(self, path)
        self._report = report
        self._session: RtspServerSession | None = None
        self._incoming: Incoming | None = None
        self._began = trio.Event()
        self._details: Mapping[str, Json] = {}

    @property
    def is_taken(self) -> bool:
        """Whether somebody publishes."""
        return self._session is not None

    async def receive(self) -> Batch:
        """The packets that are there."""
        while True:
            incoming = self._incoming
            if incoming is None:
                await self._began.wait()
                continue
            batch = await incoming.receive()
            if batch is not None:
                return batch
            if self._incoming is incoming:
                self.statistics()
                self._incoming = None
                self._began = trio.Event()

    def statistics(self) -> Mapping[str, Json]:
        """What the present publisher's session counted, or the last one's."""
        if self._incoming is not None:
            self._details = self._incoming.statistics()
        return self._details

    async def aclose(self) -> None:
        """Show the publisher out."""
        if self._session is not None:
            self._session.close("the route ends")
        await trio.lowlevel.checkpoint()

    def begin(self, session: RtspServerSession) -> None:
        """Somebody publishes from now on."""
        assert session.description is not None
        self._session = session
        self._incoming = Incoming(
            session.description,
            session.packets().get,
            lambda: cast("Mapping[str, Json]", attrs.asdict(session.received())),
        )
        self._began.set()
        self._report(
            "peer_connected", f"{session.host} publishes by {session.transport}: {self._incoming.formats}"
        )

    def end(self, session: RtspServerSession, reason: str) -> None:
        """A session ended, perhaps the publisher's."""
        if session is self._session:
            self._session = None
            self._report("peer_lost", f"{session.host} left: {reason}")


class _Publishers(RtspHandler):
    def __init__(self, intake: RtspIntake, path: str) -> None:
        self._intake = intake
        self._path = path.rstrip("/")

    async def announce(self, request: RtspRequest) -> Response | None:
        await trio.lowlevel.checkpoint()
        if self._path and request.path.rstrip("/") != self._path:
            return Response(Status.NOT_FOUND)
        return Response(Status.FORBIDDEN) if self._intake.is_taken else None

    async def record(self, request: RtspRequest) -> Response | None:
        await trio.lowlevel.checkpoint()
        session = request.session
        assert session is not None
        if session.user_data:
            return None  # it goes on after a pause
        if self._intake.is_taken:
            return Response(Status.FORBIDDEN)
        session.user_data = True
        self._intake.begin(session)
        return None

    async def session_closed(self, session: RtspServerSession, reason: str) -> None:
        self._intake.end(session, reason)


async def open_outlet(nursery: trio.Nursery, listening: RtspListening, report: Report) -> Sink:
    """Serve at that address and path."""
    outlet = RtspOutlet(listening.path, report)
    outlet.server = await _serve(nursery, outlet.handler, listening)
    report("listening", f"serving {outlet.server.url}{listening.path}")
    return outlet


async def open_intake(nursery: trio.Nursery, listening: RtspListening, report: Report) -> Source:
    """Wait for publishers at that address and path."""
    intake = RtspIntake(listening.path, report)
    server = await _serve(nursery, intake.handler, listening)
    report("listening", f"publish to {server.url}{listening.path}")
    return intake


async def _serve(nursery: trio.Nursery, handler: RtspHandler, listening: RtspListening) -> RtspServer:
    server: RtspServer = await nursery.start(
        partial(
            serve_rtsp,
            handler,
            listening.url,
            credentials=listening.credentials,
            options=listening.options,
        )
    )
    return server
