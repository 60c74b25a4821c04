"""A client's end of the control connection: one request at a time, and everything that comes of its own accord.

A stream core. The user's requests are answered by `Answered` or `Unanswered`; in between this machine numbers them,
repeats one after a 401, carries the session's token, keeps the session alive, answers what the server asks, and hands
interleaved frames on. Choosing *which* requests to make (describe, set up, play) is the business of whoever uses it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final, TypeAlias

from attrs import define, frozen

from terzetto.errors import MalformedPacket, UnsupportedOperation
from terzetto.primitives.datagrams import Buffer
from terzetto.primitives.time import MICROS_PER_SECOND, Micros
from terzetto.rtsp.core.client_auth import ClientAuthenticator, Verdict
from terzetto.rtsp.core.control_bytes import ControlBytes
from terzetto.rtsp.core.rtsp_states import CLIENT_TRANSITIONS, State
from terzetto.rtsp.wire.fields import Fields, FieldsLike
from terzetto.rtsp.wire.headers.public import format_methods, parse_methods
from terzetto.rtsp.wire.headers.session import DEFAULT_TIMEOUT, SessionHeader
from terzetto.rtsp.wire.interleaved import Frame
from terzetto.rtsp.wire.message import Request, Response
from terzetto.rtsp.wire.parser import Broken
from terzetto.rtsp.wire.status import Status
from terzetto.rtsp.wire.url import RtspUrl

__all__ = [
    "Answered",
    "AskedByServer",
    "ClientControl",
    "ClientSettings",
    "ConnectionLost",
    "ControlEvent",
    "FramesArrived",
    "SessionGone",
    "Unanswered",
]


@frozen(kw_only=True)
class ClientSettings:
    """What a client's control connection needs to know; durations in microseconds."""

    user_agent: str = "terzetto"
    request_timeout: Micros = 10 * MICROS_PER_SECOND
    keepalive_method: str | None = None
    """None: GET_PARAMETER where the server has it, else OPTIONS."""
    keepalive_default: Micros = 30 * MICROS_PER_SECOND
    """Time between signs of life where the server names no timeout."""


@frozen
class Answered:
    """The server answered a request; a 401 that we could not get past is an answer too."""

    token: int
    request: Request
    response: Response
    verdict: Verdict | None = None
    """Why a 401 was not tried again."""


@frozen
class Unanswered:
    """No answer will come any more."""

    token: int
    request: Request
    reason: str


@frozen
class FramesArrived:
    """Interleaved packets, in order."""

    frames: list[Frame]


@frozen
class AskedByServer:
    """The server asked something; it was answered already."""

    request: Request


@frozen
class SessionGone:
    """The server no longer knows our session."""


@frozen
class ConnectionLost:
    """Nothing more will come; ``broken`` when the peer broke the rules rather than leave."""

    reason: str
    broken: bool = False


ControlEvent: TypeAlias = Answered | Unanswered | FramesArrived | AskedByServer | SessionGone | ConnectionLost


@define
class _Pending:
    token: int
    request: Request
    deadline: Micros
    was_authorized: bool
    is_keepalive: bool = False
    retries: int = 0


# A server that changes its nonce with every answer would have us ask for ever.
_MAX_RETRIES: Final = 2
_CLIENT_METHODS: Final = ("OPTIONS", "ANNOUNCE", "GET_PARAMETER", "SET_PARAMETER", "REDIRECT", "TEARDOWN")


