"""An MPEG transport stream taken apart before it goes out by RTSP, so that players get pictures and sound.

::

    bytes -> pipe -> thread: libavformat -> channel -> task: RTP packets -> the sink that serves or publishes
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

import trio

from terzetto.driver.clock import current_micros
from terzetto.gateway.contract import Batch, Json, Report, RtpRun, Sink
from terzetto.net.network import current_network
from terzetto.primitives.time import Micros
from terzetto.rtp.header import FIXED_HEADER
from terzetto.rtsp.events import RtspPacket
from terzetto.rtsp.formats.writer import UnitWriter
from terzetto.rtsp.remux import DemuxedUnit, TransportStreamDemuxer
from terzetto.rtsp.wire.description import Description

__all__ = ["SplittingSink"]

# Batches of units between thread and task: while they wait, bytes wait in the pipe, whose bound is in bytes.
_BATCHES: Final = 16
_PATIENCE_AT_THE_END: Final = 5.0

_Found: TypeAlias = "Description | list[DemuxedUnit]"


class SplittingSink(Sink):
    """Gives *inner* elementary streams; what came as RTP passes as it is.

    A stream with nothing in it that RTP has a format for goes on as it is, unless that was asked for expressly.
    """

    def __init__(self, inner: Sink, report: Report, *, insists: bool) -> None:
        self._inner = inner
        self._report = report
        self._insists = insists
        self._is_given_up = False
        self._sender, self._receiver = trio.open_memory_channel[_Found](_BATCHES)
        self._demuxer = TransportStreamDemuxer(self._describe, self._hand_over)
        self._is_done = trio.Event()
        self._packer: _Packer | None = None

    async def run(self) -> None:
        """Take apart until the end; to be started in the nursery that the sink lives in."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._pass_on)
                await trio.to_thread.run_sync(
                    self._demuxer.run, abandon_on_cancel=True, limiter=trio.CapacityLimiter(1)
                )
                self._sender.close()
        finally:
            # Wherever the thread waits, it finds that nobody wants anything from it any more.
            self._demuxer.close()
            self._sender.close()
            self._receiver.close()
            self._is_done.set()

    def send_nowait(self, batch: Batch) -> Batch | None:
        """Take it all: what does not fit the pipe is dropped and counted."""
        if self._is_given_up or (batch.rtp is not None and not self._insists):
            return self._inner.send_nowait(batch)
        self._demuxer.feed(b"".join(batch.payloads))
        return None

    async def send(self, batch: Batch) -> None:
        """The same."""
        rest = self.send_nowait(batch)
        if rest is not None:
            await self._inner.send(rest)
        else:
            await trio.lowlevel.checkpoint()

    async def wait_ready(self) -> None:
        """Wait for the sink behind."""
        await self._inner.wait_ready()

    def statistics(self) -> Mapping[str, Json]:
        """Those of the sink behind, and what was lost on the way there."""
        own = {"remux_shed_octets": self._demuxer.shed, "clock_jumps": self._demuxer.jumps}
        return {**self._inner.statistics(), **own}

    async def aclose(self) -> None:
        """Pass on what is there, then close the sink behind."""
        self._demuxer.close()
        with trio.move_on_after(_PATIENCE_AT_THE_END):
            await self._is_done.wait()
        await self._inner.aclose()

    def _describe(self, description: Description, left_out: list[str]) -> None:
        """In the thread: there are these medias now."""
        names = ", ".join(each.encoding for media in description.medias for each in media.formats)
        rest = f"; {', '.join(left_out)} is left out" if left_out else ""
        text = f"goes out as {names}{rest}" if names else f"there is nothing in it for RTSP{rest}"
        trio.from_thread.run_sync(self._tell, text, bool(names))
        self._put(description)

    def _tell(self, text: str, is_something: bool) -> None:
        self._is_given_up = not is_something and not self._insists
        if self._is_given_up:
            text += "; it goes out as it is"
        self._report("remuxing", text, level="info" if is_something else "warning")

    def _hand_over(self, units: list[DemuxedUnit]) -> None:
        self._put(units)

    def _put(self, found: _Found) -> None:
        try:
            trio.from_thread.run(self._sender.send, found)
        except (trio.ClosedResourceError, trio.BrokenResourceError, trio.RunFinishedError, trio.Cancelled):
            self._demuxer.close()

    async def _pass_on(self) -> None:
        async for found in self._receiver:
            if isinstance(found, Description):
                self._packer = _Packer(found) if found.medias else None
            elif self._packer is not None:
                await self._inner.send(self._packer.pack(found))


class _Packer:
    """Makes RTP of units, all medias by one clock."""

    def __init__(self, description: Description) -> None:
        network = current_network()
        self._description = description
        self._writers = [UnitWriter(media.formats[0], network.entropy) for media in description.medias]
        self._payload_types = [media.formats[0].payload_type for media in description.medias]
        self._now = network.wall_clock_offset
        self._epoch: Micros | None = None

    def pack(self, units: list[DemuxedUnit]) -> Batch:
        """The packets of *units*, as if they had come by RTSP."""
        if self._epoch is None:
            self._epoch = current_micros() + self._now() - units[0].ticks * 100 // 9
        packets: list[RtspPacket] = []
        for media, unit, ticks in units:
            writer = self._writers[media]
            ntp = self._epoch + ticks * 100 // 9
            for data in writer.write(unit):
                _, second, sequence, timestamp, _ = FIXED_HEADER.unpack_from(data)
                packets.append(
                    RtspPacket(
                        media=media,
                        payload_type=self._payload_types[media],
                        sequence=sequence,
                        timestamp=timestamp,
                        marker=second & 0x80 != 0,
                        ssrc=writer.ssrc,
                        data=data,
                        ntp=ntp,
                    )
                )
        payloads = [packet.payload for packet in packets]
        return Batch(payloads, None, RtpRun(self._description, packets, False))
