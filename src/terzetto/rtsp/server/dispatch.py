"""From a request to its answer: checks in a fixed order, then the handler, then what follows from its word."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import trio
from attrs import evolve, frozen

from terzetto.driver.clock import current_micros
from terzetto.errors import MalformedPacket
from terzetto.primitives.datagrams import Address
from terzetto.primitives.time import seconds
from terzetto.rtp.ntp import ntp_from_unix
from terzetto.rtsp.core.control_url import split_track, track_of
from terzetto.rtsp.core.media_keys import MediaKeys
from terzetto.rtsp.core.rtsp_states import State
from terzetto.rtsp.core.server_session import Lower, SetUp
from terzetto.rtsp.server.connection import RtspServerConnection
from terzetto.rtsp.server.handler import RtspHandler, RtspRequest
from terzetto.rtsp.server.secure_media import (
    MissingKeyError,
    describe_securely,
    keys_of_publisher,
    keys_of_reader,
)
from terzetto.rtsp.server.session import RtspServerSession
from terzetto.rtsp.stream import ServerStream
from terzetto.rtsp.wire.description import Description
from terzetto.rtsp.wire.headers.content_type import PARAMETERS, SDP, is_sdp
from terzetto.rtsp.wire.headers.key_mgmt import KeyMgmt
from terzetto.rtsp.wire.headers.public import format_methods
from terzetto.rtsp.wire.headers.range import Range, parse_range
from terzetto.rtsp.wire.headers.require import BACKCHANNEL, KNOWN_OPTIONS, parse_option_tags
from terzetto.rtsp.wire.headers.rtp_info import format_rtp_info
from terzetto.rtsp.wire.headers.session import SessionHeader
from terzetto.rtsp.wire.headers.transport import (
    Delivery,
    LowerTransport,
    Mode,
    Transport,
    parse_transports,
)
from terzetto.rtsp.wire.message import Request, Response
from terzetto.rtsp.wire.status import METHODS, Status
from terzetto.rtsp.wire.url import RtspUrl

if TYPE_CHECKING:
    from terzetto.rtsp.server.server import RtspServer

__all__ = ["Answer", "Dispatcher"]

_Answered = TypeVar("_Answered")

# Media Foundation gives its sign of life exactly when the time we announce is over.
_ANNOUNCED_EARLIER = 5


@frozen(kw_only=True)
class Answer:
    """A response, and what happens behind it."""

    response: Response
    close: bool = False
    after: Callable[[], None] | None = None


class _RefusedError(Exception):
    def __init__(self, status: Status, **fields: str) -> None:
        super().__init__(status)
        self.response = Response(status)
        for name, value in fields.items():
            self.response.fields[name.replace("_", "-")] = value


@frozen(kw_only=True)
class _Context:
    connection: RtspServerConnection
    request: Request
    url: RtspUrl | None
    session: RtspServerSession | None


class Dispatcher:
    """Answers the requests of all connections of one server."""

    def __init__(self, server: RtspServer) -> None:
        self._server = server
        self._handler = server.handler
        self._methods: dict[str, Callable[[_Context], Awaitable[Answer]]] = {
            "DESCRIBE": self._describe,
            "ANNOUNCE": self._announce,
            "SETUP": self._setup,
            "PLAY": self._play,
            "RECORD": self._record,
            "PAUSE": self._pause,
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
            context, refusal = await self._examine(connection, request)
            if refusal is not None:
                return refusal
            if request.method == "OPTIONS":
                answer = self._options(context)
            else:
                answer = await self._methods[request.method](context)
        except _RefusedError as exc:
            return Answer(response=exc.response)
        session = connection.session
        if session is not None and request.method != "TEARDOWN" and answer.response.is_success:
            header = SessionHeader(session.rules.token, self._announced_timeout)
            answer.response.fields.setdefault("Session", str(header))
        return answer

    @property
    def _announced_timeout(self) -> int:
        return max(1, int(self._server.options.idle_timeout) - _ANNOUNCED_EARLIER)

    # -- before the method ---------------------------------------------------------------------------------------

    async def _examine(
        self, connection: RtspServerConnection, request: Request
    ) -> tuple[_Context, Answer | None]:
        if request.cseq is None:
            raise _RefusedError(Status.BAD_REQUEST)
        if request.method not in METHODS or request.method == "REDIRECT":
            raise _RefusedError(Status.NOT_IMPLEMENTED)
        url = _parse_target(request)
        tags = [
            tag for tag in parse_option_tags(request.fields.get_all("Require")) if tag not in KNOWN_OPTIONS
        ]
        if tags:
            raise _RefusedError(Status.OPTION_NOT_SUPPORTED, Unsupported=", ".join(tags))
        context = _Context(connection=connection, request=request, url=url, session=None)
        if request.method != "OPTIONS":
            refusal = await self._authenticate(context)
            if refusal is not None:
                return context, refusal
        session = self._find_session(context)
        if session is not None:
            session.hear()
            status = session.rules.refuses(request.method)
            if status is not None:
                raise _RefusedError(status)
        return evolve(context, session=session), None

    async def _authenticate(self, context: _Context) -> Answer | None:
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

    def _find_session(self, context: _Context) -> RtspServerSession | None:
        connection = context.connection
        text = context.request.fields.get("Session")
        if text is None:
            return connection.session
        try:
            token = SessionHeader.parse(text).token
        except MalformedPacket:
            raise _RefusedError(Status.SESSION_NOT_FOUND) from None
        session = self._server.sessions.get(token)
        if session is None or not session.rules.belongs_to(
            connection.peer_address.host, connection.user, connection.number
        ):
            raise _RefusedError(Status.SESSION_NOT_FOUND)
        if connection.session is None:
            connection.session = session
            session.connection = connection
        elif connection.session is not session:
            raise _RefusedError(Status.BAD_REQUEST)
        return session

    # -- methods -------------------------------------------------------------------------------------------------

    def _options(self, context: _Context) -> Answer:
        del context
        methods = ["OPTIONS", "DESCRIBE", "SETUP", "PLAY", "PAUSE", "TEARDOWN", "GET_PARAMETER"]
        if self._has("announce") and self._has("record"):
            methods += ["ANNOUNCE", "RECORD"]
        if self._has("set_parameter"):
            methods.append("SET_PARAMETER")
        return _ok(Public=format_methods(methods))

    async def _describe(self, context: _Context) -> Answer:
        url = _require_url(context)
        request = self._request(context)
        found = await self._ask("describe", self._handler.describe(request))
        if isinstance(found, Response):
            return Answer(response=found)
        stream = _require_stream(found)
        wants_back = BACKCHANNEL in parse_option_tags(context.request.fields.get_all("Require"))
        # VLC tries multicast only where the description says so.
        is_multicast = "vlcmulticast" in url.query.split("&")
        srtp = self._server.options.srtp
        description = describe_securely(stream) if srtp else stream.description
        sdp = description.to_sdp(
            host="224.1.0.0" if is_multicast else "0.0.0.0", include_back_channels=wants_back
        )
        answer = _ok(Content_Type=SDP, Content_Base=url.text + ("" if url.text.endswith("/") else "/"))
        answer.response.body = sdp.encode()
        return answer

    async def _announce(self, context: _Context) -> Answer:
        if not self._has("announce") or not self._has("record"):
            raise _RefusedError(Status.NOT_IMPLEMENTED)
        url, message = _require_url(context), context.request
        if context.session is not None and context.session.state is not State.INITIAL:
            raise _RefusedError(Status.METHOD_NOT_VALID_IN_STATE)
        if not is_sdp(message.fields.get("Content-Type"), message.body):
            raise _RefusedError(Status.UNSUPPORTED_MEDIA_TYPE)
        try:
            description = Description.parse(message.body)
        except MalformedPacket:
            raise _RefusedError(Status.BAD_REQUEST) from None
        if any(media.is_secure for media in description.medias) and not self._server.options.srtp:
            raise _RefusedError(Status.UNSUPPORTED_TRANSPORT)
        request = evolve(self._request(context), path=_publisher_path(url), description=description)
        refused = await self._ask("announce", self._handler.announce(request))
        if refused is not None:
            return Answer(response=refused)
        session = context.session or await self._open_session(context.connection)
        session.rules.path, session.rules.query = _publisher_path(url), url.query
        session.description = description
        session.rules.advance("ANNOUNCE")
        session.announced_url = url
        return _ok()

    async def _setup(self, context: _Context) -> Answer:
        url = _require_url(context)
        try:
            specs = parse_transports(context.request.fields.get("Transport") or "")
        except MalformedPacket:
            raise _RefusedError(Status.UNSUPPORTED_TRANSPORT) from None
        session = context.session
        is_publisher = session is not None and session.state is State.PRE_RECORD
        spec, lower = self._choose(specs, session, is_publisher=is_publisher)
        if session is not None and is_publisher:
            return await self._setup_publisher(context, session, url, spec, lower)
        return await self._setup_reader(context, session, url, spec, lower)

    async def _setup_reader(
        self,
        context: _Context,
        session: RtspServerSession | None,
        url: RtspUrl,
        spec: Transport,
        lower: Lower,
    ) -> Answer:
        target = split_track(url.target)
        if session is not None and session.rules.path not in (None, target.path):
            raise _RefusedError(Status.AGGREGATE_NOT_ALLOWED)
        media = target.track or 0
        request = evolve(self._request(context), media=media, transport=lower.value)
        found = await self._ask("setup", self._handler.setup(request))
        if isinstance(found, Response):
            return Answer(response=found)
        stream = _require_stream(found)
        if session is not None and session.stream is not None and session.stream is not stream:
            raise _RefusedError(Status.AGGREGATE_NOT_ALLOWED)
        if media >= len(stream.description.medias) or stream.is_closed:
            raise _RefusedError(Status.NOT_FOUND)
        is_new = session is None
        if session is None:
            session = await self._open_session(context.connection)
        try:
            keys, said = (None, None) if not spec.is_secure else _reader_keys(context, stream, media, url)
            transport = await self._agree(session, context.connection, media, spec, lower, stream)
        except _RefusedError:
            if is_new:
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
        return _with_key(_ok(Transport=str(transport)), said)

    async def _setup_publisher(
        self, context: _Context, session: RtspServerSession, url: RtspUrl, spec: Transport, lower: Lower
    ) -> Answer:
        description, announced = session.description, session.announced_url
        assert description is not None
        assert announced is not None
        controls = [media.control for media in description.medias]
        media = track_of(url.target, announced, controls)
        if media is None:
            raise _RefusedError(Status.NOT_FOUND)
        if (context.request.fields.get("User-Agent") or "").startswith("GStreamer"):
            # Its sink may miss an answer that comes at once.
            await trio.sleep(_GSTREAMER_NEEDS)
        keys, said = (
            (None, None) if not spec.is_secure else self._publisher_keys(context, description, media, url)
        )
        transport = await self._agree(session, context.connection, media, spec, lower, None)
        session.rules.set_up[media].keys = keys
        session.rules.lower = lower
        session.rules.advance("SETUP")
        return _with_key(_ok(Transport=str(evolve(transport, mode=Mode.RECORD))), said)

    def _publisher_keys(
        self, context: _Context, description: Description, media: int, url: RtspUrl
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
            raise _RefusedError(Status.KEY_MANAGEMENT_FAILURE) from None

    async def _play(self, context: _Context) -> Answer:
        session = _require_session(context)
        url = _require_url(context)
        stream = session.stream
        if stream is None or stream.is_closed:
            raise _RefusedError(Status.NOT_FOUND)
        request = evolve(
            self._request(context, session),
            range=_range_of(context.request),
            scale=_scale_of(context.request),
        )
        refused = await self._ask("play", self._handler.play(request))
        if refused is not None and not refused.is_success:
            return Answer(response=refused)
        answer = _ok() if refused is None else Answer(response=refused)
        base = url.with_target(split_track(url.target).path.rstrip("/"))
        infos = [stream.rtp_info(media, f"{base.text}/trackID={media}") for media in session.rules.set_up]
        answer.response.fields.setdefault("Range", "npt=now-")
        answer.response.fields.setdefault("RTP-Info", format_rtp_info(infos))
        was_playing = session.state is State.PLAYING
        session.rules.advance("PLAY")
        if session.rules.lower is Lower.TCP:
            session.rules.connection = context.connection.number
        return evolve(answer, after=None if was_playing else session.start_reading)

    async def _record(self, context: _Context) -> Answer:
        session = _require_session(context)
        description = session.description
        if description is None or len(session.rules.set_up) != len(description.medias):
            raise _RefusedError(Status.METHOD_NOT_VALID_IN_STATE)
        refused = await self._ask("record", self._handler.record(self._request(context, session)))
        if refused is not None and not refused.is_success:
            return Answer(response=refused)
        if session.state is not State.RECORDING:
            session.start_receiving()
        session.rules.advance("RECORD")
        session.hear()
        if session.rules.lower is Lower.TCP:
            session.rules.connection = context.connection.number
        return _ok() if refused is None else Answer(response=refused)

    async def _pause(self, context: _Context) -> Answer:
        session = _require_session(context)
        refused = await self._ask("pause", self._handler.pause(self._request(context, session)))
        if refused is not None and not refused.is_success:
            return Answer(response=refused)
        session.stop_reading()
        session.rules.advance("PAUSE")
        session.rules.connection = None
        return _ok() if refused is None else Answer(response=refused)

    async def _teardown(self, context: _Context) -> Answer:
        session = _require_session(context)
        self._server.close_session(session, "torn down by the client")
        return _ok()

    async def _get_parameter(self, context: _Context) -> Answer:
        answered = await self._ask(
            "get_parameter", self._handler.get_parameter(self._request(context, context.session))
        )
        if answered is not None:
            return Answer(response=answered)
        return _ok(Content_Type=PARAMETERS)

    async def _set_parameter(self, context: _Context) -> Answer:
        if not self._has("set_parameter"):
            if context.request.body:
                raise _RefusedError(Status.NOT_IMPLEMENTED)
            return _ok()  # ONVIF devices give signs of life this way
        answered = await self._ask(
            "set_parameter", self._handler.set_parameter(self._request(context, context.session))
        )
        return _ok() if answered is None else Answer(response=answered)

    # -- help ----------------------------------------------------------------------------------------------------

    def _has(self, name: str) -> bool:
        return getattr(type(self._handler), name) is not getattr(RtspHandler, name)

    async def _ask(self, name: str, answer: Awaitable[_Answered]) -> _Answered:
        try:
            return await answer
        except NotImplementedError:
            raise _RefusedError(Status.NOT_IMPLEMENTED) from None

    def _request(self, context: _Context, session: RtspServerSession | None = None) -> RtspRequest:
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

    async def _open_session(self, connection: RtspServerConnection) -> RtspServerSession:
        session = self._server.open_session(connection)
        if session is None:
            raise _RefusedError(Status.SERVICE_UNAVAILABLE)
        await self._handler.session_opened(session)
        return session

    def _choose(
        self, specs: list[Transport], session: RtspServerSession | None, *, is_publisher: bool
    ) -> tuple[Transport, Lower]:
        """The first spec that we can serve, and that fits the session's earlier ones."""
        earlier = session.rules.lower if session is not None else None
        fits = False
        for spec in specs:
            lower = _lower_of(spec)
            if spec.is_secure and not self._server.options.srtp:
                continue
            if not self._serves(lower, is_publisher=is_publisher, is_srtp=spec.is_secure):
                continue
            fits = True
            if earlier is not None and lower is not earlier:
                continue
            if lower is Lower.UDP and spec.client_port is None:
                raise _RefusedError(Status.BAD_REQUEST)
            if spec.mode is Mode.RECORD and not is_publisher:
                raise _RefusedError(Status.BAD_REQUEST)
            if spec.mode is Mode.PLAY and is_publisher:
                raise _RefusedError(Status.BAD_REQUEST)
            return spec, lower
        raise _RefusedError(Status.BAD_REQUEST if fits else Status.UNSUPPORTED_TRANSPORT)

    def _serves(self, lower: Lower, *, is_publisher: bool, is_srtp: bool) -> bool:
        if lower is Lower.TCP:
            return True
        if self._server.is_secure and not is_srtp:
            return False  # beside an encrypted connection media would travel in clear
        if lower is Lower.UDP:
            return self._server.udp is not None
        return self._server.options.multicast_groups is not None and not is_publisher

    async def _agree(
        self,
        session: RtspServerSession,
        connection: RtspServerConnection,
        media: int,
        spec: Transport,
        lower: Lower,
        stream: ServerStream | None,
    ) -> Transport:
        """Reserve what the media needs, and say what the answer says."""
        rules = session.rules
        profile = Transport(lower=spec.lower, profile=spec.profile, delivery=Delivery.UNICAST, mode=spec.mode)
        if lower is Lower.TCP:
            before = rules.set_up.get(media)
            channels = spec.interleaved or (before.channels if before else None) or rules.free_channels()
            if not rules.channels_are_free(channels, media):
                raise _RefusedError(Status.BAD_REQUEST)
            rules.set_up[media] = SetUp(media=media, channels=channels)
            return evolve(profile, interleaved=channels)
        if lower is Lower.UDP:
            udp = self._server.udp
            assert udp is not None
            assert spec.client_port is not None
            rtp, rtcp = (Address(rules.host, port) for port in spec.client_port)
            if 0 in spec.client_port or not udp.register(session, media, rtp, rtcp):
                raise _RefusedError(Status.BAD_REQUEST)
            rules.set_up[media] = SetUp(media=media, client_ports=spec.client_port)
            return evolve(profile, client_port=spec.client_port, server_port=udp.ports)
        assert stream is not None
        if media not in rules.set_up:
            await self._server.join_group(stream, media, is_secure=spec.is_secure)
            rules.set_up[media] = SetUp(media=media)
        group = stream.group(media)
        assert group is not None
        return evolve(
            profile,
            delivery=Delivery.MULTICAST,
            destination=group.host,
            port=(group.port, group.port + 1),
            ttl=self._server.options.multicast_ttl,
        )