class ClientControl(ControlBytes):
    """The control connection of one client; see the module."""

    def __init__(self, settings: ClientSettings, authenticator: ClientAuthenticator) -> None:
        super().__init__()
        self._settings = settings
        self._authenticator = authenticator
        self._events: list[ControlEvent] = []
        self._waiting: deque[_Pending] = deque()
        self._pending: dict[str, _Pending] = {}
        self._cseq = 0
        self._tokens = 0
        self._finished = False
        self._keepalive_due: Micros | None = None
        self._keepalive_url = ""
        self._last_verdict: Verdict | None = None
        self.state = State.INITIAL
        self.session: SessionHeader | None = None
        self.public: frozenset[str] = frozenset()
        self.frames_dropped = 0
        """Interleaved packets that came while nothing was to be played."""

    # -- commands ------------------------------------------------------------------------------------------------

    def check(self, method: str) -> None:
        """Raise `UnsupportedOperation` when *method* makes no sense now."""
        if (self.state, method) not in CLIENT_TRANSITIONS:
            raise UnsupportedOperation(f"{method} is not possible while the session is {self.state.value}")

    def request(
        self, method: str, url: RtspUrl | str, *, now: Micros, fields: FieldsLike = (), body: bytes = b""
    ) -> int:
        """Ask something; the token says which `Answered` or `Unanswered` belongs to it."""
        self.check(method)
        if self._finished:
            raise UnsupportedOperation("the connection is closed")
        self._tokens += 1
        target = url if isinstance(url, str) else url.text
        request = Request(method, target, Fields(fields), body)
        self._waiting.append(_Pending(self._tokens, request, 0, was_authorized=False))
        self._send_next(now)
        return self._tokens

    def start_keepalive(self, url: RtspUrl, *, now: Micros) -> None:
        """From now on give signs of life, to the session's base URL."""
        self._keepalive_url = url.text
        self._keepalive_due = now + self._keepalive_period

    def stop_keepalive(self) -> None:
        """Signs of life are no longer needed."""
        self._keepalive_due = None

    def teardown(self, url: RtspUrl, *, now: Micros) -> None:
        """Say goodbye without waiting for an answer; the connection may be closed once it is written."""
        if self._finished:
            return
        if self.session is not None and self.state is not State.CLOSED:
            pending = _Pending(0, Request("TEARDOWN", url.text), 0, was_authorized=False, is_keepalive=True)
            self._transmit(pending, now)
        self.state = State.CLOSED
        self._keepalive_due = None
        self._finished = True

    # -- the grammar of stream cores -----------------------------------------------------------------------------

    def handle_bytes(self, data: Buffer, *, now: Micros) -> None:
        """Take in what the connection brought."""
        for unit in self._take(data, now):
            if isinstance(unit, list):
                self._handle_frames(unit)
            elif isinstance(unit, Response):
                self._handle_response(unit, now)
            elif isinstance(unit, Request):
                self._handle_request(unit)
            else:
                self._handle_broken(unit)

    def handle_eof(self, *, now: Micros) -> None:
        """The server closed the connection."""
        del now
        self._end("the server closed the connection", broken=False)

    def handle_timeout(self, *, now: Micros) -> None:
        """Give up on answers that are overdue, and give a sign of life when one is due."""
        for cseq, pending in list(self._pending.items()):
            if pending.deadline <= now:
                del self._pending[cseq]
                # Some cameras never answer a sign of life.
                if not pending.is_keepalive:
                    self._events.append(
                        Unanswered(pending.token, pending.request, "the server did not answer")
                    )
                    self._send_next(now)
        if self._keepalive_due is not None and self._keepalive_due <= now:
            self._keep_alive(now)

    def poll_events(self) -> list[ControlEvent]:
        """What happened."""
        events, self._events = self._events, []
        return events

    def next_timeout(self) -> Micros | None:
        """When an answer is overdue, or a sign of life due."""
        if self._finished:
            return None
        due = [pending.deadline for pending in self._pending.values()]
        if self._keepalive_due is not None:
            due.append(self._keepalive_due)
        return min(due, default=None)

    @property
    def is_finished(self) -> bool:
        """Whether the connection has served its purpose."""
        return self._finished

    # -- sending -------------------------------------------------------------------------------------------------

    @property
    def _keepalive_period(self) -> Micros:
        session = self.session
        if session is None or session.timeout is None:
            period = self._settings.keepalive_default
            return min(period, (DEFAULT_TIMEOUT - 5) * MICROS_PER_SECOND)
        return max(session.timeout - 5, 1) * MICROS_PER_SECOND

    def _send_next(self, now: Micros) -> None:
        """Send the next request that waits, if none of the user's is under way."""
        if self._waiting and all(pending.is_keepalive for pending in self._pending.values()):
            self._transmit(self._waiting.popleft(), now)

    def _transmit(self, pending: _Pending, now: Micros) -> None:
        self._cseq += 1
        request = pending.request
        fields = request.fields
        fields["CSeq"] = str(self._cseq)
        fields["User-Agent"] = self._settings.user_agent
        if self.session is not None:
            fields["Session"] = self.session.token
        pending.was_authorized = self._authenticator.authorize(request)
        pending.deadline = now + self._settings.request_timeout
        self._pending[str(self._cseq)] = pending
        self._write(request.encode())
        if self._keepalive_due is not None:
            # Any request is a sign of life.
            self._keepalive_due = now + self._keepalive_period

    def _keep_alive(self, now: Micros) -> None:
        method = self._settings.keepalive_method
        if method is None:
            method = "GET_PARAMETER" if "GET_PARAMETER" in self.public else "OPTIONS"
        self._transmit(
            _Pending(0, Request(method, self._keepalive_url), 0, was_authorized=False, is_keepalive=True), now
        )

    # -- receiving -----------------------------------------------------------------------------------------------

    def _handle_frames(self, frames: list[Frame]) -> None:
        # Several servers send frames before they answer PLAY, and all may send some after PAUSE; who cares for
        # them knows the channels.
        if self.state in (State.INITIAL, State.CLOSED):
            self.frames_dropped += len(frames)
        else:
            self._events.append(FramesArrived(frames))

    def _handle_response(self, response: Response, now: Micros) -> None:
        if response.code == Status.CONTINUE:
            return
        pending = self._match(response)
        if pending is None:
            return
        self._adopt_session(pending.request.method, response)
        if response.code == Status.UNAUTHORIZED and self._try_again(pending, response, now):
            return
        if pending.is_keepalive:
            if response.code == Status.SESSION_NOT_FOUND and pending.request.method != "TEARDOWN":
                self._events.append(SessionGone())
            self._send_next(now)
            return
        if response.is_success:
            self._succeed(pending.request.method, response)
        self._events.append(Answered(pending.token, pending.request, response, self._verdict(response)))
        self._last_verdict = None
        self._send_next(now)

    def _verdict(self, response: Response) -> Verdict | None:
        return self._last_verdict if response.code == Status.UNAUTHORIZED else None

    def _match(self, response: Response) -> _Pending | None:
        cseq = response.cseq
        if cseq is not None:
            return self._pending.pop(cseq, None) or self._pending.pop(cseq.lstrip("0"), None)
        for key, pending in self._pending.items():
            if not pending.is_keepalive:
                del self._pending[key]
                return pending
        return None

    def _try_again(self, pending: _Pending, response: Response, now: Micros) -> bool:
        verdict = self._authenticator.handle_refusal(
            response.fields.get_all("WWW-Authenticate"), was_authorized=pending.was_authorized
        )
        self._last_verdict = verdict
        if verdict is not Verdict.RETRY or pending.retries >= _MAX_RETRIES:
            if verdict is Verdict.RETRY:
                self._last_verdict = Verdict.WRONG_CREDENTIALS
            return False
        pending.retries += 1
        self._transmit(pending, now)
        return True

    def _adopt_session(self, method: str, response: Response) -> None:
        text = response.fields.get("Session")
        if text is None or not response.is_success or method == "TEARDOWN":
            return
        try:
            session = SessionHeader.parse(text)
        except MalformedPacket:
            return
        if self.session is not None and session.timeout is None:
            session = SessionHeader(session.token, self.session.timeout)
        # Some cameras send their token late, some change it: the newest is the one.
        self.session = session

    def _succeed(self, method: str, response: Response) -> None:
        self.state = CLIENT_TRANSITIONS.get((self.state, method), self.state)
        if method == "OPTIONS":
            self.public = parse_methods(response.fields.get_all("Public"))

    def _handle_request(self, request: Request) -> None:
        response = Response(Status.OK if request.method in _CLIENT_METHODS else Status.NOT_IMPLEMENTED)
        if request.method == "OPTIONS":
            response.fields["Public"] = format_methods(_CLIENT_METHODS)
        if request.cseq is not None:
            response.fields["CSeq"] = request.cseq
        session = request.fields.get("Session")
        if session is not None:
            response.fields["Session"] = session
        try:
            data = response.encode()
        except ValueError:
            return
        self._write(data)
        self._events.append(AskedByServer(request))

    def _handle_broken(self, broken: Broken) -> None:
        self._end(f"the server broke the protocol: {broken.reason}", broken=True)

    def _end(self, reason: str, *, broken: bool) -> None:
        if self._finished:
            return
        self._finished = True
        self.state = State.CLOSED
        unanswered: Sequence[_Pending] = [*self._pending.values(), *self._waiting]
        self._pending.clear()
        self._waiting.clear()
        for pending in unanswered:
            if not pending.is_keepalive:
                self._events.append(Unanswered(pending.token, pending.request, reason))
        self._events.append(ConnectionLost(reason, broken))
