"""A listening SRT socket as a trio listener."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import TypeAlias

import attrs
import trio

from terzetto.driver.clock import current_micros
from terzetto.driver.delivery import EventHub
from terzetto.errors import UnsupportedOperation
from terzetto.primitives.datagrams import Address
from terzetto.srt.core.listener import ConnectionRequest
from terzetto.srt.events import ConnectionRefused, ConnectionRequested, PeerConnected, SrtEvent
from terzetto.srt.log import CONN, log_event
from terzetto.srt.options import SrtOptions
from terzetto.srt.runtime import Runtime
from terzetto.srt.stream import SrtStream
from terzetto.srt.wire.rejection import APPLICATION_FALLBACK, ApplicationReason

__all__ = ["Authorize", "SrtListener", "SrtRefusal", "ask"]


@attrs.frozen
class SrtRefusal:
    """What an ``authorize`` hook returns to turn a caller away.

    Codes from 1000 have meanings of their own (`ApplicationReason`), those from 2000 whatever you and the
    caller agreed upon. ``reason`` stays here, in events and logs: SRT carries the number alone.
    """

    code: int = APPLICATION_FALLBACK
    reason: str = ""

    def __attrs_post_init__(self) -> None:
        if not APPLICATION_FALLBACK <= self.code <= 0x3FFF_FFFF:
            raise ValueError(f"code is {self.code}; an application's codes begin at {APPLICATION_FALLBACK}")


Authorize: TypeAlias = Callable[[ConnectionRequest], Awaitable[SrtOptions | SrtRefusal | None]]
"""Decides about a caller: None lets it in on the listener's options, `SrtOptions` on these (a passphrase
chosen by stream id, say), `SrtRefusal` turns it away. Runs once for each attempt, however often it is repeated."""


async def ask(
    authorize: Authorize, request: ConnectionRequest, options: SrtOptions
) -> SrtOptions | SrtRefusal | None:
    """What the hook of a listener with these *options* says about a caller, in time or not."""
    verdict: SrtOptions | SrtRefusal | None = SrtRefusal(ApplicationReason.OVERLOAD, "no decision in time")
    # The caller waits no longer than its own time-out, which is ours unless somebody changed it.
    with trio.move_on_after(max(options.connect_timeout, 1.0)):
        try:
            verdict = await authorize(request)
            if isinstance(verdict, SrtOptions):
                verdict = verdict.on_socket_of(options)
        except UnsupportedOperation as exc:
            CONN.error("authorize cannot choose this for %s: %s", request.peer, exc)
            verdict = SrtRefusal(ApplicationReason.INTERNAL_ERROR, str(exc))
        except Exception:
            CONN.exception("authorize failed for %s", request.peer)
            verdict = SrtRefusal(ApplicationReason.INTERNAL_ERROR, "authorize failed")
    return verdict


class SrtListener(trio.abc.Listener[SrtStream]):
    """Accepts callers, many on one UDP socket; fit for `trio.serve_listeners`."""

    def __init__(
        self, runtime: Runtime, options: SrtOptions, nursery: trio.Nursery, authorize: Authorize | None
    ) -> None:
        self._runtime = runtime
        self._options = options
        self._nursery = nursery
        self._authorize = authorize
        self._events: EventHub[SrtEvent] = EventHub()
        # The core bounds how many may wait, so this never fills.
        self._arrived, self._arrivals = trio.open_memory_channel[SrtStream](options.backlog + 1)
        runtime.on_listener = self._notify
        runtime.core.listen(options, now=current_micros())

    @property
    def local_address(self) -> Address:
        """Where we listen."""
        return self._runtime.local_address

    @property
    def options(self) -> SrtOptions:
        """What callers are let in on, unless ``authorize`` says otherwise."""
        return self._options

    async def accept(self) -> SrtStream:
        """The next caller that was let in."""
        try:
            stream = await self._arrivals.receive()
        except trio.EndOfChannel:
            raise trio.ClosedResourceError from None
        listener = self._runtime.core.listener
        if listener is not None:
            listener.unaccepted -= 1
        return stream

    async def aclose(self) -> None:
        """Take no more callers; streams that were accepted live on."""
        self.close()
        await trio.lowlevel.checkpoint()

    def close(self) -> None:
        """The same, without a checkpoint."""
        self._runtime.core.stop_listening(now=current_micros())
        self._runtime.session.drain()
        while True:
            try:
                waiting = self._arrivals.receive_nowait()
            except (trio.WouldBlock, trio.EndOfChannel, trio.ClosedResourceError):
                break
            waiting.abort()
        self._arrived.close()
        self._arrivals.close()
        self._events.close()
        self._runtime.end_when_idle()

    def events(self) -> AsyncGenerator[SrtEvent, None]:
        """Who came, who was refused and why, from now on, after the most recent of what has happened."""
        return self._events.listen()

    def _notify(self, what: object) -> None:
        if isinstance(what, ConnectionRequest):
            self._publish(ConnectionRequested(what.peer, what.stream_id))
            if self._authorize is None:
                self._decide(what, None)
            else:
                self._nursery.start_soon(self._ask, self._authorize, what)
        elif isinstance(what, SrtStream):
            self._publish(PeerConnected(what.peer_address, what.stream_id, what.peer_version))
            try:
                self._arrived.send_nowait(what)
            except (trio.WouldBlock, trio.ClosedResourceError, trio.BrokenResourceError):
                what.abort()
        elif isinstance(what, ConnectionRefused):
            self._publish(what)

    async def _ask(self, authorize: Authorize, request: ConnectionRequest) -> None:
        self._decide(request, await ask(authorize, request, self._options))

    def _decide(self, request: ConnectionRequest, verdict: SrtOptions | SrtRefusal | None) -> None:
        core = self._runtime.core
        now = current_micros()
        if isinstance(verdict, SrtRefusal):
            core.refuse(request, verdict.code, now=now, why=verdict.reason)
        else:
            core.accept(request, verdict or self._options, now=now)
        self._runtime.session.drain()

    def _publish(self, event: SrtEvent) -> None:
        self._events.publish(event)
        log_event(event, getattr(event, "peer", None))
