"""Between RTSP's packets and a route's batches: RTP as it came where both ends speak it, else a transport stream."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Final, TypeAlias

from attrs import evolve

from terzetto.gateway.contract import Batch, Json, RtpRun
from terzetto.mpegts.alignment import PacketAligner
from terzetto.primitives.datagrams import Buffer
from terzetto.primitives.time import Micros
from terzetto.rtsp.events import RtspPacket
from terzetto.rtsp.transport_stream import TransportStreamPacketizer
from terzetto.rtsp.wire.description import Description

__all__ = ["Incoming", "MediaRun", "RtpWrapper", "description_of"]

MediaRun: TypeAlias = tuple[int, Sequence[Buffer], Micros | None]
"""Packets of one media, and the wall clock of the last one where it is known."""

_TRANSPORT_STREAM: Final = Description.mpeg_ts()


def description_of(batch: Batch) -> Description:
    """The medias that *batch* belongs to."""
    return batch.rtp.description if batch.rtp is not None else _TRANSPORT_STREAM


class Incoming:
    """One stream that comes in by RTSP, from a server that we play or from somebody who publishes to us."""

    def __init__(
        self,
        description: Description,
        receive: Callable[[], Awaitable[list[RtspPacket]]],
        statistics: Callable[[], Mapping[str, Json]],
    ) -> None:
        used = [
            index
            for index, media in enumerate(description.medias)
            if not media.is_back_channel and media.fault is None
        ]
        self._order = {index: place for place, index in enumerate(used)}
        self._is_in_order = used == list(range(len(used)))
        # What reaches a route is in clear, whatever it was on its way here.
        self.description = Description(
            medias=tuple(
                evolve(description.medias[index], protocol="RTP/AVP", key_management=None) for index in used
            ),
            title=description.title,
        )
        formats = [each for media in self.description.medias for each in media.formats]
        self._is_transport_stream = len(used) == 1 and all(each.is_mpeg_ts for each in formats)
        self.formats = ", ".join(each.encoding or "unknown" for each in formats)
        """Their names, for people."""
        self._receive = receive
        self.statistics = statistics
        """The counters of the session."""

    async def receive(self) -> Batch | None:
        """What is there; None when the stream has ended."""
        packets = await self._receive()
        if not packets:
            return None
        if not self._is_in_order:
            packets = [
                packet._replace(media=self._order[packet.media])
                for packet in packets
                if packet.media in self._order
            ]
        run = RtpRun(self.description, packets, self._is_transport_stream)
        return Batch([packet.payload for packet in packets], None, run)


class RtpWrapper:
    """Gives a batch as RTP: its own packets, or a transport stream cut into new ones."""

    def __init__(self) -> None:
        self._aligner = PacketAligner()
        self._made: list[Sequence[bytes]] = []
        self._packetizer: TransportStreamPacketizer | None = None

    def runs(self, batch: Batch) -> Iterator[MediaRun]:
        """Runs of packets, each of one media."""
        if batch.rtp is not None:
            for media, group in groupby(batch.rtp.packets, key=lambda packet: packet.media):
                run = list(group)
                yield media, [packet.data for packet in run], run[-1].ntp
            return
        if self._packetizer is None:
            self._packetizer = TransportStreamPacketizer(self._made.append)
        self._packetizer.send(self._aligner.feed(b"".join(batch.payloads)))
        made, self._made[:] = list(self._made), []
        for packets in made:
            yield 0, packets, None
