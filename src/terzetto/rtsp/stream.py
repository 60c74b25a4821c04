"""One stream to many readers, over TCP, UDP and multicast at once.

A batch of packets is checked, counted and encoded once, whatever the number of readers; each of them gets the same
bytes with one call. A reader that cannot keep up loses packets of its own, or its session, and nobody else's.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby

from attrs import frozen

from terzetto.driver.clock import current_micros
from terzetto.errors import MalformedPacket, UnsupportedOperation
from terzetto.net.endpoint import DatagramEndpoint
from terzetto.net.network import current_network
from terzetto.primitives.datagrams import Address, Buffer, Run
from terzetto.primitives.time import Micros
from terzetto.rtp.header import FIXED_HEADER
from terzetto.rtp.ntp import ntp_from_unix
from terzetto.rtp.srtp import SrtpSender
from terzetto.rtsp.core.media_keys import make_key, say_key
from terzetto.rtsp.core.media_sender import MediaSender
from terzetto.rtsp.core.picture_cache import PictureCache
from terzetto.rtsp.events import RtspPacket
from terzetto.rtsp.statistics import MediaSendStatistics, media_sent
from terzetto.rtsp.wire.description import Description
from terzetto.rtsp.wire.headers.rtp_info import RtpInfo
from terzetto.rtsp.wire.interleaved import encode_frames
from terzetto.rtsp.wire.mikey import Mikey

__all__ = ["Batch", "Reader", "ServerStream", "ServerStreamStatistics"]


class Batch:
    """Packets of one media on their way to many readers."""

    __slots__ = ("_interleaved", "_sealed", "is_rtcp", "media", "packets")

    def __init__(self, media: int, packets: Sequence[Buffer], *, is_rtcp: bool) -> None:
        self.media = media
        self.packets = packets
        self.is_rtcp = is_rtcp
        self._interleaved: dict[int, bytes] = {}
        self._sealed: Batch | None = None

    def interleaved(self, channel: int) -> bytes:
        """The packets as frames of that channel; readers mostly use the same one, so this is made once."""
        encoded = self._interleaved.get(channel)
        if encoded is None:
            encoded = self._interleaved[channel] = encode_frames(channel, self.packets)
        return encoded

    def sealed(self, sender: SrtpSender) -> Batch:
        """The packets as SRTP; all who read them so share one key, so this is made once."""
        if self._sealed is None:
            protect = sender.protect_rtcp if self.is_rtcp else sender.protect
            packets = [protect(packet) for packet in self.packets]
            self._sealed = Batch(self.media, packets, is_rtcp=self.is_rtcp)
        return self._sealed


class Reader(ABC):
    """Whoever a stream is sent to, one by one."""

    @abstractmethod
    def deliver(self, batch: Batch) -> None:
        """Send *batch*; never waits, never raises."""

    @abstractmethod
    def end(self, reason: str) -> None:
        """The stream is over."""


@frozen(kw_only=True)
class ServerStreamStatistics:
    """Counters of one stream."""

    medias: tuple[MediaSendStatistics, ...]
    readers: int
    """That play now."""

    @property
    def packets(self) -> int:
        """Of all medias, once, whatever the number of readers."""
        return sum(media.packets for media in self.medias)


class _Group:
    """The multicast side of one media."""

    def __init__(
        self,
        rtp: DatagramEndpoint,
        rtcp: DatagramEndpoint,
        address: Address,
        source: str | None,
        *,
        is_secure: bool,
    ) -> None:
        self.endpoints = (rtp, rtcp)
        self.address = address
        self.source = source
        self.is_secure = is_secure
        self.readers = 0


class _Targets:
    """The ports that each media is sent to, with the address of ours to send from."""

    def __init__(self, medias: int) -> None:
        self.rtp: list[dict[Address, str | None]] = [{} for _ in range(medias)]
        self.rtcp: list[dict[Address, str | None]] = [{} for _ in range(medias)]

    def of(self, batch: Batch) -> dict[Address, str | None]:
        """Where *batch* goes."""
        return (self.rtcp if batch.is_rtcp else self.rtp)[batch.media]


class ServerStream:
    """A stream that a server's handler hands out, and somebody writes packets to.

    Give it out in ``describe`` and ``setup``; write whole batches, since each costs one call per reader however
    many packets it holds.

    With a *picture_cache* of so many bytes it keeps what was sent since the last key picture (of H.264 or H.265), and
    whoever begins to read by TCP or UDP is sent that first: they see a picture at once.
    """

    def __init__(self, description: Description, *, picture_cache: int = 0) -> None:
        if not description.medias:
            raise UnsupportedOperation("a stream has at least one media")
        self.description = description.with_controls()
        self._network = current_network()
        offset = self._network.wall_clock_offset()
        self._senders = [MediaSender(media, wall_clock_offset=offset) for media in self.description.medias]
        self._cache = PictureCache(self.description.medias, picture_cache) if picture_cache else None
        self._active: list[dict[Reader, None]] = [{} for _ in self._senders]
        self._udp = _Targets(len(self._senders))
        self._secure_udp = _Targets(len(self._senders))
        self._secure_senders: dict[int, SrtpSender] = {}
        self._udp_endpoints: tuple[DatagramEndpoint, DatagramEndpoint] | None = None
        self._groups: dict[int, _Group] = {}
        self._readers: dict[Reader, None] = {}
        self._playing: set[Reader] = set()
        self._talkers: dict[int, Reader] = {}
        self._closed = False
        self.on_keyframe_wanted: Callable[[int], None] | None = None
        """Called with a media's index when a reader asks for a new picture."""
        self.udp_shed = 0
        """Packets that found the socket's buffer full."""

    # -- for users -----------------------------------------------------------------------------------------------

    def write(self, media: int, packets: Sequence[Buffer], *, ntp: Micros | None = None) -> None:
        """Send RTP packets of a media to everybody who plays; never waits.

        *ntp* is the wall clock of the last one, microseconds since 1970, for the sender reports; now if not given.
        Their SSRC becomes the stream's, which is that of the first packet.
        """
        if self._closed:
            raise UnsupportedOperation("the stream is closed")
        if self.description.medias[media].is_back_channel:
            raise UnsupportedOperation(f"media {media} is a back channel: it is the readers who send there")
        sender = self._senders[media]
        now = current_micros()
        try:
            packets = sender.accept(packets, now=now, ntp=ntp)
        except MalformedPacket as exc:
            raise ValueError(f"cannot send that: {exc.reason}") from None
        if packets:
            self._distribute(Batch(media, packets, is_rtcp=False))
            if self._cache is not None:
                self._cache.add(media, packets)
            secure = self._secure_senders.get(media)
            if secure is not None and sender.ssrc is not None and sender.last_sequence is not None:
                secure.advance(sender.ssrc, sender.last_sequence)
        report = sender.report(now=now)
        if report is not None:
            self._distribute(Batch(media, (report,), is_rtcp=True))

    def write_rtcp(self, media: int, packets: Sequence[Buffer]) -> None:
        """Send RTCP packets of your own."""
        self._distribute(Batch(media, packets, is_rtcp=True))

    def relay(self, packets: Iterable[RtspPacket]) -> None:
        """Send packets that came from elsewhere, with the times of their source."""
        for media, group in groupby(packets, key=_media_of):
            if media < len(self._senders):
                run = list(group)
                self.write(media, [packet.data for packet in run], ntp=run[-1].ntp)

    def close(self, reason: str = "the stream was closed") -> None:
        """End it: the sessions of its readers end as well."""
        if self._closed:
            return
        self._closed = True
        for reader in list(self._readers):
            reader.end(reason)
        for group in self._groups.values():
            for endpoint in group.endpoints:
                endpoint.close()
        self._groups.clear()

    @property
    def is_closed(self) -> bool:
        """Whether it has ended."""
        return self._closed

    @property
    def readers(self) -> int:
        """How many sessions play."""
        return len(self._playing)

    def statistics(self) -> ServerStreamStatistics:
        """A snapshot of the counters."""
        return ServerStreamStatistics(
            medias=tuple(media_sent(index, sender) for index, sender in enumerate(self._senders)),
            readers=self.readers,
        )

    # -- for the server ------------------------------------------------------------------------------------------

    def add(self, reader: Reader) -> None:
        """Somebody set a media up."""
        self._readers[reader] = None

    def remove(self, reader: Reader) -> None:
        """Somebody left."""
        self._readers.pop(reader, None)
        self._playing.discard(reader)
        self._talkers = {media: talker for media, talker in self._talkers.items() if talker is not reader}
        for active in self._active:
            active.pop(reader, None)

    def let_talk(self, media: int, reader: Reader) -> bool:
        """Give a back channel to *reader* until it leaves; False while somebody else has it."""
        return self._talkers.setdefault(media, reader) is reader

    def note_playing(self, reader: Reader, *, is_playing: bool) -> None:
        """Somebody plays from now on, by whatever transport, or pauses."""
        if is_playing:
            self._playing.add(reader)
        else:
            self._playing.discard(reader)

    def activate(self, media: int, reader: Reader) -> None:
        """From now on send *media* to *reader*."""
        self._active[media][reader] = None
        report = self._senders[media].report(now=current_micros(), force=True)
        if report is not None:
            # A reader who joins late cannot align medias before a report.
            reader.deliver(Batch(media, (report,), is_rtcp=True))
        kept = self._kept(media)
        if kept:
            reader.deliver(Batch(media, kept, is_rtcp=False))

    def deactivate(self, media: int, reader: Reader) -> None:
        """No more to *reader*."""
        self._active[media].pop(reader, None)

    def sender(self, media: int) -> MediaSender:
        """The counters of a media, to which readers' reports go."""
        return self._senders[media]

    def rtp_info(self, media: int, url: str) -> RtpInfo:
        """What the next packet will be, near enough."""
        sender = self._senders[media]
        several = len(self.description.medias[media].formats) > 1
        if several or sender.last_sequence is None:
            return RtpInfo(url=url)
        kept = self._kept(media)
        if kept:
            _, _, sequence, timestamp, _ = FIXED_HEADER.unpack_from(kept[0])
            return RtpInfo(url=url, sequence=sequence, timestamp=timestamp)
        return RtpInfo(
            url=url,
            sequence=(sender.last_sequence + 1) & 0xFFFF,
            timestamp=sender.timestamp_at(current_micros()),
        )

    def secure_sender(self, media: int) -> SrtpSender:
        """What seals a media for all who read it as SRTP; its key is made when first asked for."""
        sender = self._secure_senders.get(media)
        if sender is None:
            sender = self._secure_senders[media] = SrtpSender(make_key(self._network.entropy))
        return sender

    def say_key(self, media: int) -> Mikey:
        """The key of a media, and how far its numbers have come."""
        ntp = ntp_from_unix(current_micros() + self._network.wall_clock_offset())
        ssrc = self._senders[media].ssrc or 0
        return say_key(self.secure_sender(media), ssrc, ntp=ntp, entropy=self._network.entropy)

    def group(self, media: int) -> Address | None:
        """Where a media is multicast, if it is."""
        group = self._groups.get(media)
        return group.address if group is not None else None

    def group_source(self, media: int) -> str | None:
        """The address of ours that a media is multicast from, without the name of an interface."""
        group = self._groups.get(media)
        return group.source.partition("%")[0] if group is not None and group.source is not None else None

    def join_group(
        self,
        media: int,
        make: tuple[DatagramEndpoint, DatagramEndpoint, Address, str | None] | None = None,
        *,
        is_secure: bool = False,
    ) -> None:
        """One more reader of a media by multicast; the first one brings the sockets, and decides on SRTP."""
        if media not in self._groups:
            assert make is not None
            self._groups[media] = _Group(*make, is_secure=is_secure)
        self._groups[media].readers += 1

    def leave_group(self, media: int) -> None:
        """One reader fewer; the last one closes the sockets."""
        group = self._groups.get(media)
        if group is None:
            return
        group.readers -= 1
        if group.readers <= 0:
            del self._groups[media]
            for endpoint in group.endpoints:
                endpoint.close()

    def activate_udp(
        self,
        media: int,
        endpoints: tuple[DatagramEndpoint, DatagramEndpoint],
        rtp: Address,
        rtcp: Address,
        local: str | None,
        *,
        is_secure: bool = False,
    ) -> None:
        """From now on send *media* to these ports, sealed where they are *is_secure*."""
        self._udp_endpoints = endpoints
        targets = self._secure_udp if is_secure else self._udp
        targets.rtp[media][rtp] = local
        targets.rtcp[media][rtcp] = local
        report = self._senders[media].report(now=current_micros(), force=True)
        if report is not None:
            batch = Batch(media, (report,), is_rtcp=True)
            if is_secure:
                batch = batch.sealed(self.secure_sender(media))
            self._send(endpoints[1], [Run(rtcp, batch.packets, 0, local)])
        kept = self._kept(media)
        if kept:
            batch = Batch(media, kept, is_rtcp=False)
            if is_secure:
                batch = batch.sealed(self.secure_sender(media))
            self._send(endpoints[0], [Run(rtp, batch.packets, 0, local)])

    def deactivate_udp(self, media: int, rtp: Address, rtcp: Address) -> None:
        """No more to these ports."""
        for targets in (self._udp, self._secure_udp):
            targets.rtp[media].pop(rtp, None)
            targets.rtcp[media].pop(rtcp, None)

    # -- inside --------------------------------------------------------------------------------------------------

    def _kept(self, media: int) -> list[Buffer]:
        return self._cache.since_key(media) if self._cache is not None else []

    def _distribute(self, batch: Batch) -> None:
        media = batch.media
        for reader in tuple(self._active[media]):
            reader.deliver(batch)
        targets = self._udp.of(batch)
        if targets:
            self._send_udp(batch, targets)
        targets = self._secure_udp.of(batch)
        if targets:
            self._send_udp(batch.sealed(self.secure_sender(media)), targets)
        group = self._groups.get(media)
        if group is not None:
            if group.is_secure:
                batch = batch.sealed(self.secure_sender(media))
            host, port = group.address
            target = Address(host, port + batch.is_rtcp)
            self._send(group.endpoints[batch.is_rtcp], [Run(target, batch.packets, 0, group.source)])

    def _send_udp(self, batch: Batch, targets: dict[Address, str | None]) -> None:
        if self._udp_endpoints is not None:
            packets = batch.packets
            runs = [Run(address, packets, 0, local) for address, local in targets.items()]
            self._send(self._udp_endpoints[batch.is_rtcp], runs)

    def _send(self, endpoint: DatagramEndpoint, runs: list[Run]) -> None:
        try:
            left = endpoint.send_nowait(runs)
        except OSError:
            left = runs
        self.udp_shed += sum(len(run.datagrams) for run in left)


def _media_of(packet: RtspPacket) -> int:
    return packet.media
