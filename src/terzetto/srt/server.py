"""A server: callers come, a handler decides and serves, and an orderly end lets everybody finish.

`SrtHandler` is what to derive from; `PublishSubscribe` is one that brings publishers and subscribers together by
stream id. All callbacks are async methods, each connection has a task of its own, and one that fails ends nothing
but its own connection.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import aclosing
from typing import Final, Unpack

import attrs
import trio

from terzetto.driver.nursery import open_session_nursery
from terzetto.errors import PeerError, TerzettoError
from terzetto.net.endpoint import Address
from terzetto.srt.api import connect_srt_listener
from terzetto.srt.core.listener import ConnectionRequest
from terzetto.srt.events import ConnectionRefused
from terzetto.srt.fan_out import DEFAULT_QUEUE, FanOut, SlowReader, Subscriber, SubscriberReport
from terzetto.srt.listening import SrtListener, SrtRefusal
from terzetto.srt.log import CONN
from terzetto.srt.options import SrtKnobs, SrtOptions
from terzetto.srt.stream import SrtStream
from terzetto.srt.wire.rejection import ApplicationReason
from terzetto.srt.wire.stream_id import StreamName

__all__ = ["PublishSubscribe", "SrtHandler", "SrtServer", "TopicReport", "serve_srt"]

_GRACE: Final = 5.0


class SrtHandler(ABC):
    """What a server does with its callers; only `serve` must be written."""

    async def authorize(self, request: ConnectionRequest) -> SrtOptions | SrtRefusal | None:
        """Decide about a caller: None lets it in, options let it in on these, a refusal turns it away."""
        return None

    @abstractmethod
    async def serve(self, stream: SrtStream) -> None:
        """Serve one connection; it is closed when this returns, and aborted when this raises or is cancelled."""

    async def refused(self, refusal: ConnectionRefused) -> None:  # noqa: B027 -- optional
        """A caller was turned away, by us or by the protocol."""

    async def failed(self, stream: SrtStream, error: Exception) -> None:
        """`serve` raised; by default that is logged."""
        if isinstance(error, TerzettoError | trio.BrokenResourceError):
            CONN.info("%s: %s", stream.peer_address, error)
        else:
            CONN.error("serving %s failed", stream.peer_address, exc_info=error)

    async def drain(self) -> None:  # noqa: B027 -- optional
        """The server is about to end: say so to those who are served, and let them finish."""


class SrtServer:
    """A running server, as `serve_srt` gives it to ``task_status``."""

    def __init__(self, listener: SrtListener, handler: SrtHandler) -> None:
        self._listener = listener
        self._handler = handler
        self._ending = trio.Event()
        self._grace = _GRACE
        self._streams: dict[int, SrtStream] = {}
        self.served = 0
        """Connections so far."""
        self.refused = 0
        """Callers turned away so far."""

    @property
    def local_address(self) -> Address:
        """Where it listens."""
        return self._listener.local_address

    @property
    def streams(self) -> Mapping[int, SrtStream]:
        """The connections of now, by socket id."""
        return dict(self._streams)

    def shut_down(self, *, grace: float = _GRACE) -> None:
        """Take no more callers, let those who are served finish for at most *grace* seconds, and end."""
        self._grace = grace
        self._ending.set()

    async def run(self) -> None:
        """Serve until `shut_down`, or until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch_refusals)
            async with trio.open_nursery() as serving:
                serving.start_soon(self._wait_for_the_end, serving.cancel_scope)
                try:
                    while True:
                        serving.start_soon(self._serve, await self._listener.accept())
                except trio.ClosedResourceError:
                    if not self._ending.is_set():
                        raise
            nursery.cancel_scope.cancel()

    async def _wait_for_the_end(self, serving: trio.CancelScope) -> None:
        await self._ending.wait()
        self._listener.close()
        serving.deadline = trio.current_time() + self._grace
        await self._handler.drain()

    async def _serve(self, stream: SrtStream) -> None:
        self.served += 1
        self._streams[stream.socket_id] = stream
        try:
            await self._handler.serve(stream)
            await stream.aclose()
        except Exception as exc:
            await self._handler.failed(stream, exc)
        finally:
            del self._streams[stream.socket_id]
            stream.abort()

    async def _watch_refusals(self) -> None:
        async with aclosing(self._listener.events()) as events:
            async for event in events:
                if isinstance(event, ConnectionRefused):
                    self.refused += 1
                    await self._handler.refused(event)


async def serve_srt(
    handler: SrtHandler,
    url: str,
    *,
    options: SrtOptions | None = None,
    task_status: trio.TaskStatus[SrtServer] = trio.TASK_STATUS_IGNORED,
    **knobs: Unpack[SrtKnobs],
) -> None:
    """Serve callers at *url* until the server that ``task_status`` gets is shut down, or until cancelled.

    For the URL's query, *options* and keywords see `terzetto.open_srt_stream`.
    """
    async with open_session_nursery() as nursery:
        listener = await connect_srt_listener(
            nursery, url, authorize=handler.authorize, options=options, **knobs
        )
        server = SrtServer(listener, handler)
        try:
            task_status.started(server)
            await server.run()
        finally:
            listener.close()


@attrs.frozen
class TopicReport:
    """How one name of a `PublishSubscribe` stands."""

    name: str
    publisher: Address | None
    packets: int
    subscribers: tuple[SubscriberReport, ...]


class _Topic:
    def __init__(self, fan_out: FanOut) -> None:
        self.fan_out = fan_out
        self.publisher: SrtStream | None = None
        self.packets = 0


