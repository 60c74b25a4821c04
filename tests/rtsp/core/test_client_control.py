"""Scripted dialogues: what the server writes goes in, what the client writes comes out."""

from __future__ import annotations

import pytest

from terzetto.errors import UnsupportedOperation
from terzetto.rtsp.core.client_auth import ClientAuthenticator, Credentials, Verdict
from terzetto.rtsp.core.client_control import (
    Answered,
    AskedByServer,
    ClientControl,
    ClientSettings,
    ConnectionLost,
    FramesArrived,
    SessionGone,
    Unanswered,
)
from terzetto.rtsp.core.rtsp_states import State
from terzetto.rtsp.wire.interleaved import Frame
from terzetto.rtsp.wire.url import RtspUrl

SECOND = 1_000_000
URL = RtspUrl.parse("rtsp://127.0.0.1:8554/av")


class Dialogue:
    def __init__(self, *, password: str | None = None) -> None:
        credentials = Credentials("u", password) if password is not None else None
        self.core = ClientControl(
            ClientSettings(user_agent="x"), ClientAuthenticator(credentials, lambda size: bytes(size))
        )
        self.now = 0

    def asks(self, method: str) -> int:
        return self.core.request(method, URL, now=self.now)

    def wrote(self) -> str:
        """What the client wrote, without its name."""
        return self.core.poll_bytes().decode().replace("User-Agent: x\r\n", "")

    def hears(self, text: str) -> list[object]:
        self.core.handle_bytes(text.replace("\n", "\r\n").encode(), now=self.now)
        return list(self.core.poll_events())

    def waits(self, seconds: float) -> list[object]:
        end = self.now + round(seconds * SECOND)
        while (due := self.core.next_timeout()) is not None and due <= end:
            self.now = max(self.now, due)
            self.core.handle_timeout(now=self.now)
        self.now = end
        return list(self.core.poll_events())


def ok(number: int, extra: str = "") -> str:
    return f"RTSP/1.0 200 OK\nCSeq: {number}\n{extra}\n"


def playing(extra: str = "Session: abc;timeout=60\n") -> Dialogue:
    dialogue = Dialogue()
    for number, method in enumerate(["SETUP", "PLAY"], start=1):
        dialogue.asks(method)
        dialogue.hears(ok(number, extra))
    dialogue.core.start_keepalive(URL, now=0)
    dialogue.wrote()
    return dialogue


def test_requests_go_one_by_one_and_answers_find_them() -> None:
    dialogue = Dialogue()
    first, second = dialogue.asks("OPTIONS"), dialogue.asks("DESCRIBE")
    assert dialogue.wrote() == "OPTIONS rtsp://127.0.0.1:8554/av RTSP/1.0\r\nCSeq: 1\r\n\r\n"
    [answer] = dialogue.hears(ok(1, "Public: OPTIONS, GET_PARAMETER\n"))
    assert isinstance(answer, Answered)
    assert answer.token == first
    assert dialogue.core.public == {"OPTIONS", "GET_PARAMETER"}
    assert dialogue.wrote() == "DESCRIBE rtsp://127.0.0.1:8554/av RTSP/1.0\r\nCSeq: 2\r\n\r\n"
    [answer] = dialogue.hears("RTSP/1.0 404 Not Found\nCSeq: 2\n\n")
    assert isinstance(answer, Answered)
    assert (answer.token, answer.response.code) == (second, 404)


def test_answers_to_nothing_are_dropped_and_one_without_a_number_is_taken() -> None:
    dialogue = Dialogue()
    dialogue.asks("OPTIONS")
    assert dialogue.hears(ok(7)) == []
    assert dialogue.hears("RTSP/1.0 100 Continue\nCSeq: 1\n\n") == []
    assert len(dialogue.hears("RTSP/1.0 200 OK\n\n")) == 1


def test_a_challenge_is_answered_once_with_the_next_number() -> None:
    dialogue = Dialogue(password="p")
    token = dialogue.asks("DESCRIBE")
    dialogue.wrote()
    challenge = 'WWW-Authenticate: Digest realm="GStreamer RTSP Server", nonce="70468aa7e829d53f"\n\n'
    assert dialogue.hears("RTSP/1.0 401 Unauthorized\nCSeq: 1\n" + challenge) == []
    again = dialogue.wrote()
    assert "CSeq: 2\r\n" in again
    assert 'username="u", realm="GStreamer RTSP Server"' in again
    [answer] = dialogue.hears("RTSP/1.0 401 Unauthorized\nCSeq: 2\n" + challenge)
    assert isinstance(answer, Answered)
    assert (answer.token, answer.verdict) == (token, Verdict.WRONG_CREDENTIALS)


def test_a_server_that_changes_its_nonce_for_ever_is_given_up_on() -> None:
    dialogue = Dialogue(password="p")
    dialogue.asks("DESCRIBE")
    answers: list[object] = []
    for number in range(1, 10):
        answers += dialogue.hears(
            f'RTSP/1.0 401 Unauthorized\nCSeq: {number}\nWWW-Authenticate: Digest realm="r", nonce="{number}"\n\n'
        )
        if answers:
            break
    assert number == 3
    assert isinstance(answers[0], Answered)


