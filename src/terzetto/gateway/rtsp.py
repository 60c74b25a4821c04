"""RTSP as an end of a route: whoever calls plays or publishes, whoever listens is published to or serves.

================================  ======================================================
``relay rtsp://camera/x ...``     plays the camera's stream, and again when it breaks
``relay rtsp://@:8554/x ...``     takes who publishes to that path
``relay ... rtsp://server/x``     publishes
``relay ... rtsp://@:8554/x``     serves any number of players, see `rtsp_serving`
================================  ======================================================

Packets of any format pass from RTSP to RTSP as they are. To and from everything else they are an MPEG transport
stream, put together by `rtsp_joining` and taken apart by `rtsp_splitting`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack
from typing import Final, cast

import attrs
import trio

from terzetto.driver.reconnecting import Reconnector
from terzetto.errors import AuthenticationFailed, CallerError, TerzettoError
from terzetto.gateway.again import retell_reconnection
from terzetto.gateway.contract import Batch, InputSettings, Json, Report, Sink, SinkPlan, Source, SourcePlan
from terzetto.gateway.rtsp_medias import Incoming, RtpWrapper, description_of
from terzetto.gateway.rtsp_serving import open_intake, open_outlet
from terzetto.gateway.rtsp_splitting import SplittingSink
from terzetto.net.network import current_network
from terzetto.primitives.reconnection import Reconnection
from terzetto.rtsp import events
from terzetto.rtsp.client import RtspClient, RtspPlayback, RtspPublication, connect_rtsp_client
from terzetto.rtsp.events import ClientEvent
from terzetto.rtsp.remux.library import import_av, is_installed
from terzetto.rtsp.url import RtspTarget, TransportStreamChoice, listening_from_url, target_from_url
from terzetto.rtsp.wire.description import Description
from terzetto.url import EndpointUrl, parse_url

__all__ = ["RtspPlayingSource", "RtspPublishingSink", "plan_sink", "plan_source"]

# Between two attempts to play a camera that is not there.
_AGAIN: Final = Reconnection(initial=1.0, longest=30.0)
_BETWEEN_COMPLAINTS: Final = 60.0


class RtspPlayingSource(Source):
    """The medias of a stream, played anew whenever it breaks."""

    def __init__(self, nursery: trio.Nursery, target: RtspTarget, report: Report) -> None:
        self._target = target
        self._report = report
        self._incoming: Incoming | None = None
        self._began = trio.Event()
        self._over = trio.Event()
        self._details: Mapping[str, Json] = {}
        self._last_complaint = -_BETWEEN_COMPLAINTS
        nursery.start_soon(self._keep_playing, nursery)

    async def receive(self) -> Batch:
        """The packets that are there."""
        while True:
            incoming = self._incoming
            if incoming is None:
                await self._began.wait()
                continue
            try:
                batch = await incoming.receive()
            except (TerzettoError, trio.ClosedResourceError) as exc:
                self._report("peer_lost", str(exc) or "the stream ended", level="warning")
                batch = None
            if batch is not None:
                return batch
            self.statistics()
            self._incoming = None
            self._began = trio.Event()
            self._over.set()

    def statistics(self) -> Mapping[str, Json]:
        """What the present session counted, or the last one."""
        if self._incoming is not None:
            self._details = self._incoming.statistics()
        return self._details

    async def aclose(self) -> None:
        """Tear down, where something plays."""
        self._over.set()
        await trio.lowlevel.checkpoint()

    async def _keep_playing(self, nursery: trio.Nursery) -> None:
        again = Reconnector(
            _AGAIN,
            str(parse_url(self._target.url)),
            entropy=current_network().entropy,
            tell=lambda event: retell_reconnection(event, self._report),
        )
        while True:
            reason = "the stream ended"
            began = trio.current_time()
            client = await connect_rtsp_client(nursery, self._target.url, options=self._target.options)
            nursery.start_soon(_retell, client.events(), self._report)
            try:
                async with client.play() as playback:
                    self._begin(playback)
                    await self._over.wait()
            except (CallerError, AuthenticationFailed):
                # Asking again with the same words would only lock the account.
                raise
            except TerzettoError as exc:
                reason = str(exc)
                self._complain(exc)
            finally:
                await client.aclose()
            # A camera that answers and breaks off at once has not come back.
            again.lasted(trio.current_time() - began)
            may_go_on = await again.wait(reason)
            assert may_go_on, "this policy never gives up"

    def _begin(self, playback: RtspPlayback) -> None:
        assert playback.description is not None
        self._over = trio.Event()
        self._incoming = Incoming(
            playback.description,
            playback.receive_packets,
            lambda: {"transport": playback.transport, **attrs.asdict(playback.statistics())},
        )
        self._began.set()
        self._last_complaint = -_BETWEEN_COMPLAINTS
        self._report("playing", f"playing by {playback.transport}: {self._incoming.formats}")

    def _complain(self, problem: TerzettoError) -> None:
        now = trio.current_time()
        if now - self._last_complaint >= _BETWEEN_COMPLAINTS:
            self._last_complaint = now
            self._report("no_answer", f"{problem}; trying on", level="warning")


class RtspPublishingSink(Sink):
    """Announces what it is given, and publishes it; anew where the medias change."""

    def __init__(self, client: RtspClient) -> None:
        self._client = client
        self._stack = AsyncExitStack()
        self._publication: RtspPublication | None = None
        self._described: Description | None = None
        self._wrapper = RtpWrapper()

    def send_nowait(self, batch: Batch) -> Batch | None:
        """Send now, if these medias are announced and there is room."""
        publication = self._publication
        if publication is None or not publication.has_room or description_of(batch) != self._described:
            return batch
        for media, packets, ntp in self._wrapper.runs(batch):
            publication.write(media, packets, ntp=ntp)
        return None

    async def send(self, batch: Batch) -> None:
        """Announce first, where this is something new."""
        description = description_of(batch)
        if self._publication is None or description != self._described:
            await self._announce(description)
        assert self._publication is not None
        for media, packets, ntp in self._wrapper.runs(batch):
            await self._publication.send(media, packets, ntp=ntp)

    async def wait_ready(self) -> None:
        """Wait until the server answers; what to announce shows with the first packets."""
        await self._client.get_options()

    def statistics(self) -> Mapping[str, Json]:
        """The counters of each media."""
        if self._publication is None:
            return {}
        medias = [cast("Json", attrs.asdict(media)) for media in self._publication.statistics()]
        return {"medias": medias}

    async def aclose(self) -> None:
        """Tear down when everything is written."""
        await self._stack.aclose()
        await self._client.aclose()

    async def _announce(self, description: Description) -> None:
        self._publication = None
        await self._stack.aclose()
        self._stack = AsyncExitStack()
        self._publication = await self._stack.enter_async_context(self._client.record(description))
        self._described = description


def plan_source(url: EndpointUrl, settings: InputSettings) -> SourcePlan:
    """Play *url*, or take who publishes there."""
    del settings
    if url.listen:
        listening = listening_from_url(url)
        return SourcePlan(url, lambda nursery, report: open_intake(nursery, listening, report))
    target = target_from_url(url)

    async def open_source(nursery: trio.Nursery, report: Report) -> Source:
        await trio.lowlevel.checkpoint()
        return RtspPlayingSource(nursery, target, report)

    return SourcePlan(url, open_source)


def plan_sink(url: EndpointUrl) -> SinkPlan:
    """Publish to *url*, or serve there."""
    if url.listen:
        listening = listening_from_url(url)

        async def open_serving(nursery: trio.Nursery, report: Report) -> Sink:
            outlet = await open_outlet(nursery, listening, report)
            return _split(outlet, listening.transport_stream, nursery, report)

        _check(listening.transport_stream)
        return SinkPlan(url, open_serving, takes_rtp=True)
    target = target_from_url(url)
    _check(target.transport_stream)

    async def open_publishing(nursery: trio.Nursery, report: Report) -> Sink:
        client = await connect_rtsp_client(nursery, target.url, options=target.options)
        nursery.start_soon(_retell, client.events(), report)
        return _split(RtspPublishingSink(client), target.transport_stream, nursery, report)

    return SinkPlan(url, open_publishing, takes_rtp=True)


def _check(choice: TransportStreamChoice) -> None:
    if choice == "split":
        import_av()  # or say how to get it, before anything has started


def _split(sink: Sink, choice: TransportStreamChoice, nursery: trio.Nursery, report: Report) -> Sink:
    """What takes a transport stream apart for *sink*, where that is wanted and possible."""
    if choice == "keep" or (choice == "auto" and not is_installed()):
        return sink
    splitting = SplittingSink(sink, report, insists=choice == "split")
    nursery.start_soon(splitting.run)
    return splitting


async def _retell(happenings: AsyncGenerator[ClientEvent, None], report: Report) -> None:
    async for event in happenings:
        match event:
            case events.Connected():
                report("peer_connected", f"{event.peer} is connected")
            case events.Redirected():
                report("redirected", f"the server sends us to {event.url}")
            case events.TransportChanged():
                report("transport_changed", f"media comes by {event.transport}: {event.reason}")
            case events.SourceChanged():
                report("source_changed", f"another source sends media {event.media} now")
