"""What users open: an RTSP client."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import attrs
import trio

from terzetto.driver.clock import current_micros
from terzetto.driver.delivery import EventHub
from terzetto.driver.nursery import open_session_nursery
from terzetto.errors import MalformedPacket, ProtocolViolation, WrongProtocol
from terzetto.net.network import current_network
from terzetto.rtp.ntp import ntp_from_unix
from terzetto.rtsp.client.connection import ClientConnection, refusal
from terzetto.rtsp.client.playback import RtspPlayback
from terzetto.rtsp.client.publication import RtspPublication
from terzetto.rtsp.core.control_url import base_url
from terzetto.rtsp.events import ClientEvent, Redirected
from terzetto.rtsp.options import RtspOptions
from terzetto.rtsp.statistics import ConnectionStatistics
from terzetto.rtsp.wire.description import Description, Media
from terzetto.rtsp.wire.fields import Fields
from terzetto.rtsp.wire.headers.content_type import PARAMETERS, SDP, is_sdp
from terzetto.rtsp.wire.headers.location import parse_location
from terzetto.rtsp.wire.headers.range import Range
from terzetto.rtsp.wire.headers.replay import Replay
from terzetto.rtsp.wire.headers.require import BACKCHANNEL
from terzetto.rtsp.wire.status import Status, is_redirect
from terzetto.rtsp.wire.url import RtspUrl, parse_user_url

__all__ = ["RtspClient", "connect_rtsp_client", "open_rtsp_client"]


class RtspClient:
    """Talks to one RTSP server; dials when first asked something."""

    def __init__(self, nursery: trio.Nursery, url: RtspUrl, options: RtspOptions) -> None:
        self._nursery = nursery
        self._url = url
        self._origin = url
        self.options = options
        self.network = current_network()
        self.hub = EventHub[ClientEvent]()
        self._connection: ClientConnection | None = None
        self._description: Description | None = None
        self._base = url

    @property
    def url(self) -> str:
        """Where the stream is, after redirects, without credentials."""
        return self._url.text

    @property
    def nursery(self) -> trio.Nursery:
        """Where our tasks live."""
        return self._nursery

    def ntp(self) -> int:
        """The wall clock, in NTP's format."""
        return ntp_from_unix(current_micros() + self.network.wall_clock_offset())

    @property
    def base(self) -> RtspUrl:
        """The URL of the presentation, as the last description gave it."""
        return self._base

    @property
    def request_url(self) -> RtspUrl:
        """The URL of the stream."""
        return self._url

    async def get_options(self) -> frozenset[str]:
        """The methods that the server says it has; empty when it does not say."""
        connection = await self.connection()
        return connection.control.public

    async def describe(self) -> Description:
        """The medias of the stream; follows redirects."""
        seen = {self._url.text}
        while True:
            connection = await self.connection()
            fields = Fields({"Accept": SDP})
            if self.options.back_channel:
                fields["Require"] = BACKCHANNEL
            answered = await connection.request("DESCRIBE", self._url, fields)
            response = answered.response
            if response.code == Status.OPTION_NOT_SUPPORTED and "Require" in fields:
                answered = await connection.request("DESCRIBE", self._url, {"Accept": SDP})
                response = answered.response
            if is_redirect(response.code):
                await self._follow(response.fields.get_all("Location"), seen)
                continue
            if not response.is_success:
                raise refusal("DESCRIBE", self._url, answered)
            if not is_sdp(response.fields.get("Content-Type"), response.body):
                raise WrongProtocol(f"{self.url}: the server's description is no SDP")
            try:
                description = Description.parse(response.body)
            except MalformedPacket as exc:
                raise ProtocolViolation(
                    f"{self.url}: the server's description is useless: {exc.reason}"
                ) from exc
            self._description = description
            self._base = base_url(self._url, response.fields, description.control)
            return description

    @asynccontextmanager
    async def play(
        self,
        medias: Sequence[Media] | None = None,
        *,
        range: Range | None = None,  # noqa: A002  # the header's name
        scale: float | None = None,
        speed: float | None = None,
        replay: Replay | None = None,
    ) -> AsyncIterator[RtspPlayback]:
        """Play these medias of the description, or all but back channels; leaving the block tears down.

        *scale* is how fast the presentation goes by (negative is backwards), *speed* how fast it is delivered; what the
        server makes of them is in the playback.

        With *replay* it is a recording that is played, as ONVIF has it: *range* is then a `ClockRange`, a *scale* of -1
        plays backwards, and packets tell when they were recorded, see `RtspPacket.replay`.

        Iterate the playback for packets.
        """
        await self.connection()  # which a REDIRECT may have sent elsewhere, to other medias
        description = self._description or await self.describe()
        indexes = _indexes(description, medias)
        playback = RtspPlayback(self, indexes, start=range, scale=scale, speed=speed, replay=replay)
        try:
            await playback.start(description)
            yield playback
        finally:
            await playback.aclose()

    @asynccontextmanager
    async def record(self, description: Description) -> AsyncIterator[RtspPublication]:
        """Publish a stream of these medias; leaving the block tears down."""
        publication = RtspPublication(self, description)
        try:
            await publication.start()
            yield publication
        finally:
            await publication.aclose()

    async def get_parameter(self, names: Sequence[str] = ()) -> bytes:
        """Ask for parameters; the body of the answer."""
        connection = await self.connection()
        body = "".join(f"{name}\r\n" for name in names).encode()
        fields = {"Content-Type": PARAMETERS} if body else {}
        return (await connection.request_ok("GET_PARAMETER", self._base, fields, body)).body

    async def set_parameter(self, body: bytes, content_type: str = PARAMETERS) -> bytes:
        """Set parameters; the body of the answer."""
        connection = await self.connection()
        fields = {"Content-Type": content_type}
        return (await connection.request_ok("SET_PARAMETER", self._base, fields, body)).body

    def events(self) -> AsyncGenerator[ClientEvent, None]:
        """What happens from now on, after the most recent of what has happened."""
        return self.hub.listen()

    def statistics(self) -> ConnectionStatistics:
        """Counters of the control connection."""
        return ConnectionStatistics() if self._connection is None else self._connection.statistics()

    async def aclose(self) -> None:
        """Close the connection; medias that still play are torn down by their own blocks."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()
        self.hub.close()

    # -- for playback and publication ----------------------------------------------------------------------------

    async def connection(self) -> ClientConnection:
        """The control connection, dialled anew where there is none or it is gone."""
        current = self._connection
        if current is not None and not current.lost.is_set() and not current.control.is_finished:
            return current
        if current is not None:
            self.drop_connection()
        connection = await ClientConnection.open(
            self._nursery, self.network, self._url, self.options, publish=self.hub.publish
        )
        self._connection = connection
        # Some servers do not know the path yet, or not for OPTIONS; what matters comes later.
        answered = await connection.request("OPTIONS", self._url)
        code = answered.response.code
        if code == Status.UNAUTHORIZED:
            raise refusal("OPTIONS", self._url, answered)
        return connection

    def drop_connection(self) -> None:
        """Forget the connection: the next request dials anew, where a REDIRECT sent us if one did."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close_nowait()
            if connection.redirect is not None:
                self._go_to(connection.redirect)

    async def _follow(self, locations: Sequence[str], seen: set[str]) -> None:
        try:
            target = parse_location(locations, self._url)
        except MalformedPacket as exc:
            raise ProtocolViolation(f"{self.url}: the server redirects to nowhere: {exc.reason}") from exc
        if len(seen) > self.options.max_redirects or target.text in seen:
            raise ProtocolViolation(f"{self.url}: the server redirects without end")
        seen.add(target.text)
        self._go_to(target)
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    def _go_to(self, target: RtspUrl) -> None:
        if self._url.is_secure and not target.is_secure:
            raise ProtocolViolation(f"{self.url}: the server redirects to a connection without encryption")
        # Credentials are for the server they were given for, whatever a Location says.
        here = (self._origin.host, self._origin.effective_port)
        keep = (target.host, target.effective_port) == here or target.host == self._origin.host
        self._url = target.with_credentials_of(self._origin) if keep else target
        self._base = self._url
        self._description = None
        self.hub.publish(Redirected(target.text))


