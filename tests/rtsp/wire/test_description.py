from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terzetto.errors import MalformedPacket
from terzetto.rtsp.wire.description import Description, Format, Media
from terzetto.rtsp.wire.sdp.connection import Connection
from terzetto.rtsp.wire.sdp.fmtp import parse_fmtp
from terzetto.rtsp.wire.sdp.session import SessionDescription

GSTREAMER = (
    "v=0\r\no=- 17078401666851564074 1 IN IP4 127.0.0.1\r\ns=Session streamed with GStreamer\r\n"
    "i=rtsp-server\r\nt=0 0\r\na=tool:GStreamer\r\na=control:*\r\na=range:npt=now-\r\n"
    "m=video 0 RTP/AVP 96\r\nc=IN IP4 0.0.0.0\r\nb=AS:2097\r\na=rtpmap:96 H264/90000\r\na=framerate:10\r\n"
    "a=fmtp:96 packetization-mode=1;sprop-parameter-sets=Z0LAFdkEewFqDAwNSgAAAwACAAADACkeLFyQ,aMuMsg==;"
    "profile-level-id=42c015\r\na=control:stream=0\r\na=ssrc:1306490627 cname:user@host\r\n"
    "m=audio 0 RTP/AVP 97\r\na=rtpmap:97 MPEG4-GENERIC/48000/2\r\na=control:stream=1\r\n"
)


def test_a_description_of_gstreamer() -> None:
    description = Description.parse(GSTREAMER)
    video, audio = description.medias
    assert (description.title, description.control) == ("Session streamed with GStreamer", "*")
    assert (video.kind, video.control, video.formats[0].codec) == ("video", "stream=0", "h264")
    assert video.formats[0].clock_rate == 90000
    assert video.formats[0].parameters["packetization-mode"] == "1"
    assert video.attribute("framerate") == "10"
    assert (audio.formats[0].clock_rate, audio.formats[0].channels) == (48000, 2)


@given(st.text(alphabet="vosm=atc\r\n :/0123456789-", max_size=200))
def test_parsing_and_printing_lose_nothing(text: str) -> None:
    whole = GSTREAMER + text
    assert str(SessionDescription.parse(whole)) == whole


@given(st.binary(max_size=300))
def test_any_bytes_survive_or_are_malformed(data: bytes) -> None:
    for candidate in (data, b"m=" + data, b"m=video 0 RTP/AVP 96\r\na=" + data):
        try:
            parsed = SessionDescription.parse(candidate)
        except MalformedPacket:
            continue
        assert parsed.encode() == candidate
        Description.parse(candidate)


def only(lines: str) -> Media:
    [media] = Description.parse(lines).medias
    return media


@pytest.mark.parametrize(
    ("lines", "payload_type", "codec", "clock_rate"),
    [
        ("m=video 0 RTP/AVP 96\na=rtpmap:96 h264/90000", 96, "h264", 90000),
        ("m=video 0 RTP/AVP 35\na=rtpmap:35 H264/90000\n", 35, "h264", 90000),
        ("m=video 0 RTP/AVP smart/1/90000\na=rtpmap:96 H264/90000", 96, "h264", 90000),
        ("m=audio 0 RTP/AVP 0", 0, "pcmu", 8000),
        ("m=video 0 RTP/AVP 33 ", 33, "mp2t", 90000),
        ("m=audio 0 RTP/AVP 97\na=rtpmap:97  SPEEX/16000/1 ", 97, "speex", 16000),
        ("m=application 0 RTP/AVP 107", 107, "", 0),
        ("m=application 0 RTP/AVP 107\na=rtpmap:107 vnd.onvif.metadata", 107, "vnd.onvif.metadata", 0),
        ("m=audio 0 RTP/AVP 98\na=rtpmap:broken\na=rtpmap:98 opus/48000/2", 98, "opus", 48000),
        ("m=video 0 TCP 96\na=rtpmap: 96 H265 / 90000", 96, "h265", 90000),
        ("m=video RTP/AVP 96\na=rtpmap:96 H264/90000", 96, "h264", 90000),
        ("m=audio 0/2 RTP/AVP 97 \x00\na=rtpmap:97 L24/48000/8\x00", 97, "l24", 48000),
    ],
)
def test_formats_of_odd_cameras(lines: str, payload_type: int, codec: str, clock_rate: int) -> None:
    each = only(lines).formats[0]
    assert (each.payload_type, each.codec, each.clock_rate) == (payload_type, codec, clock_rate)


