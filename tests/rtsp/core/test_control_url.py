from __future__ import annotations

import pytest

from terzetto.rtsp.core.control_url import TrackTarget, base_url, media_url, split_track, track_of
from terzetto.rtsp.wire.fields import Fields
from terzetto.rtsp.wire.url import RtspUrl


@pytest.mark.parametrize(
    ("base", "control", "expected"),
    [
        ("rtsp://h/p", "trackID=1", "rtsp://h/p/trackID=1"),
        ("rtsp://h/p/", "stream=0", "rtsp://h/p/stream=0"),
        ("rtsp://h/p?u=a&v=b", "trackID=1", "rtsp://h/p?u=a&v=b/trackID=1"),
        ("rtsp://h/p", "?ctype=video", "rtsp://h/p?ctype=video"),
        ("rtsp://h/p", "/rtsp/audio", "rtsp://h/p/rtsp/audio"),
        ("rtsp://u:p@1.2.3.4:554/x", "rtsp://10.0.0.9/foo/t=1", "rtsp://1.2.3.4:554/foo/t=1"),
        ("rtsp://h/p", None, "rtsp://h/p"),
        ("rtsp://h/p", "", "rtsp://h/p"),
        ("rtsp://h/p", "*", "rtsp://h/p"),
        ("rtsp://h/p", "rtsp://[broken", "rtsp://h/p"),
        ("rtsp://h/p", "a b", "rtsp://h/p"),
    ],
)
def test_controls_are_appended_as_text(base: str, control: str | None, expected: str) -> None:
    assert media_url(RtspUrl.parse(base), control).text == expected


@pytest.mark.parametrize(
    ("fields", "control", "expected"),
    [
        ({}, None, "rtsp://cam/a?x=1"),
        ({}, "*", "rtsp://cam/a?x=1"),
        ({"Content-Base": "rtsp://cam/a/"}, "*", "rtsp://cam/a/"),
        ({"Content-Base": "/b/"}, None, "rtsp://cam/b/"),
        ({"Content-Base": "junk", "Content-Location": "rtsp://cam/c/"}, None, "rtsp://cam/c/"),
        ({"Content-Base": "rtsp://cam/a/"}, "rtsp://cam/d/", "rtsp://cam/d/"),
        ({"Content-Base": "rtsp://cam/a/"}, "e", "rtsp://cam/a/e"),
        ({"Content-Base": "rtsp://10.0.0.9:554/a/"}, None, "rtsp://10.0.0.9:554/a/"),
    ],
)
def test_the_base_is_the_first_that_makes_sense(
    fields: dict[str, str], control: str | None, expected: str
) -> None:
    base = base_url(RtspUrl.parse("rtsp://me:pw@cam/a?x=1"), Fields(fields), control)
    assert base.text == expected
    assert (base.username, base.password) == ("me", "pw")


def test_a_description_cannot_talk_us_out_of_encryption() -> None:
    asked = RtspUrl.parse("rtsps://cam/a")
    assert base_url(asked, Fields({"Content-Base": "rtsp://cam/a/"}), None).scheme == "rtsps"


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/live/trackID=1", TrackTarget("/live", "", 1)),
        ("/live?a=b/trackID=1", TrackTarget("/live", "a=b", 1)),
        ("/live/trackID=1?a=b", TrackTarget("/live", "a=b", 1)),
        ("/live/", TrackTarget("/live", "", None)),
        ("/live", TrackTarget("/live", "", None)),
        ("/live/?a=b", TrackTarget("/live", "a=b", None)),
        ("/live?a=b/", TrackTarget("/live", "a=b", None)),
        ("", TrackTarget("/", "", None)),
        ("/", TrackTarget("/", "", None)),
        ("/trackID=0", TrackTarget("/", "", 0)),
        ("/a/../b/trackID=12/", TrackTarget("/a/../b", "", 12)),
        ("/live/trackID=x", TrackTarget("/live/trackID=x", "", None)),
        ("/live/?trackID=2", TrackTarget("/live", "", 2)),
    ],
)
def test_players_put_the_track_where_they_like(target: str, expected: TrackTarget) -> None:
    assert split_track(target) == expected


@pytest.mark.parametrize(
    ("announced", "target", "expected"),
    [
        ("rtsp://h/p", "/p/streamid=1", 1),
        ("rtsp://h/p", "/p/streamid=0", 0),
        ("rtsp://h/p/", "/p/streamid=1", 1),
        ("rtsp://h/p?k=v", "/p?k=v/streamid=1", 1),
        ("rtsp://h/p?k=v", "/p/streamid=1?k=v", 1),
        ("rtsp://h/p", "/p/streamid=2", None),
        ("rtsp://h/p", "/q/streamid=1", None),
    ],
)
def test_a_publisher_s_tracks_are_found_by_its_own_controls(
    announced: str, target: str, expected: int | None
) -> None:
    assert track_of(target, RtspUrl.parse(announced), ["streamid=0", "streamid=1"]) == expected
