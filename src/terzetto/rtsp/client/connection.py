"""One control connection of a client: dial, encrypt, ask, be answered."""

from __future__ import annotations

from collections.abc import Callable

import trio
from attrs import define, field

from terzetto.driver.clock import current_micros
from terzetto.driver.stream import StreamSession
from terzetto.errors import (
    AuthenticationFailed,
    ConnectionRefusedByPeer,
    MalformedPacket,
    PeerError,
    PeerTimedOut,
    ProtocolViolation,
    TerzettoError,
)
from terzetto.net.network import Network
from terzetto.net.stream import ByteStream
from terzetto.primitives.datagrams import Address
from terzetto.primitives.time import micros
from terzetto.rtsp.client.dial import dial
from terzetto.rtsp.core.client_auth import ClientAuthenticator, Credentials, Verdict
from terzetto.rtsp.core.client_control import (
    Answered,
    AskedByServer,
    ClientControl,
    ClientSettings,
    ConnectionLost,
    ControlEvent,
    FramesArrived,
    SessionGone,
    Unanswered,
)
from terzetto.rtsp.events import ClientEvent, Connected, Disconnected, ServerNotice
from terzetto.rtsp.options import RtspOptions
from terzetto.rtsp.statistics import ConnectionStatistics
from terzetto.rtsp.wire.fields import FieldsLike
from terzetto.rtsp.wire.headers.allow import parse_allow
from terzetto.rtsp.wire.headers.location import parse_location
from terzetto.rtsp.wire.headers.unsupported import parse_unsupported
from terzetto.rtsp.wire.interleaved import Frame
from terzetto.rtsp.wire.message import Response
from terzetto.rtsp.wire.status import Status
from terzetto.rtsp.wire.url import RtspUrl

__all__ = ["ClientConnection", "refusal"]

_HINTS = {
    Status.NOT_FOUND: "check the path of the URL",
    Status.FORBIDDEN: "the server does not let this user or address do that",
    Status.UNSUPPORTED_TRANSPORT: "try another transport",
    Status.NOT_ENOUGH_BANDWIDTH: "the server has as many readers as it takes",
    Status.SERVICE_UNAVAILABLE: "try again later",
    Status.NOT_IMPLEMENTED: "the server does not offer this",
}


@define
class _Waiter:
    done: trio.Event = field(factory=trio.Event)
    outcome: Answered | Unanswered | None = None


def refusal(method: str, url: RtspUrl | str, answered: Answered) -> TerzettoError:
    """The exception that a refused request is."""
    response = answered.response
    text = url if isinstance(url, str) else url.text
    if response.code == Status.UNAUTHORIZED:
        verdict = answered.verdict or Verdict.WRONG_CREDENTIALS
        return AuthenticationFailed(
            f"{text}: {verdict.value}", hint="give username and password, or check them"
        )
    return ConnectionRefusedByPeer(
        f"{text}: the server answered {method} with {response.code} {response.reason}",
        code=response.code,
        reason=response.reason,
        hint=_hint(response),
    )


def _hint(response: Response) -> str:
    """What the user may do about a refusal, as far as the server says."""
    if response.code in (Status.METHOD_NOT_ALLOWED, Status.METHOD_NOT_VALID_IN_STATE):
        methods = parse_allow(response.fields.get_all("Allow"))
        return f"the server would take {', '.join(methods)}" if methods else ""
    if response.code == Status.OPTION_NOT_SUPPORTED:
        tags = parse_unsupported(response.fields.get_all("Unsupported"))
        return f"the server does not know {', '.join(tags)}" if tags else ""
    return _HINTS.get(Status(response.code), "") if response.code in set(Status) else ""


