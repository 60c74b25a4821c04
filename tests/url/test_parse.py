from __future__ import annotations

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from terzetto.errors import InvalidUrl
from terzetto.url import KNOWN_SCHEMES, EndpointUrl, parse_url


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("rist://192.0.2.7:5000", EndpointUrl(scheme="rist", host="192.0.2.7", port=5000)),
        ("rist://@:5000", EndpointUrl(scheme="rist", port=5000, listen=True)),
        ("rist://:5000", EndpointUrl(scheme="rist", port=5000, listen=True)),
        ("rist://@:0", EndpointUrl(scheme="rist", port=0, listen=True)),
        ("rist://@192.0.2.7:5000/", EndpointUrl(scheme="rist", host="192.0.2.7", port=5000, listen=True)),
        ("RIST://Host.example:5000", EndpointUrl(scheme="rist", host="Host.example", port=5000)),
        (
            "rist://host:5000?profile=main&buffer=1000",
            EndpointUrl(
                scheme="rist", host="host", port=5000, query=(("profile", "main"), ("buffer", "1000"))
            ),
        ),
        (
            "srt://host:9000?streamid=#!::r=live,m=publish&latency=200",
            EndpointUrl(
                scheme="srt",
                host="host",
                port=9000,
                query=(("streamid", "#!::r=live,m=publish"), ("latency", "200")),
            ),
        ),
        (
            "srt://u:p@@host:9000",
            EndpointUrl(scheme="srt", host="host", port=9000, listen=True, username="u", password="p"),
        ),
        ("udp://@239.1.2.3:1234", EndpointUrl(scheme="udp", host="239.1.2.3", port=1234, listen=True)),
        ("udp://[::1]:1234", EndpointUrl(scheme="udp", host="::1", port=1234)),
        ("rtp://[fe80::1%eth0]:1234", EndpointUrl(scheme="rtp", host="fe80::1%eth0", port=1234)),
        ("rtp://[fe80::1%25eth0]:1234", EndpointUrl(scheme="rtp", host="fe80::1%eth0", port=1234)),
        ("rtp://[fe80::1%25]:1234", EndpointUrl(scheme="rtp", host="fe80::1%25", port=1234)),
        (
            "rtsp://admin:p%40ss@camera/Streaming/Channels/101",
            EndpointUrl(
                scheme="rtsp",
                host="camera",
                path="/Streaming/Channels/101",
                username="admin",
                password="p@ss",
            ),
        ),
        (
            "rtsp://admin:p@ss@camera:8554/x",
            EndpointUrl(
                scheme="rtsp", host="camera", port=8554, path="/x", username="admin", password="p@ss"
            ),
        ),
        ("rtsp://:8554", EndpointUrl(scheme="rtsp", port=8554, listen=True)),
        ("rtsps://camera//a:b", EndpointUrl(scheme="rtsps", host="camera", path="//a:b")),
        (
            "rtsp://camera/x?channel=1&subtype",
            EndpointUrl(scheme="rtsp", host="camera", path="/x", query=(("channel", "1"), ("subtype", ""))),
        ),
        (
            "rtsp://camera/x?u=/a?b&",
            EndpointUrl(scheme="rtsp", host="camera", path="/x", query=(("u", "/a?b"),)),
        ),
        ("file:clip.ts", EndpointUrl(scheme="file", path="clip.ts")),
        ("file:/tmp/100% a?.ts", EndpointUrl(scheme="file", path="/tmp/100% a?.ts")),
        ("file:///tmp/a%20b.ts", EndpointUrl(scheme="file", path="/tmp/a b.ts")),
        ("file://localhost/tmp/a.ts", EndpointUrl(scheme="file", path="/tmp/a.ts")),
        ("-", EndpointUrl(scheme="stdio")),
    ],
)
def test_urls_are_read(text: str, url: EndpointUrl) -> None:
    assert parse_url(text) == url


def test_escapes_are_decoded_and_plus_stays_plus() -> None:
    url = parse_url("rist://host:1?secret=a%26b%3d+%C3%A9%&cname=%6e")
    assert url.query == (("secret", "a&b=+é%"), ("cname", "n"))


