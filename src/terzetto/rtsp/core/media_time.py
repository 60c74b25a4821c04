"""Packet times that are comparable across the medias of a session.

The media whose clock starts first leads, and starts at zero. Until sender reports of two medias are there, the
second is placed by when it arrived, which is as good as the server's buffering is even; from then on by the
sender's own clock. A media's times are linear in its timestamps in between, so they never jitter.
"""

from __future__ import annotations

from terzetto.primitives.time import MICROS_PER_SECOND, Micros
from terzetto.rtp.ntp import unix_from_ntp
from terzetto.rtp.sender_report import SenderReport
from terzetto.rtsp.events import PtsQuality

__all__ = ["SessionTime", "TrackTime"]


class SessionTime:
    """What the tracks of one play share."""

    def __init__(self) -> None:
        self.tracks: list[TrackTime] = []
        self.leader: TrackTime | None = None

    def add_track(self, clock_rate: int) -> TrackTime:
        """The clock of another media."""
        track = TrackTime(self, clock_rate)
        self.tracks.append(track)
        return track

    def remove_track(self, track: TrackTime) -> None:
        """A clock that stands still for good."""
        track.source_changed()
        self.tracks.remove(track)


class TrackTime:
    """The time of one source's packets."""

    def __init__(self, session: SessionTime, clock_rate: int) -> None:
        self._session = session
        self._rate = clock_rate
        self._origin: int | None = None
        self._extended = 0
        self._offset: Micros = 0
        self._last_start_pts: Micros = 0
        self._last_start_arrived: Micros = 0
        self._report_extended: int | None = None
        self._report_moment: Micros = 0
        self._is_aligned = False

    @property
    def quality(self) -> PtsQuality:
        """How far `pts` can be trusted."""
        if self._origin is None:
            return PtsQuality.NONE
        if self._is_aligned or (self._session.leader is self and self._report_extended is not None):
            return PtsQuality.SENDER_REPORT
        return PtsQuality.ARRIVAL

    def advance(self, timestamp: int, *, now: Micros, starts_clock: bool) -> Micros | None:
        """The presentation time of a packet with this timestamp; None before the clock runs."""
        if self._rate <= 0:
            return None
        if self._origin is None:
            if not starts_clock:
                return None
            self._start(timestamp, now)
        else:
            extended = self._extended
            self._extended = extended + ((timestamp - extended + 0x8000_0000) & 0xFFFF_FFFF) - 0x8000_0000
        pts = self._pts_of(self._extended)
        if starts_clock:
            self._last_start_pts = pts
            self._last_start_arrived = now
        return pts

    def ntp(self) -> Micros | None:
        """The sender's wall clock for the packet last given to `advance`, in microseconds since 1970."""
        if self._report_extended is None:
            return None
        return (
            self._report_moment + (self._extended - self._report_extended) * MICROS_PER_SECOND // self._rate
        )

    def handle_sender_report(self, report: SenderReport) -> None:
        """The sender said what its clocks show."""
        if self._rate <= 0 or not report.ntp:
            return
        reference = self._extended if self._origin is not None else report.rtp_timestamp
        self._report_extended = (
            reference + ((report.rtp_timestamp - reference + 0x8000_0000) & 0xFFFF_FFFF) - 0x8000_0000
        )
        self._report_moment = unix_from_ntp(report.ntp)
        if self._origin is None:
            self._extended = reference
        self._align_all()

    def source_changed(self, clock_rate: int | None = None) -> None:
        """Another source sends: its timestamps have nothing to do with those before."""
        if clock_rate is not None:
            self._rate = clock_rate
        self._report_extended = None
        self._is_aligned = False
        if self._origin is not None:
            self._origin = None
        if self._session.leader is self:
            # The others keep their times; we join them anew, as any later track.
            self._session.leader = next(
                (track for track in self._session.tracks if track is not self and track._origin is not None),
                self,
            )

    def _start(self, timestamp: int, now: Micros) -> None:
        leader = self._session.leader
        previous_report = self._report_extended
        self._origin = self._extended = timestamp
        if leader is None:
            self._session.leader = self
            self._offset = 0
        else:
            self._offset = leader._last_start_pts + (now - leader._last_start_arrived)
            if leader._origin is None:
                self._session.leader = self  # it has stopped, and may never begin again
        if previous_report is not None:
            self._report_extended = (
                timestamp + ((previous_report - timestamp + 0x8000_0000) & 0xFFFF_FFFF) - 0x8000_0000
            )
        self._align_all()

    def _pts_of(self, extended: int) -> Micros:
        assert self._origin is not None
        return self._offset + (extended - self._origin) * MICROS_PER_SECOND // self._rate

    def _ntp_of_zero(self) -> Micros | None:
        """The sender's wall clock at presentation time zero."""
        if self._report_extended is None or self._origin is None:
            return None
        return self._report_moment - self._pts_of(self._report_extended)

    def _align_all(self) -> None:
        """Place every track by the sender's clock, once its and the leader's are known; only once each."""
        leader = self._session.leader
        zero = leader._ntp_of_zero() if leader is not None else None
        if zero is None:
            return
        for track in self._session.tracks:
            if track is leader or track._is_aligned:
                continue
            own_zero = track._ntp_of_zero()
            if own_zero is not None:
                track._offset += own_zero - zero
                track._is_aligned = True
