"""The methods of clients that publish: ANNOUNCE, SETUP, RECORD."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio
from attrs import evolve

from terzetto.driver.clock import current_micros
from terzetto.errors import MalformedPacket
from terzetto.rtp.ntp import ntp_from_unix
from terzetto.rtsp.core.control_url import track_of
from terzetto.rtsp.core.media_keys import MediaKeys
from terzetto.rtsp.core.rtsp_states import State
from terzetto.rtsp.core.server_session import Lower
from terzetto.rtsp.server.answers import (
    Answer,
    Context,
    RefusedError,
    ok,
    require_session,
    require_url,
    with_key,
)
from terzetto.rtsp.server.application import Application
from terzetto.rtsp.server.secure_media import MissingKeyError, keys_of_publisher
from terzetto.rtsp.server.session import RtspServerSession
from terzetto.rtsp.server.transports import TransportChoice
from terzetto.rtsp.wire.description import Description
from terzetto.rtsp.wire.headers.content_type import is_sdp
from terzetto.rtsp.wire.headers.key_mgmt import KeyMgmt
from terzetto.rtsp.wire.headers.transport import Mode, Transport
from terzetto.rtsp.wire.status import Status
from terzetto.rtsp.wire.url import RtspUrl

if TYPE_CHECKING:
    from terzetto.rtsp.server.server import RtspServer

__all__ = ["PublisherMethods"]

# rtspclientsink loses an answer that comes before it has begun to wait.
_GSTREAMER_NEEDS = 0.5


class PublisherMethods:
    """Answers those who publish."""

    def __init__(self, server: RtspServer, application: Application, transports: TransportChoice) -> None:
        self._server = server
        self._handler = server.handler
        self._application = application
        self._transports = transports

    async def announce(self, context: Context) -> Answer:
        """ANNOUNCE: what the client will send, as SDP."""
        if not self._application.has("announce") or not self._application.has("record"):
            raise RefusedError(Status.NOT_IMPLEMENTED)
        url, message = require_url(context), context.request
        if context.session is not None and context.session.state is not State.INITIAL:
            raise RefusedError(Status.METHOD_NOT_VALID_IN_STATE)
        if not is_sdp(message.fields.get("Content-Type"), message.body):
            raise RefusedError(Status.UNSUPPORTED_MEDIA_TYPE)
        try:
            description = Description.parse(message.body)
        except MalformedPacket:
            raise RefusedError(Status.BAD_REQUEST) from None
        if any(media.is_secure for media in description.medias) and not self._server.options.srtp:
            raise RefusedError(Status.UNSUPPORTED_TRANSPORT)
        request = evolve(
            self._application.request(context), path=_publisher_path(url), description=description
        )
        refused = await self._application.ask("announce", self._handler.announce(request))
        if refused is not None:
            return Answer(response=refused)
        session = context.session or await self._application.open_session(context.connection)
        session.rules.path, session.rules.query = _publisher_path(url), url.query
        session.description = description
        session.rules.advance("ANNOUNCE")
        session.announced_url = url
        return ok()

    async def setup(
        self, context: Context, session: RtspServerSession, url: RtspUrl, spec: Transport, lower: Lower
    ) -> Answer:
        """SETUP of one media that was announced."""
        description, announced = session.description, session.announced_url
        assert description is not None
        assert announced is not None
        controls = [media.control for media in description.medias]
        media = track_of(url.target, announced, controls)
        if media is None:
            raise RefusedError(Status.NOT_FOUND)
        if (context.request.fields.get("User-Agent") or "").startswith("GStreamer"):
            # Its sink may miss an answer that comes at once.
            await trio.sleep(_GSTREAMER_NEEDS)
        keys, said = (None, None) if not spec.is_secure else self._keys(context, description, media, url)
        transport = await self._transports.agree(session, context.connection, media, spec, lower, None)
        session.rules.set_up[media].keys = keys
        session.rules.lower = lower
        session.rules.advance("SETUP")
        return with_key(ok(Transport=str(evolve(transport, mode=Mode.RECORD))), said)

    async def record(self, context: Context) -> Answer:
        """RECORD: media comes from now on."""
        session = require_session(context)
        description = session.description
        if description is None or len(session.rules.set_up) != len(description.medias):
            raise RefusedError(Status.METHOD_NOT_VALID_IN_STATE)
        request = self._application.request(context, session)
        refused = await self._application.ask("record", self._handler.record(request))
        if refused is not None and not refused.is_success:
            return Answer(response=refused)
        if session.state is not State.RECORDING:
            session.start_receiving()
        session.rules.advance("RECORD")
        session.hear()
        if session.rules.lower is Lower.TCP:
            session.rules.connection = context.connection.number
        return ok() if refused is None else Answer(response=refused)

    def _keys(
        self, context: Context, description: Description, media: int, url: RtspUrl
    ) -> tuple[MediaKeys, KeyMgmt]:
        network = self._server.network
        try:
            return keys_of_publisher(
                context.request,
                description,
                media,
                url.text,
                # What our reports are called is not known yet, so the key is for any source.
                ssrc=0,
                ntp=ntp_from_unix(current_micros() + network.wall_clock_offset()),
                entropy=network.entropy,
            )
        except MissingKeyError:
            raise RefusedError(Status.KEY_MANAGEMENT_FAILURE) from None


def _publisher_path(url: RtspUrl) -> str:
    return url.path.removesuffix("/") or "/"
