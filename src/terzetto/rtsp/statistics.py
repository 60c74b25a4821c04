"""Snapshots of an RTSP session's counters."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import evolve, field, frozen

from terzetto.primitives.time import Micros
from terzetto.rtsp.core.media_sender import MediaSender
from terzetto.rtsp.core.reception import Reception
from terzetto.rtsp.core.track import Track

__all__ = [
    "ConnectionStatistics",
    "FormatReceiveStatistics",
    "FormatSendStatistics",
    "MediaReceiveStatistics",
    "MediaSendStatistics",
    "SessionReceiveStatistics",
    "SessionSendStatistics",
    "media_received",
    "media_sent",
    "session_received",
]


@frozen(kw_only=True)
class ConnectionStatistics:
    """One control connection."""

    bytes_received: int = 0
    bytes_sent: int = 0
    tunnel: str = "none"
    """``http`` or ``websocket`` where the client came through one."""


@frozen(kw_only=True)
class FormatReceiveStatistics:
    """What came of one format (payload type) of a media."""

    payload_type: int
    packets: int = 0
    lost: int = 0
    """Missing just before packets of this format. Of formats that share a source nobody can know which they were of."""
    jitter: float = 0.0
    """Interarrival jitter in seconds, by this format's clock."""
    last_sequence: int | None = None
    """Extended: it does not wrap."""
    last_timestamp: int | None = None
    last_ntp: Micros | None = None
    remote_ssrc: int | None = None
    """Of the source that sends it: the media's, or its own."""


@frozen(kw_only=True)
class FormatSendStatistics:
    """What was sent of one format (payload type) of a media."""

    payload_type: int
    packets: int = 0
    last_sequence: int | None = None
    last_timestamp: int | None = None
    last_ntp: Micros | None = None
    """The wall clock that goes with it, microseconds since 1970."""


@frozen(kw_only=True)
class MediaReceiveStatistics:
    """What came of one media."""

    media: int
    bytes: int = 0
    packets: int = 0
    lost: int = 0
    """Never arrived in time."""
    late_or_duplicate: int = 0
    in_error: int = 0
    errors: Mapping[str, int] = field(factory=dict)
    """Why packets were not understood, and how many each."""
    rtcp_packets: int = 0
    rtcp_in_error: int = 0
    rtcp_sent: int = 0
    """Reports that went back."""
    jitter: float = 0.0
    """Interarrival jitter in seconds; the worst, where several sources send it."""
    last_sequence: int | None = None
    """Extended: it does not wrap."""
    last_timestamp: int | None = None
    last_ntp: Micros | None = None
    remote_ssrc: int | None = None
    """Of the last packet; where formats have sources of their own, each format says which."""
    local_ssrc: int | None = None
    """What our reports are called."""
    formats: tuple[FormatReceiveStatistics, ...] = ()
    """One each, in the order of the description. They share one source, or have one each, as the sender likes."""


@frozen(kw_only=True)
class MediaSendStatistics:
    """What was sent of one media."""

    media: int
    bytes: int = 0
    packets: int = 0
    rtcp_packets: int = 0
    reported_lost: int = 0
    """As the peer's reports say."""
    last_sequence: int | None = None
    last_timestamp: int | None = None
    last_ntp: Micros | None = None
    """The wall clock that goes with it, microseconds since 1970."""
    local_ssrc: int | None = None
    remote_ssrc: int | None = None
    """Of the last peer that reported."""
    formats: tuple[FormatSendStatistics, ...] = ()
    """One each, in the order of the description. They share one source, which is what peers report losses of."""


@frozen(kw_only=True)
class SessionReceiveStatistics:
    """All medias of a session that plays, or of a publisher's."""

    medias: tuple[MediaReceiveStatistics, ...] = ()
    foreign: int = 0
    """Packets from addresses, or on channels, that were not agreed."""
    shed: int = 0
    """Packets that the application did not take in time."""

    @property
    def bytes(self) -> int:
        """Of all medias."""
        return sum(media.bytes for media in self.medias)

    @property
    def packets(self) -> int:
        """Of all medias."""
        return sum(media.packets for media in self.medias)

    @property
    def lost(self) -> int:
        """Of all medias."""
        return sum(media.lost for media in self.medias)

    @property
    def in_error(self) -> int:
        """Of all medias."""
        return sum(media.in_error for media in self.medias)

    @property
    def rtcp_packets(self) -> int:
        """Of all medias."""
        return sum(media.rtcp_packets for media in self.medias)

    @property
    def rtcp_in_error(self) -> int:
        """Of all medias."""
        return sum(media.rtcp_in_error for media in self.medias)

    @property
    def jitter(self) -> float:
        """The mean of the medias'."""
        return sum(media.jitter for media in self.medias) / len(self.medias) if self.medias else 0.0


