"""Our server of the RTSP benchmark: one stream made in place, paced, or as fast as its one reader takes it.

    python -m bench.rtsp_server RATE     Mbit/s of payload; 0 is as fast as it goes

Prints its port when it is ready.
"""

from __future__ import annotations

import sys
import time
from typing import Final

import trio

from terzetto.net.ticker import KernelTicker
from terzetto.rtp.header import pack_header
from terzetto.rtsp.server import PathHandler, RtspRequest, RtspServer, serve_rtsp
from terzetto.rtsp.stream import ServerStream
from terzetto.rtsp.wire.description import Description
from terzetto.rtsp.wire.message import Response

PAYLOAD: Final = (b"\x47\x1f\xff\x10" + bytes(184)) * 7
INTERVAL: Final = 0.02
"""As often as the program that feeds gst-rtsp-server sends."""
_AT_ONCE: Final = 256
"""Packets to a batch where the reader sets the pace."""


class _Handler(PathHandler):
    """Knows when somebody plays."""

    def __init__(self, stream: ServerStream) -> None:
        super().__init__({"/live": stream})
        self.stream = stream
        self.playing = trio.Event()

    async def play(self, request: RtspRequest) -> Response | None:
        """Remember who plays."""
        self.connection = request.connection
        self.playing.set()
        return await super().play(request)

    async def feed_at_leisure(self) -> None:
        """Write whenever the reader has taken what was written before."""
        await self.playing.wait()
        sequence = 0
        while True:
            self.stream.write(0, _batch(sequence, _AT_ONCE))
            sequence = sequence + _AT_ONCE & 0xFFFF
            await self.connection.driver.wait_written()


def _batch(sequence: int, count: int) -> list[bytes]:
    timestamp = int(time.monotonic() * 90_000) & 0xFFFFFFFF
    return [
        pack_header(33, number & 0xFFFF, timestamp, 1) + PAYLOAD
        for number in range(sequence, sequence + count)
    ]


async def _feed(stream: ServerStream, rate: float) -> None:
    ticker = KernelTicker()
    sequence, sent, began = 0, 0, time.monotonic()
    while True:
        await ticker.wait(INTERVAL)
        count = int((time.monotonic() - began) * rate * 1e6 / 8 / len(PAYLOAD)) - sent
        stream.write(0, _batch(sequence, count))
        sequence, sent = sequence + count & 0xFFFF, sent + count


async def _main(rate: float) -> None:
    stream = ServerStream(Description.mpeg_ts("bench"))
    handler = _Handler(stream)
    async with trio.open_nursery() as nursery:
        server: RtspServer = await nursery.start(serve_rtsp, handler, "rtsp://127.0.0.1:0")
        print(server.address.port, flush=True)
        if rate:
            nursery.start_soon(_feed, stream, rate)
        else:
            nursery.start_soon(handler.feed_at_leisure)


if __name__ == "__main__":
    trio.run(_main, float(sys.argv[1]))