# rtspclientsink loses an answer that comes before it has begun to wait.
_GSTREAMER_NEEDS = 0.5


def _ok(**fields: str) -> Answer:
    response = Response(Status.OK)
    for name, value in fields.items():
        response.fields[name.replace("_", "-")] = value
    return Answer(response=response)


def _with_key(answer: Answer, said: KeyMgmt | None) -> Answer:
    if said is not None:
        answer.response.fields["KeyMgmt"] = str(said)
    return answer


def _reader_keys(
    context: _Context, stream: ServerStream, media: int, url: RtspUrl
) -> tuple[MediaKeys, KeyMgmt]:
    try:
        return keys_of_reader(context.request, stream, media, url.text)
    except MissingKeyError:
        raise _RefusedError(Status.KEY_MANAGEMENT_FAILURE) from None


def _parse_target(request: Request) -> RtspUrl | None:
    if request.target == "*":
        if request.method != "OPTIONS":
            raise _RefusedError(Status.BAD_REQUEST)
        return None
    try:
        return RtspUrl.parse(request.target)
    except MalformedPacket:
        raise _RefusedError(Status.BAD_REQUEST) from None


def _base_of(target: str) -> str:
    """The URL without its track: what some players hash in SETUP."""
    for marker in ("/trackID=", "trackID="):
        position = target.rfind(marker)
        if position > 0:
            return target[:position]
    return target


def _publisher_path(url: RtspUrl) -> str:
    return url.path.removesuffix("/") or "/"


def _lower_of(spec: Transport) -> Lower:
    if spec.lower is LowerTransport.TCP:
        return Lower.TCP
    return Lower.MULTICAST if spec.is_multicast else Lower.UDP


def _require_url(context: _Context) -> RtspUrl:
    if context.url is None:
        raise _RefusedError(Status.BAD_REQUEST)
    return context.url


def _require_session(context: _Context) -> RtspServerSession:
    if context.session is None:
        raise _RefusedError(Status.SESSION_NOT_FOUND)
    return context.session


def _require_stream(found: ServerStream | None) -> ServerStream:
    if found is None:
        raise _RefusedError(Status.NOT_FOUND)
    return found


def _range_of(request: Request) -> Range | None:
    text = request.fields.get("Range")
    if text is None:
        return None
    try:
        return parse_range(text)
    except MalformedPacket:
        return None


def _scale_of(request: Request) -> float | None:
    text = request.fields.get("Scale")
    try:
        return float(text) if text is not None else None
    except ValueError:
        return None
