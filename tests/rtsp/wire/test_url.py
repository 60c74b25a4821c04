from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terzetto.errors import MalformedPacket
from terzetto.rtsp.wire.url import RtspUrl


@pytest.mark.parametrize(
    ("text", "host", "port", "target"),
    [
        ("rtsp://h", "h", 554, ""),
        ("rtsps://h/x", "h", 322, "/x"),
        ("rtsp://h:8554//a:b?c=/d?e", "h", 8554, "//a:b?c=/d?e"),
        ("rtsp://h?x=1", "h", 554, "?x=1"),
        ("rtsp://[::1]:8554/x", "::1", 8554, "/x"),
        ("rtsp://[fe80::1%eth0]/x", "fe80::1%eth0", 554, "/x"),
        ("rtsp://[fe80::1%25eth0]/x", "fe80::1%eth0", 554, "/x"),
        ("RTSP://h/%20%26", "h", 554, "/%20%26"),
    ],
)
def test_urls_are_taken_apart(text: str, host: str, port: int, target: str) -> None:
    url = RtspUrl.parse(text)
    assert (url.host, url.effective_port, url.target) == (host, port, target)


def test_credentials_are_decoded_and_never_shown() -> None:
    url = RtspUrl.parse("rtsp://me:p%40ss:word@h/x")
    assert (url.username, url.password) == ("me", "p@ss:word")
    assert url.text == "rtsp://h/x"
    assert "p@ss" not in f"{url!r} {url}"


@pytest.mark.parametrize(
    "text",
    [
        "rtsp:abc",
        "http://h/x",
        "rtsp://",
        "rtsp://h/#f",
        "rtsp://h:0/x",
        "rtsp://h:99999/",
        "rtsp://[::1/x",
        "rtsp://h/a b",
        "rtsp://h:x/",
        "rtspu://h/",
        "rtsp://h/\r\nX: y",
    ],
)
def test_what_is_no_url_of_ours_is_refused(text: str) -> None:
    with pytest.raises(MalformedPacket):
        RtspUrl.parse(text)


@given(st.text(max_size=60))
def test_anything_parses_or_is_malformed(text: str) -> None:
    for candidate in (text, f"rtsp://{text}"):
        with suppress(MalformedPacket):
            RtspUrl.parse(candidate)
