from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terzetto.rtsp.wire.fields import Fields
from terzetto.rtsp.wire.interleaved import Frame, encode_frames
from terzetto.rtsp.wire.limits import Limits
from terzetto.rtsp.wire.message import Request, Response
from terzetto.rtsp.wire.parser import Broken, MessageParser, Unit

OPTIONS = b"OPTIONS rtsp://h/p RTSP/1.0\r\nCSeq: 1\r\n\r\n"
ANNOUNCE = b"ANNOUNCE rtsp://h/p RTSP/1.0\r\nCSeq: 2\r\nContent-Length: 5\r\n\r\nv=0\r\n"
OK = b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nPublic: PLAY\r\n\r\n"


def parse(data: bytes, limits: Limits | None = None) -> list[Unit]:
    return (MessageParser(limits) if limits else MessageParser()).feed(data)


def in_pieces(data: bytes, sizes: list[int]) -> list[Unit]:
    """Feed *data* cut at *sizes*, over and over, with neighbouring lists of frames joined."""
    parser = MessageParser()
    units: list[Unit] = []
    position = turn = 0
    while position < len(data):
        size = sizes[turn % len(sizes)]
        for unit in parser.feed(data[position : position + size]):
            if isinstance(unit, list) and units and isinstance(units[-1], list):
                units[-1].extend(unit)
            else:
                units.append(unit)
        position += size
        turn += 1
    return units


def test_a_request_is_read() -> None:
    [request] = parse(ANNOUNCE)
    assert isinstance(request, Request)
    assert (request.method, request.target, request.cseq, request.body) == (
        "ANNOUNCE",
        "rtsp://h/p",
        "2",
        b"v=0\r\n",
    )


def test_a_response_is_read() -> None:
    [response] = parse(OK)
    assert isinstance(response, Response)
    assert (response.code, response.reason, response.fields["public"]) == (200, "OK", "PLAY")


@given(sizes=st.lists(st.integers(1, 40), min_size=1, max_size=6))
def test_the_cut_of_the_stream_does_not_matter(sizes: list[int]) -> None:
    frames = encode_frames(0, [b"abc", b"", b"x" * 300])
    stream = OPTIONS + frames + ANNOUNCE + b"\r\n" + OK + frames + b"\x00\x01" + OK
    whole = parse(stream)
    assert in_pieces(stream, sizes) == whole
    assert [type(unit).__name__ for unit in whole] == [
        "Request",
        "list",
        "Request",
        "Response",
        "list",
        "Response",
    ]


@given(st.binary(max_size=400), st.lists(st.integers(1, 20), min_size=1, max_size=4))
def test_no_bytes_of_a_stranger_raise_or_depend_on_their_cut(noise: bytes, sizes: list[int]) -> None:
    stream = noise + OK
    assert in_pieces(stream, sizes) == in_pieces(stream, [len(stream)])


@given(
    st.lists(
        st.sampled_from([OPTIONS, OK, ANNOUNCE, b"$\x00\x00\x02hi", b"\r\n", b"R", b"RTSP", b"\xff"]),
        max_size=8,
    )
)
def test_units_and_fragments_in_any_order_never_raise(pieces: list[bytes]) -> None:
    stream = b"".join(pieces)
    assert in_pieces(stream, [1]) == in_pieces(stream, [len(stream) or 1])


def test_frames_that_follow_one_another_come_as_one_run() -> None:
    assert parse(encode_frames(2, [b"a", b"b"])) == [[Frame(2, b"a"), Frame(2, b"b")]]


def test_junk_between_frames_is_stepped_over_and_counted() -> None:
    parser = MessageParser()
    units = parser.feed(b"\x80\x00\x01" + encode_frames(0, [b"a"]))
    assert units == [[Frame(0, b"a")]]
    assert parser.junk_dropped == 3


def test_endless_junk_breaks_the_stream() -> None:
    parser = MessageParser(Limits(junk=100))
    assert isinstance(parser.feed(b"\x01" * 101)[-1], Broken)
    assert parser.feed(OK) == []


