from __future__ import annotations

from terzetto.rtsp.core.server_control import (
    MAX_WAITING,
    ConnectionEnded,
    FramesReceived,
    RequestReceived,
    ServerControl,
    ServerControlSettings,
)
from terzetto.rtsp.wire.message import Response

SECOND = 1_000_000
ASK = b"OPTIONS * RTSP/1.0\r\nCSeq: %d\r\n\r\n"


def control() -> ServerControl:
    return ServerControl(ServerControlSettings(server_name="x"), now=0)


def test_the_next_request_comes_out_when_the_one_before_is_answered() -> None:
    core = control()
    core.handle_bytes(ASK % 1 + ASK % 2, now=0)
    assert len(core.poll_events()) == 1
    core.respond(Response(200), now=0)
    assert core.poll_bytes() == b"RTSP/1.0 200 OK\r\nServer: x\r\nCSeq: 1\r\n\r\n"
    [event] = core.poll_events()
    assert isinstance(event, RequestReceived)
    assert event.request.cseq == "2"


def test_frames_before_the_first_request_are_nobody_s() -> None:
    core = control()
    core.handle_bytes(b"$\x00\x00\x01x", now=0)
    assert core.poll_events() == []
    core.handle_bytes(ASK % 1 + b"$\x00\x00\x01x", now=0)
    assert {type(event) for event in core.poll_events()} == {RequestReceived, FramesReceived}


def test_a_broken_request_is_answered_behind_those_before_it_and_ends_the_connection() -> None:
    core = control()
    core.handle_bytes(ASK % 1 + b"OPTIONS * RTSP/9.0\r\nCSeq: 2\r\n\r\n", now=0)
    assert core.poll_bytes() == b""
    core.poll_events()
    core.respond(Response(200), now=0)
    assert core.poll_bytes().split(b"\r\n")[4] == b"RTSP/1.0 505 RTSP Version Not Supported"
    assert [type(event) for event in core.poll_events()] == [ConnectionEnded]
    assert core.is_finished


def test_a_stranger_who_asks_nothing_is_shown_the_door() -> None:
    core = control()
    assert core.next_timeout() == 10 * SECOND
    core.handle_timeout(now=10 * SECOND - 1)
    assert not core.is_finished
    core.handle_timeout(now=10 * SECOND)
    assert core.is_finished


def test_a_message_that_trickles_in_is_not_waited_for() -> None:
    core = control()
    core.handle_bytes(ASK % 1 + b"OPT", now=0)
    core.respond(Response(200), now=0)
    for second in range(1, 10):
        core.handle_bytes(b"I", now=second * SECOND)
    core.handle_timeout(now=10 * SECOND)
    assert core.is_finished


def test_an_idle_connection_is_closed_unless_excused() -> None:
    for excused in (False, True):
        core = control()
        core.handle_bytes(ASK % 1, now=0)
        core.respond(Response(200), now=0)
        core.may_be_idle = excused
        core.handle_timeout(now=60 * SECOND)
        assert core.is_finished is not excused


def test_nobody_is_blamed_for_our_own_slowness() -> None:
    core = control()
    core.handle_bytes(ASK % 1, now=0)
    core.handle_timeout(now=600 * SECOND)
    assert not core.is_finished


def test_a_crowd_of_requests_is_noticed() -> None:
    core = control()
    core.handle_bytes(b"".join(ASK % number for number in range(MAX_WAITING + 1)), now=0)
    assert core.is_crowded


def test_a_response_that_cannot_be_written_is_an_error_of_ours() -> None:
    core = control()
    core.handle_bytes(ASK % 1, now=0)
    core.respond(Response(200, "line\r\nbreak"), now=0)
    assert core.poll_bytes().startswith(b"RTSP/1.0 500 ")


def test_the_last_answer_closes() -> None:
    core = control()
    core.handle_bytes(ASK % 1 + ASK % 2, now=0)
    core.respond(Response(401), now=0, close=True)
    assert core.is_finished
    core.respond(Response(200), now=0)
    assert core.poll_bytes().count(b"RTSP/1.0") == 1
