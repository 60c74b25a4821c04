"""A server and its clients on a simulated network."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import trio
from attrs import frozen

from terzetto.net.network import use_network
from terzetto.net.simulated import LinkConditions, SimulatedHost, SimulatedNetwork
from terzetto.net.simulated.network import DEFAULT_CONDITIONS
from terzetto.rtp.header import pack_header
from terzetto.rtsp.server import PathHandler, RtspServer, RtspServerSession, serve_rtsp
from terzetto.rtsp.stream import ServerStream
from terzetto.rtsp.wire.description import Description, Format, Media

__all__ = ["AV", "NotingHandler", "World", "feed", "open_world", "rtp"]

AV = Description(
    medias=(
        Media(kind="video", formats=(Format(payload_type=96, encoding="VP8", clock_rate=90_000),)),
        Media(kind="audio", formats=(Format(payload_type=97, encoding="opus", clock_rate=48_000),)),
    )
)


def rtp(media: int, number: int, size: int = 1000) -> bytes:
    """Packet *number* of a media: ten a picture, a picture every 40 ms."""
    rate = 90_000 if media == 0 else 48_000
    timestamp = number // 10 * rate // 25
    header = pack_header(96 + media, number & 0xFFFF, timestamp, 0x1000 + media, marker=number % 10 == 9)
    return header + number.to_bytes(4, "big") + bytes(size - 16)


async def feed(stream: ServerStream, *, size: int = 1000, pause: float = 0.04) -> None:
    """Write both medias, ten packets each every 40 ms, for ever."""
    number = 0
    while True:
        for media in (0, 1):
            stream.write(media, [rtp(media, number + index, size) for index in range(10)])
        number += 10
        await trio.sleep(pause)


class NotingHandler(PathHandler):
    """Remembers what it was told."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.opened: list[RtspServerSession] = []
        self.closed: list[str] = []
        self.lost = 0
        self.write_errors = 0

    async def session_opened(self, session: RtspServerSession) -> None:
        self.opened.append(session)

    async def session_closed(self, session: RtspServerSession, reason: str) -> None:
        await super().session_closed(session, reason)
        self.closed.append(reason)

    def packets_lost(self, session: RtspServerSession, media: int, count: int) -> None:
        self.lost += count

    def write_error(self, session: RtspServerSession, reason: str) -> None:
        self.write_errors += 1


@frozen
class World:
    network: SimulatedNetwork
    server_host: SimulatedHost
    client_host: SimulatedHost
    server: RtspServer
    handler: NotingHandler
    stream: ServerStream
    url: str
    nursery: trio.Nursery

    def cut(self) -> None:
        """Let nothing pass between server and client any more."""
        for link in self.network.links_between(self.server_host, self.client_host):
            link.cut()


@asynccontextmanager
async def open_world(
    *,
    seed: int = 1,
    handler: NotingHandler | None = None,
    feeding: bool = True,
    size: int = 1000,
    conditions: LinkConditions = DEFAULT_CONDITIONS,
    **knobs: Any,
) -> AsyncIterator[World]:
    """A server with the live stream ``/live``, and a host for a client, installed as the network of the block."""
    network = SimulatedNetwork(seed=seed)
    server_host, client_host = network.add_host("server", "10.0.0.1"), network.add_host("client", "10.0.0.2")
    network.connect(server_host, client_host, conditions, DEFAULT_CONDITIONS)
    handler = handler or NotingHandler(accept_publishers=True)
    async with trio.open_nursery() as nursery:
        with use_network(server_host):
            stream = ServerStream(AV)
            handler.streams["/live"] = stream
            server: RtspServer = await nursery.start(partial(serve_rtsp, handler, "rtsp://:8554", **knobs))
            if feeding:
                nursery.start_soon(partial(feed, stream, size=size))
        with use_network(client_host):
            yield World(
                network,
                server_host,
                client_host,
                server,
                handler,
                stream,
                "rtsp://10.0.0.1:8554/live",
                nursery,
            )
        nursery.cancel_scope.cancel()