class PublishSubscribe(SrtHandler):
    """One publisher to many subscribers for each name, which stream ids carry.

    ``#!::r=live/cam,m=publish`` publishes, ``#!::r=live/cam`` (``m=request``) subscribes; so do ``publish:live/cam``
    and ``read:live/cam``; a plain ``live/cam`` subscribes. Derive from it and override what you want to decide
    (`admit`) or to know (`published`, `unpublished`, `subscribed`, `unsubscribed`).

    A subscriber has a queue of *queue* packets of its own; *policy* says what happens when it is full. With *waits*,
    subscribers may come before their publisher and outlive it; without, they are refused as long as there is none,
    and told goodbye when it goes, after what it published.
    """

    def __init__(
        self,
        *,
        queue: int = DEFAULT_QUEUE,
        policy: SlowReader = SlowReader.DROP_OLDEST,
        waits: bool = False,
        most_topics: int = 1024,
    ) -> None:
        self._queue = queue
        self._policy = policy
        self._waits = waits
        self._most_topics = most_topics
        self._topics: dict[str, _Topic] = {}
        self._is_draining = False

    async def admit(
        self, request: ConnectionRequest, name: str, *, publishes: bool
    ) -> SrtOptions | SrtRefusal | None:
        """Decide about who wants to publish or subscribe; see `SrtHandler.authorize`. Everybody may, by default."""
        return None

    async def published(self, name: str, stream: SrtStream) -> None:
        """A publisher begins."""

    async def unpublished(self, name: str, stream: SrtStream) -> None:
        """A publisher has gone."""

    async def subscribed(self, name: str, stream: SrtStream) -> None:
        """A subscriber is about to get what is published."""

    async def unsubscribed(self, name: str, subscriber: Subscriber) -> None:
        """A subscriber has gone; ``was_too_slow`` and ``shed`` say how it kept up."""

    def topics(self) -> list[TopicReport]:
        """How all names stand."""
        return [
            TopicReport(
                name,
                None if topic.publisher is None else topic.publisher.peer_address,
                topic.packets,
                tuple(topic.fan_out.reports()),
            )
            for name, topic in self._topics.items()
        ]

    async def authorize(self, request: ConnectionRequest) -> SrtOptions | SrtRefusal | None:
        """Refuse what cannot be served, then ask `admit`."""
        name, publishes = _wish(request.name)
        refusal = self._objection(name, publishes=publishes)
        if refusal is None:
            verdict = await self.admit(request, name, publishes=publishes)
            if isinstance(verdict, SrtRefusal):
                return verdict
            # Somebody else may have come meanwhile.
            refusal = self._objection(name, publishes=publishes)
            if refusal is None:
                return verdict
        return refusal

    async def serve(self, stream: SrtStream) -> None:
        """Publish what comes, or send what is published."""
        name, publishes = _wish(stream.stream_name)
        if self._objection(name, publishes=publishes) is not None:
            return
        topic = self._topics.get(name)
        if topic is None:
            topic = self._topics[name] = self._new_topic()
        try:
            if publishes:
                await self._publish(name, topic, stream)
            else:
                await self._subscribe(name, topic, stream)
        finally:
            if topic.publisher is None and not len(topic.fan_out) and self._topics.get(name) is topic:
                del self._topics[name]

    async def drain(self) -> None:
        """Everybody gets what was published so far, and a goodbye."""
        self._is_draining = True
        for topic in self._topics.values():
            topic.fan_out.end()
            if topic.publisher is not None:
                topic.publisher.abort()

    async def _publish(self, name: str, topic: _Topic, stream: SrtStream) -> None:
        topic.publisher = stream
        try:
            await self.published(name, stream)
            while True:
                packets = await stream.receive_packets()
                topic.packets += len(packets)
                topic.fan_out.publish([packet.payload for packet in packets])
        except (trio.EndOfChannel, trio.ClosedResourceError, PeerError):
            pass
        finally:
            topic.publisher = None
            if not self._waits:
                # Whoever publishes under this name next begins anew; those who were served get the rest.
                topic.fan_out.end()
                if self._topics.get(name) is topic:
                    del self._topics[name]
        await self.unpublished(name, stream)

    async def _subscribe(self, name: str, topic: _Topic, stream: SrtStream) -> None:
        await self.subscribed(name, stream)
        subscriber = await topic.fan_out.serve(stream)
        await self.unsubscribed(name, subscriber)

    def _objection(self, name: str, *, publishes: bool) -> SrtRefusal | None:
        topic = self._topics.get(name)
        if self._is_draining:
            return SrtRefusal(ApplicationReason.SERVICE_DOWN, "the server is about to end")
        if not name:
            return SrtRefusal(ApplicationReason.BAD_REQUEST, "the stream id names nothing")
        if publishes and topic is not None and topic.publisher is not None:
            return SrtRefusal(ApplicationReason.CONFLICT, f"somebody publishes {name} already")
        if not publishes and not self._waits and (topic is None or topic.publisher is None):
            return SrtRefusal(ApplicationReason.NOT_FOUND, f"nobody publishes {name}")
        if topic is None and len(self._topics) >= self._most_topics:
            return SrtRefusal(ApplicationReason.OVERLOAD, "too many names are in use")
        return None

    def _new_topic(self) -> _Topic:
        return _Topic(FanOut(queue=self._queue, policy=self._policy))


def _wish(name: StreamName) -> tuple[str, bool]:
    return name.resource.strip("/"), name.mode == "publish"