def test_the_session_is_carried_without_its_timeout_and_the_newest_counts() -> None:
    dialogue = Dialogue()
    dialogue.asks("SETUP")
    dialogue.hears(ok(1, "Session: one;timeout=30\n"))
    dialogue.asks("SETUP")
    assert "Session: one\r\n" in dialogue.wrote()
    dialogue.hears(ok(2, "Session: two\n"))
    dialogue.asks("PLAY")
    assert "Session: two\r\n" in dialogue.wrote()
    assert dialogue.core.session is not None
    assert dialogue.core.session.timeout == 30


@pytest.mark.parametrize(
    ("public", "expected"), [("OPTIONS, GET_PARAMETER", "GET_PARAMETER"), ("OPTIONS", "OPTIONS")]
)
def test_signs_of_life_come_before_the_session_ends(public: str, expected: str) -> None:
    dialogue = Dialogue()
    dialogue.asks("OPTIONS")
    dialogue.hears(ok(1, f"Public: {public}\n"))
    dialogue.asks("SETUP")
    dialogue.hears(ok(2, "Session: abc;timeout=20\n"))
    dialogue.core.start_keepalive(URL, now=0)
    dialogue.wrote()
    assert dialogue.waits(14.9) == []
    assert dialogue.wrote() == ""
    dialogue.waits(0.2)
    assert dialogue.wrote().startswith(
        f"{expected} rtsp://127.0.0.1:8554/av RTSP/1.0\r\nCSeq: 3\r\nSession: abc\r\n"
    )


def test_a_sign_of_life_need_not_be_answered_and_holds_nobody_up() -> None:
    dialogue = playing()
    dialogue.waits(56)
    assert "OPTIONS" in dialogue.wrote()
    dialogue.asks("PAUSE")
    assert "PAUSE" in dialogue.wrote()
    dialogue.hears(ok(4))
    assert dialogue.waits(20) == []
    assert dialogue.core.state is State.PRE_PLAY


def test_a_session_that_the_server_forgot_is_told() -> None:
    dialogue = playing()
    dialogue.waits(56)
    assert dialogue.hears("RTSP/1.0 454 Session Not Found\nCSeq: 3\n\n") == [SessionGone()]


def test_silence_is_no_answer() -> None:
    dialogue = Dialogue()
    token = dialogue.asks("OPTIONS")
    assert dialogue.waits(9.9) == []
    [event] = dialogue.waits(0.2)
    assert isinstance(event, Unanswered)
    assert event.token == token


@pytest.mark.parametrize(
    ("method", "code"),
    [
        ("OPTIONS", 200),
        ("GET_PARAMETER", 200),
        ("ANNOUNCE", 200),
        ("REDIRECT", 200),
        ("PLAY", 501),
        ("BREW", 501),
    ],
)
def test_what_the_server_asks_is_answered_and_told(method: str, code: int) -> None:
    dialogue = Dialogue()
    [event] = dialogue.hears(f"{method} rtsp://h/ RTSP/1.0\nCSeq: 77\nSession: s\n\n")
    assert isinstance(event, AskedByServer)
    answer = dialogue.wrote()
    assert answer.startswith(f"RTSP/1.0 {code} ")
    assert "CSeq: 77\r\n" in answer
    assert "Session: s\r\n" in answer


def test_frames_are_handed_on_from_set_up_to_tear_down() -> None:
    dialogue = Dialogue()
    assert dialogue.hears("$\0\0\1x") == []
    assert dialogue.core.frames_dropped == 1
    dialogue = playing()
    assert dialogue.hears("$\0\0\1x") == [FramesArrived([Frame(0, b"x")])]
    dialogue.core.teardown(URL, now=0)
    assert "TEARDOWN" in dialogue.wrote()
    assert dialogue.core.is_finished


@pytest.mark.parametrize("method", ["PLAY", "RECORD", "PAUSE"])
def test_what_makes_no_sense_is_never_asked(method: str) -> None:
    dialogue = Dialogue()
    with pytest.raises(UnsupportedOperation, match=method):
        dialogue.asks(method)
    assert dialogue.wrote() == ""


@pytest.mark.parametrize("end", ["closed", "broken"])
def test_the_end_of_the_connection_answers_everything(end: str) -> None:
    dialogue = Dialogue()
    dialogue.asks("OPTIONS")
    dialogue.asks("DESCRIBE")
    if end == "closed":
        dialogue.core.handle_eof(now=0)
        events: list[object] = list(dialogue.core.poll_events())
    else:
        events = dialogue.hears("RTSP/1.0 nonsense\n\n")
    assert [type(event) for event in events] == [Unanswered, Unanswered, ConnectionLost]
    assert dialogue.core.is_finished
    assert dialogue.core.next_timeout() is None
