from __future__ import annotations

import pytest

from terzetto.errors import InvalidUrl
from terzetto.url import EndpointUrl, parse_url
from terzetto.url.endpoint import SECRET_NAMES


def test_secrets_are_not_printed() -> None:
    url = parse_url("rist://user:hunter2@host:5000?Secret=hunter2&passphrase=hunter2&buffer=5")
    assert str(url) == "rist://user:***@host:5000?Secret=***&passphrase=***&buffer=5"
    assert repr(url) == f"<EndpointUrl {url}>"
    assert f"{url}" == str(url)


@pytest.mark.parametrize("name", sorted(SECRET_NAMES))
def test_no_secret_of_any_name_is_printed_even_where_the_text_was_kept(name: str) -> None:
    url = parse_url(f"rtsp://camera/x?{name}=hunter2&y")
    assert "hunter2" not in str(url) + repr(url)
    assert url.target(reveal=False) == f"/x?{name}=***&y="
    assert url.to_string(reveal=True) == f"rtsp://camera/x?{name}=hunter2&y"


@pytest.mark.parametrize(
    "text",
    [
        "rist://@:5000",
        "srt://:9000",
        "rtsp://:8554",
        "udp://@239.1.2.3:1234",
        "rtp://[fe80::1%eth0]:1234",
        "srt://u:p@@:9000",
        "file:/tmp/a b.ts",
        "file:////odd",
        "-",
    ],
)
def test_urls_are_printed_as_people_write_them(text: str) -> None:
    assert parse_url(text).to_string(reveal=True) == text


def test_parameters_are_found_by_name() -> None:
    url = parse_url("rist://h:1?a=1&b=2")
    assert url.get("b") == "2"
    assert url.get("c") is None


def test_network_schemes_are_told_from_files() -> None:
    assert parse_url("rist://h:1").is_network
    assert not parse_url("file:x").is_network
    assert not parse_url("-").is_network


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ({"scheme": "http", "host": "h", "port": 1}, "not supported"),
        ({"scheme": "rist", "port": 1}, "nothing to call"),
        ({"scheme": "rist", "host": "h"}, "needs a port"),
        ({"scheme": "rist", "host": "h", "port": 1, "path": "/x"}, "does not fit rist"),
        ({"scheme": "rtsp", "host": "h", "path": "x"}, "begin it with '/'"),
        ({"scheme": "rtsp", "host": "h", "username": ""}, "empty user name before a password"),
        ({"scheme": "rtsp", "host": "h", "password": "x"}, "password comes after a user name"),
        ({"scheme": "file"}, "needs a path"),
    ],
)
def test_what_no_url_says_cannot_be_described(url: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidUrl, match=message):
        EndpointUrl(**url)  # type: ignore[arg-type]