@frozen(kw_only=True)
class SessionSendStatistics:
    """What was sent to one reader."""

    medias: tuple[MediaSendStatistics, ...] = ()
    shed: int = 0
    """Packets left out because the reader was too slow."""
    rtcp_received: int = 0
    """Reports that came back."""
    rtcp_in_error: int = 0

    @property
    def bytes(self) -> int:
        """Of all medias, headers included."""
        return sum(media.bytes for media in self.medias)

    @property
    def packets(self) -> int:
        """Of all medias."""
        return sum(media.packets for media in self.medias)

    @property
    def rtcp_packets(self) -> int:
        """Of all medias."""
        return sum(media.rtcp_packets for media in self.medias)

    @property
    def reported_lost(self) -> int:
        """Of all medias, as the reader's reports say."""
        return sum(media.reported_lost for media in self.medias)


def media_received(track: Track, *, local_ssrc: int | None = None) -> MediaReceiveStatistics:
    """A snapshot of one track."""
    source = track.source
    whole = MediaReceiveStatistics(
        media=track.index,
        bytes=track.bytes_received,
        packets=track.packets_received,
        lost=track.lost,
        late_or_duplicate=track.late_or_duplicate,
        in_error=track.errors.total(),
        errors=dict(track.errors),
        rtcp_packets=track.rtcp_received,
        rtcp_in_error=track.rtcp_faults.total(),
        rtcp_sent=track.rtcp_sent,
        jitter=max(
            (each.jitter / each.clock_rate for each in track.sources.values() if each.clock_rate), default=0.0
        ),
        last_sequence=source.highest_sequence if source else None,
        last_timestamp=source.last_timestamp if source else None,
        last_ntp=source.stamp[3] if source else None,
        remote_ssrc=source.ssrc if source else None,
        local_ssrc=local_ssrc,
    )
    return evolve(whole, formats=_formats_received(track, whole))


def session_received(reception: Reception | None, *, shed: int = 0) -> SessionReceiveStatistics:
    """A snapshot of a session's reception."""
    if reception is None:
        return SessionReceiveStatistics(shed=shed)
    return SessionReceiveStatistics(
        medias=tuple(media_received(track, local_ssrc=reception.ssrc) for track in reception.tracks),
        foreign=reception.foreign,
        shed=shed,
    )


def media_sent(index: int, sender: MediaSender) -> MediaSendStatistics:
    """A snapshot of one media's sender."""
    whole = MediaSendStatistics(
        media=index,
        bytes=sender.bytes_sent,
        packets=sender.packets,
        rtcp_packets=sender.reports,
        reported_lost=sender.reported_lost,
        last_sequence=sender.last_sequence,
        last_timestamp=sender.last_timestamp,
        last_ntp=sender.last_ntp,
        local_ssrc=sender.ssrc,
        remote_ssrc=sender.reporter,
    )
    return evolve(whole, formats=_formats_sent(sender, whole))


def _formats_received(track: Track, whole: MediaReceiveStatistics) -> tuple[FormatReceiveStatistics, ...]:
    """A media's only format has all that the media has."""
    if track.by_format is None:
        return tuple(
            FormatReceiveStatistics(
                payload_type=payload_type,
                packets=whole.packets,
                lost=whole.lost,
                jitter=whole.jitter,
                last_sequence=whole.last_sequence,
                last_timestamp=whole.last_timestamp,
                last_ntp=whole.last_ntp,
                remote_ssrc=whole.remote_ssrc,
            )
            for payload_type in track.formats
        )
    return tuple(
        FormatReceiveStatistics(
            payload_type=payload_type,
            packets=count.packets,
            lost=count.lost,
            jitter=count.jitter.ticks / count.clock_rate if count.jitter is not None else 0.0,
            last_sequence=count.last_sequence,
            last_timestamp=count.last_timestamp,
            last_ntp=count.last_ntp,
            remote_ssrc=count.ssrc,
        )
        for payload_type, count in track.by_format.items()
    )


def _formats_sent(sender: MediaSender, whole: MediaSendStatistics) -> tuple[FormatSendStatistics, ...]:
    counts = sender.by_format
    return tuple(
        FormatSendStatistics(
            payload_type=payload_type,
            packets=each.packets,
            last_sequence=each.last_sequence,
            last_timestamp=each.last_timestamp,
            last_ntp=each.last_ntp,
        )
        for payload_type in sender.payload_types
        for each in (whole if counts is None else counts[payload_type],)
    )
