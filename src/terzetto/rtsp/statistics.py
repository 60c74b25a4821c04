"""Snapshots of an RTSP session's counters."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import evolve, field, frozen

from terzetto.primitives.time import Micros
from terzetto.rtsp.core.media_sender import MediaSender
from terzetto.rtsp.core.reception import Reception, Track

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
    """Missing just before packets of this format; which format they were of nobody can know."""
    jitter: float = 0.0
    """Interarrival jitter in seconds, by this format's clock."""
    last_sequence: int | None = None
    """Extended: it does not wrap."""
    last_timestamp: int | None = None
    last_ntp: Micros | None = None


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
    """Interarrival jitter in seconds."""
    last_sequence: int | None = None
    """Extended: it does not wrap."""
    last_timestamp: int | None = None
    last_ntp: Micros | None = None
    remote_ssrc: int | None = None
    local_ssrc: int | None = None
    """What our reports are called."""
    formats: tuple[FormatReceiveStatistics, ...] = ()
    """One each, in the order of the description. They share one source."""


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
    rate = next((rate for rate, _ in track.formats.values() if rate), 0)
    whole = MediaReceiveStatistics(
        media=track.index,
        bytes=track.bytes_received,
        packets=track.packets_received,
        lost=track.lost,
        late_or_duplicate=source.late_or_duplicate if source else 0,
        in_error=track.errors.total(),
        errors=dict(track.errors),
        rtcp_packets=track.rtcp_received,
        rtcp_in_error=track.rtcp_faults.total(),
        rtcp_sent=track.rtcp_sent,
        jitter=source.jitter / rate if source and rate else 0.0,
        last_sequence=source.highest_sequence if source else None,
        last_timestamp=source.last_timestamp if source else None,
        last_ntp=track.stamp[3],
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