@pytest.mark.parametrize(
    ("data", "method", "target"),
    [
        (b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n", "OPTIONS", "*"),
        (b"\r\n\r\nOPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n", "OPTIONS", "*"),
        (b"PLAY rtsp://h/p?a=b/t=1 RTSP/1.0\nCSeq:1\n\n", "PLAY", "rtsp://h/p?a=b/t=1"),
        (b"BREW rtsp://h/p RTSP/1.0\r\ncseq:    1  \r\n\r\n", "BREW", "rtsp://h/p"),
        (b"OPTIONS rtsp://h RTSP/1.0\r\nCSeq: 1\r\nX: a\r\n b\r\n\r\n", "OPTIONS", "rtsp://h"),
    ],
    ids=["star", "blank lines before", "bare line feeds", "unknown method, odd blanks", "folded"],
)
def test_odd_requests_are_accepted(data: bytes, method: str, target: str) -> None:
    [request] = parse(data)
    assert isinstance(request, Request)
    assert (request.method, request.target, request.cseq) == (method, target, "1")


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"OPTIONS RTSP/1.0\r\n\r\n", 400),
        (b"OPTIONS  * RTSP/1.0\r\n\r\n", 400),
        (b"OPTIONS * RTSP/2.0\r\nCSeq: 1\r\n\r\n", 505),
        (b"OPTIONS * HTTP/1.1\r\nCSeq: 1\r\n\r\n", 505),
        (b"OPTIONS * SIP/2.0\r\n\r\n", 400),
        (b"OPTIONS * RTSP/1.0\r\nno colon\r\n\r\n", 400),
        (b"OPTIONS * RTSP/1.0\r\n: 1\r\n\r\n", 400),
        (b"OPTIONS * RTSP/1.0\r\n folded first\r\n\r\n", 400),
        (b"OPTIONS * RTSP/1.0\r\nX: a\x00b\r\n\r\n", 400),
        (b"OPTIONS * RTSP/1.0\r\nContent-Length: -5\r\n\r\n", 400),
        (b"OPTIONS * RTSP/1.0\r\nContent-Length: 4294967295\r\n\r\n", 413),
        (b"OPTIONS * RTSP/1.0\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"OPTIONS rtsp://h/" + b"x" * 5000, 414),
        (b"OPTIONS * RTSP/1.0\r\n" + b"X: y\r\n" * 300 + b"\r\n", 400),
        (b"OPTIONS * RTSP/1.0\r\nX: " + b"y" * 5000 + b"\r\n\r\n", 400),
        (b"OPTIONS * RTSP/1.0\r\n" + b"X: y\r\n" * 20000, 400),
        (b"RTSP/1.0 2000 OK\r\n\r\n", 400),
        (b"RTSP/1.0 OK\r\n\r\n", 400),
    ],
)
def test_broken_messages_end_the_stream_with_a_status(data: bytes, status: int) -> None:
    parser = MessageParser()
    [broken] = parser.feed(data)
    assert isinstance(broken, Broken)
    assert broken.status == status
    assert parser.feed(OPTIONS) == []


def test_a_broken_request_tells_its_number() -> None:
    [first, broken] = parse(OPTIONS + b"OPTIONS * RTSP/1.0\r\nCSeq: 7\r\nContent-Length: x\r\n\r\n")
    assert isinstance(first, Request)
    assert isinstance(broken, Broken)
    assert broken.cseq == "7"


@pytest.mark.parametrize(
    "line", [b"RTSP/1.0 200\r\n\r\n", b"RTSP/1.0 200 \r\n\r\n", b"RTSP/1.0  200 OK\r\n\r\n"]
)
def test_the_phrase_of_a_response_may_be_missing(line: bytes) -> None:
    [response] = parse(line)
    assert isinstance(response, Response)
    assert response.code == 200


def test_equal_lengths_given_twice_are_one_length() -> None:
    [request] = parse(b"OPTIONS * RTSP/1.0\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nab")
    assert isinstance(request, Request)
    assert request.body == b"ab"


def test_messages_survive_a_round_trip() -> None:
    request = Request("ANNOUNCE", "rtsp://h/p", Fields({"cseq": "3", "x-odd": "ü"}), b"v=0")
    response = Response(454, fields={"CSeq": "3"})
    assert parse(request.encode() + response.encode())[0].fields["X-Odd"] == "ü"  # type: ignore[union-attr]
    assert response.encode() == b"RTSP/1.0 454 Session Not Found\r\nCSeq: 3\r\n\r\n"
    assert request.encode().startswith(b"ANNOUNCE rtsp://h/p RTSP/1.0\r\nCSeq: 3\r\nX-Odd: ")


@pytest.mark.parametrize("bad", ["a\r\nX: y", "a\nb", "a\x00"])
def test_a_line_break_cannot_be_written_into_a_message(bad: str) -> None:
    with pytest.raises(ValueError, match="line break"):
        Fields({"X": bad})
    with pytest.raises(ValueError, match="line break"):
        Response(200, bad).encode()
    with pytest.raises(ValueError, match=r"line break|blank"):
        Request("PLAY", f"rtsp://{bad}").encode()


def test_secrets_do_not_show_in_the_repr_of_fields() -> None:
    assert "hunter2" not in repr(Fields({"Authorization": "hunter2", "Session": "hunter2"}))


def test_whether_a_message_is_owed_is_known() -> None:
    parser = MessageParser()
    owed = [parser.is_inside_message]
    for piece in (ANNOUNCE[:10], ANNOUNCE[10:-2], ANNOUNCE[-2:]):
        parser.feed(piece)
        owed.append(parser.is_inside_message)
    assert owed == [False, True, True, False]
