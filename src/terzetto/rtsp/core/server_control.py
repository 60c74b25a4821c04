"""A server's end of one control connection: requests out, answers in, frames both ways.

A stream core that knows messages and time, not sessions. Requests come out one by one, in order; the next is
held back until the one before was answered, so that answers keep their order whatever the application does.
"""

from __future__ import annotations

from collections import deque
from typing import Final, TypeAlias

from attrs import frozen

from terzetto.primitives.datagrams import Buffer
from terzetto.primitives.time import MICROS_PER_SECOND, Micros
from terzetto.rtsp.core.control_bytes import ControlBytes
from terzetto.rtsp.wire.fields import Fields, FieldsLike
from terzetto.rtsp.wire.interleaved import Frame
from terzetto.rtsp.wire.message import Request, Response
from terzetto.rtsp.wire.parser import Broken

__all__ = [
    "ConnectionEnded",
    "FramesReceived",
    "RequestReceived",
    "ServerControl",
    "ServerControlEvent",
    "ServerControlSettings",
]


@frozen(kw_only=True)
class ServerControlSettings:
    """What a server's connection needs to know; durations in microseconds."""

    server_name: str = "terzetto"
    first_request_timeout: Micros = 10 * MICROS_PER_SECOND
    """A stranger who has not asked anything by then is shown the door."""
    unit_timeout: Micros = 10 * MICROS_PER_SECOND
    """A message that has begun is complete by then."""
    idle_timeout: Micros = 60 * MICROS_PER_SECOND
    """A connection that brought nothing for so long is closed, unless `may_be_idle`."""


@frozen
class RequestReceived:
    """A request to answer with `ServerControl.respond`."""

    request: Request


@frozen
class FramesReceived:
    """Interleaved packets."""

    frames: list[Frame]


@frozen
class ConnectionEnded:
    """The connection is over; the reason is for people."""

    reason: str


ServerControlEvent: TypeAlias = RequestReceived | FramesReceived | ConnectionEnded

# Pipelined requests beyond this wait in the kernel's buffers, not in ours.
MAX_WAITING: Final = 32


class ServerControl(ControlBytes):
    """One connection; see the module."""

    def __init__(self, settings: ServerControlSettings, *, now: Micros) -> None:
        super().__init__(now=now)
        self._settings = settings
        self._events: list[ServerControlEvent] = []
        self._waiting: deque[Request] = deque()
        self._current: Request | None = None
        self._broken: Broken | None = None
        self._finished = False
        self._cseq = 0
        self._has_asked = False
        self._opened = now
        self._unit_began: Micros | None = None
        self.may_be_idle = False
        """Set while something else vouches for the peer, or while we only send to it."""

    def respond(self, response: Response, *, now: Micros, close: bool = False) -> None:
        """Answer the request that came out last; with *close* it is the last thing said."""
        if self._current is None or self._finished:
            return
        self._write_response(response, self._current.cseq)
        self._current = None
        if close:
            self.close("closed by us")
        else:
            self._next(now)

    def request(self, method: str, target: str, fields: FieldsLike = ()) -> bool:
        """Ask the client something; False once the connection is over. Its answer is not waited for."""
        if self._finished:
            return False
        self._cseq += 1
        asked = Request(method, target, Fields(fields))
        asked.fields["CSeq"] = str(self._cseq)
        asked.fields["Server"] = self._settings.server_name
        self._write(asked.encode())
        return True

    def close(self, reason: str) -> None:
        """Close the connection once everything is written."""
        if not self._finished:
            self._finished = True
            self._events.append(ConnectionEnded(reason))

    # -- the grammar of stream cores -----------------------------------------------------------------------------

    def handle_bytes(self, data: Buffer, *, now: Micros) -> None:
        """Take in what the connection brought."""
        if self._finished:
            return
        for unit in self._take(data, now):
            if isinstance(unit, list):
                if self._has_asked:
                    self._events.append(FramesReceived(unit))
            elif isinstance(unit, Request):
                self._has_asked = True
                self._waiting.append(unit)
            elif isinstance(unit, Broken):
                self._broken = unit
            # Responses are to what we never wait for, and do no harm.
        if not self._parser.is_inside_message:
            self._unit_began = None
        elif self._unit_began is None:
            self._unit_began = now
        self._next(now)

    def handle_eof(self, *, now: Micros) -> None:
        """The peer closed its side."""
        del now
        self.close("closed by the client")

    def handle_timeout(self, *, now: Micros) -> None:
        """Close the connection of a peer that owes us something for too long."""
        if self._finished:
            return
        settings = self._settings
        if not self._has_asked and now - self._opened >= settings.first_request_timeout:
            self.close("no request came")
        elif self._unit_began is not None and now - self._unit_began >= settings.unit_timeout:
            self.close("a message was not completed")
        elif not self._is_excused and now - self.last_heard >= settings.idle_timeout:
            self.close("idle for too long")

    def poll_events(self) -> list[ServerControlEvent]:
        """What happened."""
        events, self._events = self._events, []
        return events

    def next_timeout(self) -> Micros | None:
        """When the peer has owed us something for too long."""
        if self._finished:
            return None
        settings = self._settings
        due: list[Micros] = []
        if not self._has_asked:
            due.append(self._opened + settings.first_request_timeout)
        if self._unit_began is not None:
            due.append(self._unit_began + settings.unit_timeout)
        if not self._is_excused:
            due.append(self.last_heard + settings.idle_timeout)
        return min(due, default=None)

    @property
    def is_finished(self) -> bool:
        """Whether the connection may be closed."""
        return self._finished

    @property
    def is_crowded(self) -> bool:
        """Whether so many requests wait that no more should be read."""
        return len(self._waiting) >= MAX_WAITING

    # -- inside --------------------------------------------------------------------------------------------------

    @property
    def _is_excused(self) -> bool:
        return self.may_be_idle or self._current is not None

    def _next(self, now: Micros) -> None:
        del now
        if self._current is not None or self._finished:
            return
        if self._waiting:
            self._current = self._waiting.popleft()
            self._events.append(RequestReceived(self._current))
        elif self._broken is not None:
            self._write_response(Response(self._broken.status), self._broken.cseq)
            self.close(f"the client broke the protocol: {self._broken.reason}")

    def _write_response(self, response: Response, cseq: str | None) -> None:
        response.fields["Server"] = self._settings.server_name
        if cseq is not None:
            response.fields["CSeq"] = cseq
        try:
            self._write(response.encode())
        except ValueError:
            # The application, or a request it quoted from, put a line break into a header.
            fallback = Response(500)
            self._write(fallback.encode())