def _indexes(description: Description, medias: Sequence[Media] | None) -> list[int]:
    if medias is None:
        return [
            index
            for index, media in enumerate(description.medias)
            if not media.is_back_channel and media.fault is None
        ]
    found: list[int] = []
    for media in medias:
        for index, each in enumerate(description.medias):
            if each is media or (each == media and index not in found):
                found.append(index)
                break
        else:
            raise ValueError("a media to play is not one of the description's")
    return found


async def connect_rtsp_client(
    nursery: trio.Nursery, url: str, *, options: RtspOptions | None = None, **knobs: Any
) -> RtspClient:
    """A client whose tasks live in *nursery*; close it with ``aclose()``. See `open_rtsp_client`."""
    await trio.lowlevel.checkpoint()
    chosen = attrs.evolve(options or RtspOptions(), **knobs)
    return RtspClient(nursery, parse_user_url(url), chosen)


@asynccontextmanager
async def open_rtsp_client(
    url: str, *, options: RtspOptions | None = None, **knobs: Any
) -> AsyncIterator[RtspClient]:
    """A client of the server in *url*; keywords are those of `RtspOptions`, and beat *options*."""
    async with open_session_nursery() as nursery:
        client = await connect_rtsp_client(nursery, url, options=options, **knobs)
        try:
            yield client
        finally:
            await client.aclose()
