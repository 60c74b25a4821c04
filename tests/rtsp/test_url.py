"""Our parameters are taken out of an RTSP URL; what is left is the server's, letter by letter."""

from __future__ import annotations

import pytest

from terzetto.rtsp.url import listening_from_url, target_from_url
from terzetto.url import parse_url


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("rtsp://h/x", "rtsp://h/x"),
        ("rtsp://h:8554/x?a=1&b=%20c&rtsp_transport=tcp", "rtsp://h:8554/x?a=1&b=%20c"),
        ("rtsp://h/x?rtsp_transport=tcp", "rtsp://h/x"),
        ("rtsp://h/x?rtsp_transport=tcp&a", "rtsp://h/x?a"),
        ("rtsp://u:p%40@h/a%2fb/?c=d/e", "rtsp://u:p%40@h/a%2fb/?c=d/e"),
    ],
)
def test_the_servers_part_keeps_its_text(text: str, sent: str) -> None:
    assert target_from_url(parse_url(text)).url == sent


def test_parameters_become_options() -> None:
    options = target_from_url(
        parse_url("rtsp://h/x?rtsp_transport=udp&rtsp_timeout=2500&rtsp_any_port=1&rtsp_reorder=50")
    ).options
    assert (options.transport, options.read_timeout, options.any_port, options.reorder_time) == (
        "udp",
        2.5,
        True,
        0.05,
    )


def test_a_url_that_listens_names_path_users_and_options() -> None:
    listening = listening_from_url(parse_url("rtsp://me:secret@@127.0.0.1:8554/live/?rtsp_udp=0"))
    assert listening.url == "rtsp://@127.0.0.1:8554"
    assert listening.path == "/live"
    assert listening.credentials == {"me": "secret"}
    assert "secret" not in repr(listening)
    assert not listening.options.udp
    assert listening_from_url(parse_url("rtsp://:8554")).path == "/"
