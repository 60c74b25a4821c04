"""The methods of clients that read: DESCRIBE, SETUP, PLAY, PAUSE."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from attrs import evolve

from terzetto.errors import MalformedPacket
from terzetto.rtsp.core.control_url import split_track
from terzetto.rtsp.core.media_keys import MediaKeys
from terzetto.rtsp.core.rtsp_states import State
from terzetto.rtsp.core.server_session import Lower
from terzetto.rtsp.server.answers import (
    Answer,
    Context,
    RefusedError,
    ok,
    require_session,
    require_stream,
    require_url,
    with_key,
)
from terzetto.rtsp.server.application import Application
from terzetto.rtsp.server.secure_media import MissingKeyError, describe_securely, keys_of_reader
from terzetto.rtsp.server.session import RtspServerSession
from terzetto.rtsp.server.transports import TransportChoice
from terzetto.rtsp.stream import ServerStream
from terzetto.rtsp.wire.headers.accept import accepts
from terzetto.rtsp.wire.headers.content_type import SDP
from terzetto.rtsp.wire.headers.key_mgmt import KeyMgmt
from terzetto.rtsp.wire.headers.range import Range, parse_range
from terzetto.rtsp.wire.headers.replay import Replay
from terzetto.rtsp.wire.headers.require import BACKCHANNEL, ONVIF_REPLAY, parse_option_tags
from terzetto.rtsp.wire.headers.rtp_info import format_rtp_info
from terzetto.rtsp.wire.headers.scale import parse_scale, parse_speed
from terzetto.rtsp.wire.headers.transport import Transport
from terzetto.rtsp.wire.message import Request, Response
from terzetto.rtsp.wire.status import Status
from terzetto.rtsp.wire.url import RtspUrl

if TYPE_CHECKING:
    from terzetto.rtsp.server.server import RtspServer

__all__ = ["ReaderMethods"]


class ReaderMethods:
    """Answers those who read."""

    def __init__(self, server: RtspServer, application: Application, transports: TransportChoice) -> None:
        self._server = server
        self._handler = server.handler
        self._application = application
        self._transports = transports

    async def describe(self, context: Context) -> Answer:
        """DESCRIBE: what there is, as SDP."""
        url = require_url(context)
        if not accepts(context.request.fields.get_all("Accept"), SDP):
            raise RefusedError(Status.NOT_ACCEPTABLE)
        request = self._application.request(context)
        found = await self._application.ask("describe", self._handler.describe(request))
        if isinstance(found, Response):
            return Answer(response=found)
        stream = require_stream(found)
        wants_back = BACKCHANNEL in parse_option_tags(context.request.fields)
        # VLC tries multicast only where the description says so.
        is_multicast = "vlcmulticast" in url.query.split("&")
        srtp = self._server.options.srtp
        description = describe_securely(stream) if srtp else stream.description
        sdp = description.to_sdp(
            host="224.1.0.0" if is_multicast else "0.0.0.0", include_back_channels=wants_back
        )
        answer = ok(Content_Type=SDP, Content_Base=url.text + ("" if url.text.endswith("/") else "/"))
        answer.response.body = sdp.encode()
        return answer

    async def setup(
        self,
        context: Context,
        session: RtspServerSession | None,
        url: RtspUrl,
        spec: Transport,
        lower: Lower,
    ) -> Answer:
        """SETUP of one media of a stream."""
        target = split_track(url.target)
        if session is not None and session.rules.path not in (None, target.path):
            raise RefusedError(Status.AGGREGATE_NOT_ALLOWED)
        media = target.track or 0
        request = evolve(self._application.request(context), media=media, transport=lower.value)
        found = await self._application.ask("setup", self._handler.setup(request))
        if isinstance(found, Response):
            return Answer(response=found)
        stream = require_stream(found)
        if session is not None and session.stream is not None and session.stream is not stream:
            raise RefusedError(Status.AGGREGATE_NOT_ALLOWED)
        if media >= len(stream.description.medias) or stream.is_closed:
            raise RefusedError(Status.NOT_FOUND)
        is_new = session is None
        if session is None:
            session = await self._application.open_session(context.connection)
        try:
            keys, said = (None, None) if not spec.is_secure else _reader_keys(context, stream, media, url)
            if stream.description.medias[media].is_back_channel:
                _let_talk(stream, media, session, lower)
            transport = await self._transports.agree(session, context.connection, media, spec, lower, stream)
        except RefusedError:
            if is_new:
                stream.remove(session)
                self._server.close_session(session, "refused")
            raise
        session.rules.set_up[media].keys = keys
        rules = session.rules
        rules.path, rules.query, rules.lower = target.path, target.query, lower
        session.stream = stream
        stream.add(session)
        rules.advance("SETUP")
        ssrc = stream.sender(media).ssrc
        if len(stream.description.medias[media].formats) == 1 and ssrc is not None:
            transport = evolve(transport, ssrc=ssrc)
        return with_key(ok(Transport=str(transport)), said)

    async def play(self, context: Context) -> Answer:
        """PLAY what was set up."""
        session = require_session(context)
        url = require_url(context)
        stream = session.stream
        if stream is None or stream.is_closed:
            raise RefusedError(Status.NOT_FOUND)
        request = evolve(
            self._application.request(context, session),
            range=_range_of(context.request),
            scale=_factor_of(context.request, "Scale", parse_scale),
            speed=_factor_of(context.request, "Speed", parse_speed),
            replay=_replay_of(context.request),
        )
        refused = await self._application.ask("play", self._handler.play(request))
        if refused is not None and not refused.is_success:
            return Answer(response=refused)
        answer = ok() if refused is None else Answer(response=refused)
        base = url.with_target(split_track(url.target).path.rstrip("/"))
        infos = [stream.rtp_info(media, f"{base.text}/trackID={media}") for media in session.rules.set_up]
        answer.response.fields.setdefault("Range", "npt=now-")
        for name in ("Scale", "Speed"):
            if name in context.request.fields:
                # The actual one is owed; a handler that says nothing of it has not changed it.
                answer.response.fields.setdefault(name, "1")
        answer.response.fields.setdefault("RTP-Info", format_rtp_info(infos))
        was_playing = session.state is State.PLAYING
        session.rules.advance("PLAY")
        if session.rules.lower is Lower.TCP:
            session.rules.connection = context.connection.number
        return evolve(answer, after=None if was_playing else session.start_reading)

    async def pause(self, context: Context) -> Answer:
        """PAUSE: the session stays, its media stops."""
        session = require_session(context)
        refused = await self._application.ask(
            "pause", self._handler.pause(self._application.request(context, session))
        )
        if refused is not None and not refused.is_success:
            return Answer(response=refused)
        session.stop_reading()
        session.rules.advance("PAUSE")
        session.rules.connection = None
        return ok() if refused is None else Answer(response=refused)


def _let_talk(stream: ServerStream, media: int, session: RtspServerSession, lower: Lower) -> None:
    if lower is Lower.MULTICAST:
        raise RefusedError(Status.UNSUPPORTED_TRANSPORT)
    # Two who talk at once are understood by nobody, and no standard says who goes first: whoever came first does.
    if not stream.let_talk(media, session):
        raise RefusedError(Status.SERVICE_UNAVAILABLE, "Somebody Else Is Talking")


def _reader_keys(
    context: Context, stream: ServerStream, media: int, url: RtspUrl
) -> tuple[MediaKeys, KeyMgmt]:
    try:
        return keys_of_reader(context.request, stream, media, url.text)
    except MissingKeyError:
        raise RefusedError(Status.KEY_MANAGEMENT_FAILURE) from None


def _range_of(request: Request) -> Range | None:
    text = request.fields.get("Range")
    if text is None:
        return None
    try:
        return parse_range(text)
    except MalformedPacket:
        return None


def _replay_of(request: Request) -> Replay | None:
    # GStreamer requires nothing, and says how it wants to have the recording.
    says_how = any(name in request.fields for name in ("Rate-Control", "Immediate", "Frames"))
    if not says_how and ONVIF_REPLAY not in parse_option_tags(request.fields):
        return None
    try:
        return Replay.parse(request.fields)
    except MalformedPacket:
        raise RefusedError(Status.HEADER_FIELD_NOT_VALID) from None


def _factor_of(request: Request, name: str, parse: Callable[[str], float]) -> float | None:
    text = request.fields.get(name)
    try:
        return parse(text) if text is not None else None
    except MalformedPacket:
        return None