class ClientConnection:
    """Made by `open`; its tasks live in a nursery of the caller's."""

    def __init__(
        self,
        control: ClientControl,
        stream: ByteStream,
        options: RtspOptions,
        *,
        url: RtspUrl,
        publish: Callable[[ClientEvent], None],
    ) -> None:
        self._url = url
        self.control = control
        self.stream = stream
        self._publish = publish
        self._waiters: dict[int, _Waiter] = {}
        self._scope = trio.CancelScope()
        self._done = trio.Event()
        self.lost = trio.Event()
        """Set when the connection or the session is gone, with the reason in `reason`."""
        self.reason = ""
        self.broken = False
        self.on_frames: Callable[[list[Frame]], None] | None = None
        self.is_ready: Callable[[], bool] | None = None
        self.redirect: RtspUrl | None = None
        """Where a REDIRECT of the server sends us; the connection is then lost."""
        self.session = StreamSession(
            control,
            stream,
            deliver=self._deliver,
            ready=self._wait_ready,
            write_timeout=options.write_timeout,
        )

    @classmethod
    async def open(
        cls,
        nursery: trio.Nursery,
        network: Network,
        url: RtspUrl,
        options: RtspOptions,
        *,
        publish: Callable[[ClientEvent], None],
    ) -> ClientConnection:
        """Dial *url*."""
        username = options.username if options.username is not None else url.username
        password = options.password if options.username is not None else url.password
        credentials = Credentials(username, password or "") if username else None
        doorman = ClientAuthenticator(credentials, network.entropy, allow_basic=options.allow_basic)
        try:
            with trio.fail_after(options.connect_timeout):
                stream = await dial(network, url, options, doorman)
        except trio.TooSlowError:
            raise PeerTimedOut(
                f"{url.location} does not answer within {options.connect_timeout:g} s",
                hint="check the address, and any firewall between",
            ) from None
        settings = ClientSettings(
            user_agent=options.user_agent,
            request_timeout=micros(options.read_timeout),
            keepalive_method=options.keepalive_method,
        )
        control = ClientControl(
            settings, ClientAuthenticator(credentials, network.entropy, allow_basic=options.allow_basic)
        )
        connection = cls(control, stream, options, url=url, publish=publish)
        nursery.start_soon(connection._run)
        publish(Connected(str(stream.peer_address)))
        return connection

    @property
    def peer(self) -> Address:
        """The server's address."""
        return self.stream.peer_address

    async def request(
        self, method: str, url: RtspUrl | str, fields: FieldsLike = (), body: bytes = b""
    ) -> Answered:
        """Ask, and wait for the answer, whatever it is.

        Raises `PeerTimedOut` when there is none, or `PeerError` when the connection ends.
        """
        if self.lost.is_set():
            raise self.error()
        waiter = _Waiter()
        token = self.control.request(method, url, now=current_micros(), fields=fields, body=body)
        self._waiters[token] = waiter
        try:
            self.session.drain()
            await waiter.done.wait()
        finally:
            self._waiters.pop(token, None)
        outcome = waiter.outcome
        if isinstance(outcome, Answered):
            return outcome
        if self.lost.is_set() or outcome is None:
            raise self.error()
        text = url if isinstance(url, str) else url.text
        raise PeerTimedOut(f"{text}: no answer to {method}", hint="the server may be overloaded")

    async def request_ok(
        self, method: str, url: RtspUrl | str, fields: FieldsLike = (), body: bytes = b""
    ) -> Response:
        """Ask, and wait for a success; anything else is raised."""
        answered = await self.request(method, url, fields, body)
        if not answered.response.is_success:
            raise refusal(method, url, answered)
        return answered.response

    def error(self) -> TerzettoError:
        """The exception that the loss of this connection is."""
        kind = ProtocolViolation if self.broken else PeerError
        return kind(self.reason or "the connection is closed")

    def note_silence(self, reason: str) -> None:
        """Somebody found the session dead."""
        self._lose(reason, broken=False)

    async def close(self, url: RtspUrl | None = None) -> None:
        """Say goodbye, where there is a session, and close; also when we are being cancelled."""
        with trio.CancelScope(shield=True, deadline=trio.current_time() + 1.0):
            # Whom the server sends elsewhere says goodbye here first.
            if url is not None and (not self.lost.is_set() or self.redirect is not None):
                self.control.teardown(url, now=current_micros())
            self.session.drain()
            await self.session.wait_written()
            if url is None:
                await self.stream.aclose()
        self._scope.cancel()
        with trio.CancelScope(shield=True):
            await self._done.wait()

    def close_nowait(self) -> None:
        """Close at once."""
        self._scope.cancel()

    def statistics(self) -> ConnectionStatistics:
        """Counters of this connection."""
        return ConnectionStatistics(
            bytes_received=self.control.bytes_received, bytes_sent=self.control.bytes_sent
        )

    async def _run(self) -> None:
        try:
            with self._scope:
                await self.session.run()
        finally:
            self._lose(str(self.session.failure or "the connection is closed"), broken=False)
            self.session.close()
            self._done.set()

    async def _wait_ready(self) -> None:
        # TCP's own flow control: what the application has no room for stays in the kernel, except while an answer
        # is awaited, which may lie behind it.
        while self.is_ready is not None and not self.is_ready() and not self._waiters:  # noqa: ASYNC110
            await trio.sleep(0.002)  # the reader of a queue tells nobody that it took something

    def _deliver(self, events: list[ControlEvent]) -> None:
        for event in events:
            if isinstance(event, FramesArrived):
                if self.on_frames is not None:
                    self.on_frames(event.frames)
            elif isinstance(event, (Answered, Unanswered)):
                waiter = self._waiters.get(event.token)
                if waiter is not None:
                    waiter.outcome = event
                    waiter.done.set()
            elif isinstance(event, AskedByServer):
                self._handle_request(event)
            elif isinstance(event, SessionGone):
                self._lose("the server no longer knows our session", broken=False)
            elif isinstance(event, ConnectionLost):
                self._lose(event.reason, broken=event.broken)

    def _handle_request(self, event: AskedByServer) -> None:
        request = event.request
        if request.method == "OPTIONS":
            return
        self._publish(ServerNotice(request.method, request.body))
        if request.method == "REDIRECT":
            try:
                target = parse_location(request.fields.get_all("Location"), self._url)
            except MalformedPacket:
                return
            self.redirect = target
            self._lose(f"the server sends us to {target.text}", broken=False)

    def _lose(self, reason: str, *, broken: bool) -> None:
        if self.lost.is_set():
            return
        self.reason, self.broken = reason, broken
        self.lost.set()
        for waiter in self._waiters.values():
            waiter.done.set()
        self._publish(Disconnected(reason))
