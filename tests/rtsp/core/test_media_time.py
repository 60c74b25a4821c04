from __future__ import annotations

from terzetto.rtp.ntp import ntp_from_unix
from terzetto.rtp.sender_report import SenderReport
from terzetto.rtsp.core.media_time import SessionTime, TrackTime
from terzetto.rtsp.events import PtsQuality

SECOND = 1_000_000
NOON = 1_700_000_000 * SECOND


def report(track: TrackTime, *, at: int, timestamp: int) -> None:
    track.handle_sender_report(
        SenderReport(ssrc=1, ntp=ntp_from_unix(at), rtp_timestamp=timestamp & 0xFFFF_FFFF)
    )


def near(value: int | None, expected: int) -> bool:
    return value is not None and abs(value - expected) <= 1


def test_the_first_track_leads_and_starts_at_zero() -> None:
    track = SessionTime().add_track(90_000)
    assert track.advance(0xFFFF_FFF0, now=5, starts_clock=True) == 0
    assert track.advance((0xFFFF_FFF0 + 90_000) & 0xFFFF_FFFF, now=7, starts_clock=False) == SECOND
    assert track.quality is PtsQuality.ARRIVAL


def test_no_clock_starts_in_the_middle_of_a_picture() -> None:
    track = SessionTime().add_track(90_000)
    assert track.advance(0, now=0, starts_clock=False) is None
    assert track.quality is PtsQuality.NONE


def test_an_unknown_clock_has_no_time() -> None:
    assert SessionTime().add_track(0).advance(5, now=0, starts_clock=True) is None


def test_a_second_track_is_placed_by_arrival_until_reports_tell() -> None:
    session = SessionTime()
    video, audio = session.add_track(90_000), session.add_track(8_000)
    video.advance(1000, now=0, starts_clock=True)
    assert audio.advance(500, now=300_000, starts_clock=True) == 300_000
    report(video, at=NOON, timestamp=1000)
    # The audio that arrived 0.3 s later was taken 0.1 s later.
    report(audio, at=NOON + 100_000, timestamp=500)
    assert near(audio.advance(500 + 8000, now=0, starts_clock=True), 100_000 + SECOND)
    assert audio.quality is PtsQuality.SENDER_REPORT
    assert video.quality is PtsQuality.SENDER_REPORT
    assert near(audio.ntp(), NOON + 100_000 + SECOND)


def test_reports_that_came_before_the_packets_place_them_from_the_first() -> None:
    session = SessionTime()
    video, audio = session.add_track(90_000), session.add_track(8_000)
    report(audio, at=NOON, timestamp=0xFFFF_FFFF - 100)
    report(video, at=NOON, timestamp=7)
    video.advance(7, now=0, starts_clock=True)
    pts = audio.advance((0xFFFF_FFFF - 100 + 8000) & 0xFFFF_FFFF, now=10 * SECOND, starts_clock=True)
    assert near(pts, SECOND)


def test_times_do_not_jump_with_later_reports() -> None:
    session = SessionTime()
    video, audio = session.add_track(90_000), session.add_track(8_000)
    video.advance(0, now=0, starts_clock=True)
    audio.advance(0, now=0, starts_clock=True)
    report(video, at=NOON, timestamp=0)
    report(audio, at=NOON, timestamp=0)
    before = audio.advance(8000, now=0, starts_clock=True)
    report(audio, at=NOON + SECOND + 3000, timestamp=8000)
    assert audio.advance(8000, now=0, starts_clock=True) == before
    assert near(audio.ntp(), NOON + SECOND + 3000)


def test_a_source_that_changed_starts_its_clock_anew_beside_the_others() -> None:
    session = SessionTime()
    video, audio = session.add_track(90_000), session.add_track(8_000)
    video.advance(0, now=0, starts_clock=True)
    audio.advance(0, now=0, starts_clock=True)
    audio.advance(80_000, now=10 * SECOND, starts_clock=True)
    video.source_changed()
    assert near(video.advance(123456, now=10 * SECOND + 5000, starts_clock=True), 10 * SECOND + 5000)
    assert video.ntp() is None