def test_the_later_of_two_values_wins_in_the_place_of_the_first() -> None:
    assert parse_url("rist://h:1?a=1&b=2&a=3").query == (("a", "3"), ("b", "2"))


def test_the_port_of_the_scheme_counts_where_none_is_written() -> None:
    assert parse_url("rtsp://camera/").effective_port == 554
    assert parse_url("rtsps://camera").effective_port == 322
    assert parse_url("rtsp://camera:8554").effective_port == 8554
    assert parse_url("file:x").effective_port is None


def test_the_target_of_an_rtsp_url_keeps_the_escaping_of_the_peer() -> None:
    url = parse_url("rtsp://u:p@camera/a%2Fb%20c;d=%26?x=%7E&y")
    assert (url.path, url.query) == ("/a/b c;d=&", (("x", "~"), ("y", "")))
    assert url.target() == "/a%2Fb%20c;d=%26?x=%7E&y"
    assert attrs.evolve(url, username=None, password=None).target() == "/a%2Fb%20c;d=%26?x=%7E&y"


def test_a_target_that_was_changed_is_written_anew() -> None:
    url = parse_url("rtsp://camera/a%20b?x=1")
    assert attrs.evolve(url, path="/other").target() == "/other?x=1"
    assert attrs.evolve(url, query=()).target() == "/a%20b"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the URL is empty; write something like rist://host:5000"),
        ("   ", "the URL is empty"),
        (" rist://host:5000", "begins or ends with a blank"),
        ("rist://host:5000\n", "begins or ends with a blank"),
        ("rist://host:5000?a=\x1b[2J", "control character"),
        ("rist://ho st:5000", "contains a blank; write it as %20"),
        ("rist://host", "the port is missing; write rist://host:PORT"),
        ("rist://host:", "the port is missing; write rist://host:PORT"),
        ("rist://host?buffer=5", "the port is missing; write rist://host:PORT"),
        ("rist://[::1]", r"the port is missing; write rist://\[::1\]:PORT"),
        ("rist://@", "the port is missing; write rist://@:PORT"),
        (
            "rist://5000",
            "host or the port is missing; write rist://HOST:5000 to call, rist://@:5000 to listen",
        ),
        ("rist://host:70000", "the port 70000 is out of range"),
        ("rist://host:" + "9" * 5000, "the port 99999999999999999999 is out of range"),
        ("rist://host:0", "the port 0 is out of range"),
        ("rist://host:abc", "the port 'abc' is not a number"),
        ("rist://host:²", "the port '²' is not a number"),
        ("rist://host:-5", "the port '-5' is not a number"),
        ("rist://::1:5000", r"an IPv6 address stands without brackets; write rist://\[ADDRESS\]:PORT"),
        ("rist://[::1:5000", "brackets around the IPv6 address are not closed"),
        ("rist://[::1]5000", "brackets around the IPv6 address are not closed"),
        ("rist://[host]:5000", "'host' in brackets is no IPv6 address"),
        ("rist://[fe80::1%]:5000", "zone of the IPv6 address"),
        ("rist://256.1.1.1:5000", "'256.1.1.1' is no IPv4 address"),
        ("rist://ho,st:5000", "'ho,st' is neither a name nor an address"),
        ("rist://host..a:5000", "neither a name nor an address"),
        ("rist:host:5000", "'//' is missing after 'rist:'; write rist://HOST:PORT"),
        ("rist:/host:5000", "'//' is missing after 'rist:'"),
        ("rist://host:5000/live", "rist URLs have no path; end the URL after the port"),
        ("srt://host:9000/live", r"srt URLs have no path; name the stream with \?streamid=NAME"),
        ("rist://host:5000?buffer", "the parameter 'buffer' has no value"),
        ("rist://host:5000?cname=%ff", "the escapes in the value of a parameter are no UTF-8 text"),
        ("rtsp://camera/x#y", "has a fragment"),
        (
            "http://host:80/",
            "'http' is not supported; we know rist://, srt://, rtsp://, rtsps://, udp://, rtp://",
        ),
        ("risst://host:80", r"'risst' is not supported; did you mean rist://\?"),
        ("192.0.2.7:5000", "has no scheme; put one before the host, as in rist://HOST:PORT"),
        ("clip.ts", "this is no URL; a file is written file:PATH"),
        ("C:\\clip.ts", "a file is written file:PATH"),
        ("file:", "the file URL has no path"),
        ("file://", "the file URL has no path"),
        ("file://server/share", "a file URL names a host"),
    ],
)
def test_each_mistake_is_named_with_what_to_try(text: str, message: str) -> None:
    with pytest.raises(InvalidUrl, match=message):
        parse_url(text)


