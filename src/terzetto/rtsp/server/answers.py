"""What a request comes with, and what it is answered with."""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from terzetto.rtsp.server.connection import RtspServerConnection
from terzetto.rtsp.server.session import RtspServerSession
from terzetto.rtsp.stream import ServerStream
from terzetto.rtsp.wire.headers.key_mgmt import KeyMgmt
from terzetto.rtsp.wire.message import Request, Response
from terzetto.rtsp.wire.status import Status
from terzetto.rtsp.wire.url import RtspUrl

__all__ = [
    "Answer",
    "Context",
    "RefusedError",
    "ok",
    "require_session",
    "require_stream",
    "require_url",
    "with_key",
]


@frozen(kw_only=True)
class Answer:
    """A response, and what happens behind it."""

    response: Response
    close: bool = False
    after: Callable[[], None] | None = None


class RefusedError(Exception):
    """The request is answered with this status, and nothing happens."""

    def __init__(self, status: Status, /, because: str = "", **fields: str) -> None:
        super().__init__(status)
        self.response = Response(status, because)
        for name, value in fields.items():
            self.response.fields[name.replace("_", "-")] = value


@frozen(kw_only=True)
class Context:
    """A request, and what is known of it when its method begins."""

    connection: RtspServerConnection
    request: Request
    url: RtspUrl | None
    session: RtspServerSession | None


def ok(**fields: str) -> Answer:
    """200, with these fields; an underscore stands for a hyphen."""
    response = Response(Status.OK)
    for name, value in fields.items():
        response.fields[name.replace("_", "-")] = value
    return Answer(response=response)


def with_key(answer: Answer, said: KeyMgmt | None) -> Answer:
    """*answer*, with what we say of our keys, if anything."""
    if said is not None:
        answer.response.fields["KeyMgmt"] = str(said)
    return answer


def require_url(context: Context) -> RtspUrl:
    """The URL of a request that cannot go without one."""
    if context.url is None:
        raise RefusedError(Status.BAD_REQUEST)
    return context.url


def require_session(context: Context) -> RtspServerSession:
    """The session of a request that cannot go without one."""
    if context.session is None:
        raise RefusedError(Status.SESSION_NOT_FOUND)
    return context.session


def require_stream(found: ServerStream | None) -> ServerStream:
    """The stream that the handler found, if it did."""
    if found is None:
        raise RefusedError(Status.NOT_FOUND)
    return found
