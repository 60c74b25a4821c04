"""HTTP heads, endless base64 and WebSocket frames."""

from __future__ import annotations

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terzetto.errors import MalformedPacket
from terzetto.rtsp.wire.base64_stream import Base64Decoder, encode_base64
from terzetto.rtsp.wire.fields import Fields
from terzetto.rtsp.wire.http_head import HeadReader, HttpRequest, HttpResponse
from terzetto.rtsp.wire.websocket import (
    Opcode,
    WebSocketDecoder,
    WebSocketFrame,
    accept_key,
    encode_websocket_frame,
)


def pieces(data: bytes, sizes: list[int]) -> list[bytes]:
    cut, at = [], 0
    for size in sizes:
        cut.append(data[at : at + size])
        at += size
    return [*cut, data[at:]]


SIZES = st.lists(st.integers(0, 7), max_size=40)


class TestHeads:
    HEAD = (
        b"GET /pcmu HTTP/1.1\r\nHost: 127.0.0.1:8554\r\nx-sessioncookie: 4b7fd2a1ca382873\r\n"
        b"Accept: application/x-rtsp-tunnelled\r\n\r\n"
    )

    @given(SIZES)
    def test_a_head_is_found_however_it_is_cut(self, sizes: list[int]) -> None:
        reader = HeadReader()
        heads = [
            head for piece in pieces(self.HEAD + b"more", sizes) if (head := reader.feed(piece)) is not None
        ]
        assert len(heads) == 1
        assert reader.take_rest() == b"more"
        request = HttpRequest.parse(heads[0])
        assert (request.method, request.target) == ("GET", "/pcmu")
        assert request.fields["X-Sessioncookie"] == "4b7fd2a1ca382873"

    def test_what_is_written_is_read(self) -> None:
        request = HttpRequest(
            method="POST", target="/a?b", fields=Fields({"Host": "h", "Content-Length": "9"})
        )
        assert HttpRequest.parse(request.encode().removesuffix(b"\r\n\r\n")) == request
        response = HttpResponse(code=200, reason="OK", fields=Fields({"Connection": "close"}))
        assert HttpResponse.parse(response.encode().removesuffix(b"\r\n\r\n")) == response
        assert response.is_success
        assert not HttpResponse.parse(b"HTTP/1.0 401").is_success

    @pytest.mark.parametrize(
        "head",
        [
            b"",
            b"GET",
            b"GET / HTTP/2.0",
            b"G T / HTTP/1.1",
            b"GET / HTTP/1.1\r\nno field",
            b"GET / HTTP/1.1\r\n: x",
        ],
    )
    def test_what_makes_no_sense_is_refused(self, head: bytes) -> None:
        with pytest.raises(MalformedPacket):
            HttpRequest.parse(head)
        with pytest.raises(MalformedPacket):
            HttpResponse.parse(head)

    def test_a_head_has_bounds(self) -> None:
        reader = HeadReader()
        with pytest.raises(MalformedPacket, match="too long"):
            for _ in range(20):
                reader.feed(b"x" * 1024)
        with pytest.raises(MalformedPacket, match="too many"):
            HttpRequest.parse(b"GET / HTTP/1.1" + b"\r\na: b" * 101)

    @given(st.binary(max_size=60))
    def test_hostile_heads_fail_in_one_way(self, data: bytes) -> None:
        for parse in (HttpRequest.parse, HttpResponse.parse):
            for attempt in (data, b"GET / HTTP/1.1\r\n" + data, b"HTTP/1.1 200 OK\r\n" + data):
                try:
                    parse(attempt)
                except MalformedPacket:
                    pass


class TestBase64:
    @given(st.lists(st.binary(max_size=12), max_size=8), SIZES)
    def test_runs_follow_each_other_however_they_are_cut(self, runs: list[bytes], sizes: list[int]) -> None:
        text = b"".join(encode_base64(run) for run in runs)
        decoder = Base64Decoder()
        assert b"".join(decoder.decode(piece) for piece in pieces(text, sizes)) == b"".join(runs)

    def test_blanks_are_skipped(self) -> None:
        assert Base64Decoder().decode(b"T1BU\r\nSU 9O\tUw==\r\n" + b64encode(b"x")) == b"OPTIONSx"

    @pytest.mark.parametrize("text", [b"T1B!", b"T===", b"=AAA", b"T1=U", b"\xff\xff\xff\xff"])
    def test_what_is_no_base64_is_refused(self, text: bytes) -> None:
        with pytest.raises(MalformedPacket):
            decoder = Base64Decoder()
            decoder.decode(text)
            decoder.decode(b"AAAAAAAA")

    @given(st.lists(st.binary(max_size=9), max_size=6))
    def test_hostile_text_fails_in_one_way(self, texts: list[bytes]) -> None:
        decoder = Base64Decoder()
        try:
            for text in texts:
                decoder.decode(text)
        except MalformedPacket:
            pass


class TestWebSocket:
    OPTIONS = b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n"
    CLIENTS = bytes.fromhex("829f37fa213d78aa757478b4721d1dda736964aa0e0c19ca2c3774a9444c0dda10303df72b")

    def test_golden_bytes(self) -> None:
        assert accept_key("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        frames = WebSocketDecoder(is_server=True).decode(self.CLIENTS)
        assert frames == [WebSocketFrame(Opcode.BINARY, self.OPTIONS)]
        mask = bytes.fromhex("37fa213d")
        assert encode_websocket_frame(Opcode.BINARY, self.OPTIONS, mask=mask) == self.CLIENTS
        interleaved = bytes.fromhex("24000002aabb")
        assert encode_websocket_frame(Opcode.BINARY, interleaved).hex() == "8206" + interleaved.hex()

    @given(
        st.lists(st.tuples(st.sampled_from(Opcode), st.binary(max_size=125)), max_size=5),
        SIZES,
        st.booleans(),
        st.binary(min_size=4, max_size=4),
    )
    def test_frames_survive_the_wire(
        self, frames: list[tuple[Opcode, bytes]], sizes: list[int], masked: bool, mask: bytes
    ) -> None:
        data = b"".join(
            encode_websocket_frame(opcode, payload, mask=mask if masked else None)
            for opcode, payload in frames
        )
        decoder = WebSocketDecoder(is_server=masked)
        assert [frame for piece in pieces(data, sizes) for frame in decoder.decode(piece)] == frames

    @pytest.mark.parametrize("size", [125, 126, 0xFFFF, 0x10000])
    def test_every_length_has_its_form(self, size: int) -> None:
        data = encode_websocket_frame(Opcode.BINARY, bytes(size))
        assert WebSocketDecoder(is_server=False).decode(data) == [WebSocketFrame(Opcode.BINARY, bytes(size))]

    @pytest.mark.parametrize(
        "data", ["c200", "8300", "8280", "89ff", "0900", "82ffffffffffffffffff", "8bfe"], ids=str
    )
    def test_who_breaks_the_protocol_is_told_so(self, data: str) -> None:
        with pytest.raises(MalformedPacket):
            WebSocketDecoder(is_server=False).decode(bytes.fromhex(data) + bytes(8))

    @given(st.binary(max_size=40), st.booleans())
    def test_hostile_frames_fail_in_one_way(self, data: bytes, is_server: bool) -> None:
        try:
            WebSocketDecoder(is_server=is_server).decode(data)
        except MalformedPacket:
            pass