@pytest.mark.parametrize(
    "session_lines",
    [
        "",
        "v=0\n",
        "o=my user name F3E0 1 IN IPV4\ns=\nt=now-\n",
        "o=-0 0 IN IP4 host.example\na=x\ns=x\nt=1.5\n",
        "c=IN c=IN IP4 0.0.0.0\nb=X-odd:y\nb=RS\n",
        "\n\njunk\nz=\nc=SM something\n",
    ],
)
def test_odd_session_lines_do_not_matter(session_lines: str) -> None:
    assert only(session_lines + "m=audio 0 RTP/AVP 8\n").formats[0].codec == "pcma"


@pytest.mark.parametrize("text", ["", "v=0\r\n", "m", "x=m=video\n", "m=a\n" * 65])
def test_a_description_without_medias_or_with_too_many_is_refused(text: str) -> None:
    with pytest.raises(MalformedPacket):
        Description.parse(text)


def test_a_media_that_makes_no_sense_keeps_its_place() -> None:
    description = Description.parse("m=\nm=audio 0 RTP/AVP\nm=audio 0 RTP/AVP 8\n")
    assert [media.fault is None for media in description.medias] == [False, False, True]


def test_sendonly_is_a_back_channel_unless_everything_is() -> None:
    both = Description.parse("m=video 0 RTP/AVP 96\na=recvonly\nm=audio 0 RTP/AVP 0\na=sendonly\n")
    assert [media.is_back_channel for media in both.medias] == [False, True]
    assert not only("m=video 0 RTP/AVP 96\na=sendonly\n").is_back_channel


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("96 a=1;b=2", {"a": "1", "b": "2"}),
        ("96 A=1; B=2;", {"a": "1", "b": "2"}),
        ("96 flag;a=x=y==", {"a": "x=y=="}),
        ("96 a=1 b=2", {"a": "1", "b": "2"}),
        ("96", {}),
    ],
)
def test_fmtp(text: str, expected: dict[str, str]) -> None:
    assert parse_fmtp(text) == (96, expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("IN IP4 224.3.0.1/16", Connection("224.3.0.1", 16)),
        ("IN IP4 0.0.0.0", Connection("0.0.0.0")),
        ("IN c=IN IP4 10.0.0.1", Connection("10.0.0.1")),
        ("IN 10.0.0.1", Connection("10.0.0.1")),
        ("IN IP6 ff15::1/3", Connection("ff15::1")),
        ("IN", None),
        ("", None),
        ("SM x", None),
    ],
)
def test_connections(text: str, expected: Connection | None) -> None:
    assert Connection.parse(text) == expected


def test_what_we_write_we_read() -> None:
    description = Description(
        title="a title",
        medias=(
            Media(
                formats=(
                    Format(
                        payload_type=96,
                        encoding="H264",
                        clock_rate=90000,
                        parameters={"packetization-mode": "1"},
                    ),
                )
            ),
            Media(
                kind="audio",
                formats=(Format(payload_type=97, encoding="opus", clock_rate=48000, channels=2),),
            ),
            Media(formats=(Format.mpeg_ts(),)),
        ),
    ).with_controls()
    again = Description.parse(description.to_sdp().encode())
    assert again.medias == tuple(
        attrs_evolve(media, connection=Connection("0.0.0.0")) for media in description.medias
    )
    assert again.title == "a title"


def attrs_evolve(media: Media, *, connection: Connection) -> Media:
    from attrs import evolve

    return evolve(media, connection=connection)


def test_a_relayed_description_keeps_attributes_but_no_addresses_or_controls() -> None:
    text = str(Description.parse(GSTREAMER).with_controls().to_sdp())
    assert "a=framerate:10\r\n" in text
    assert "a=control:trackID=1\r\n" in text
    assert "ssrc" not in text
    assert "stream=0" not in text


def test_back_channels_are_offered_only_where_asked_for() -> None:
    description = Description.parse("m=video 0 RTP/AVP 96\nm=audio 0 RTP/AVP 0\na=sendonly\n")
    assert "m=audio" not in str(description.to_sdp())
    assert "a=sendonly" in str(description.to_sdp(include_back_channels=True))
    assert "a=recvonly" in str(description.to_sdp(include_back_channels=True))
