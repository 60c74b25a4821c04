"""What a refused request tells the user to do, where the server says enough."""

from __future__ import annotations

import pytest

from terzetto.errors import ConnectionRefusedByPeer
from terzetto.rtsp.client.connection import refusal
from terzetto.rtsp.core.client_control import Answered
from terzetto.rtsp.wire.message import Request, Response


@pytest.mark.parametrize(
    ("code", "fields", "hint"),
    [
        (404, {}, "check the path of the URL"),
        (405, {"Allow": "OPTIONS,describe"}, "the server would take OPTIONS, DESCRIBE"),
        (455, {"Allow": "PLAY, TEARDOWN"}, "the server would take PLAY, TEARDOWN"),
        (455, {}, ""),
        (551, {"Unsupported": "onvif-replay"}, "the server does not know onvif-replay"),
        (551, {}, ""),
        (499, {"Allow": "PLAY"}, ""),
    ],
)
def test_the_hint_of_a_refusal(code: int, fields: dict[str, str], hint: str) -> None:
    answered = Answered(1, Request("PAUSE", "rtsp://cam/"), Response(code, fields=fields))
    error = refusal("PAUSE", "rtsp://cam/", answered)
    assert isinstance(error, ConnectionRefusedByPeer)
    assert (error.code, error.hint) == (code, hint)