@pytest.mark.parametrize(
    "text",
    [
        "rist://user:hunter2@host",
        "rist://user:hunter2@host:port",
        "rist://user:hunter2@host:70000",
        "rist://user:hunter2/x@host:5000",
        "rist://user:1/hunter2@host:5000",
        "rist://user:1?hunter2@host:5000",
        "rist://user:hunter2?x@host:5000",
        "rist://user:hunter2:x/y@host:5000",
        "rtsp://user:hunter2#x@host/x",
        "rtsp://user:hunter2?x@host/x",
        "user:hunter2@host:5000",
        "http://user:hunter2@host:5000",
        "rist://user:%ffhunter2@host:5000",
        "rist://host:5000?secret=a&hunter2",
        "rist://host:5000?secret=%ffhunter2",
        "rist://host:5000/x?secret=hunter2",
        "rist://host?secret=hunter2",
        "rist://host:x?passphrase=hunter2",
    ],
)
def test_no_error_tells_a_secret(text: str) -> None:
    with pytest.raises(InvalidUrl) as caught:
        parse_url(text)
    assert "hunter2" not in str(caught.value)
    assert caught.value.hint


names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
values = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
hosts = st.one_of(
    st.from_regex(r"[a-z][a-z0-9-]{0,8}(\.[a-z][a-z0-9]{0,5}){0,2}", fullmatch=True),
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(str),
    st.sampled_from(["fe80::1%eth0", "fe80::1%25", "fe80::1%25x", "fe80::1%en.1"]),
)
credentials = st.one_of(
    st.just((None, None)), st.tuples(names, st.none() | values), st.tuples(st.just(""), values)
)


@st.composite
def endpoint_urls(draw: st.DrawFn) -> EndpointUrl:
    scheme = draw(st.sampled_from([*KNOWN_SCHEMES, "stdio"]))
    if scheme == "stdio":
        return EndpointUrl(scheme="stdio")
    if scheme == "file":
        path = draw(
            st.from_regex(r"/{0,3}[!-~ é]{1,20}", fullmatch=True).filter(lambda path: path == path.strip())
        )
        return EndpointUrl(scheme="file", path=path)
    rtsp = scheme.startswith("rtsp")
    listen = draw(st.booleans())
    username, password = draw(credentials)
    return EndpointUrl(
        scheme=scheme,
        host=draw(st.one_of(st.just(""), hosts) if listen else hosts),
        port=draw(st.integers(0 if listen else 1, 65535) | (st.none() if rtsp else st.nothing())),
        listen=listen,
        path="/" + draw(values) if rtsp and draw(st.booleans()) else "",
        username=username,
        password=password,
        query=tuple(draw(st.dictionaries(names, values, max_size=4)).items()),
    )


@given(endpoint_urls())
def test_what_is_printed_is_read_as_the_same(url: EndpointUrl) -> None:
    text = url.to_string(reveal=True)
    assert parse_url(text) == url
    assert parse_url(text).to_string(reveal=True) == text


@given(endpoint_urls())
def test_what_is_printed_without_secrets_can_be_read_too(url: EndpointUrl) -> None:
    again = parse_url(str(url))
    assert (again.scheme, again.host, again.port, again.path) == (url.scheme, url.host, url.port, url.path)


@given(st.sampled_from(["", "rist://", "rtsp://a/", "rist://@", "file:", "srt://h:1?"]), st.text(max_size=40))
def test_any_text_is_a_url_or_an_invalid_one(start: str, text: str) -> None:
    try:
        url = parse_url(start + text)
    except InvalidUrl:
        return
    assert parse_url(url.to_string(reveal=True)) == url
