import pytest
from hypothesis import given
from hypothesis import strategies as st

from terzetto.srt.wire.stream_id import format_stream_id, parse_stream_id


def test_the_access_control_form_is_taken_apart() -> None:
    name = parse_stream_id(b"#!::u=bob,r=movies/big,m=publish,h=example.com,t=file,s=42,com.example.x=y")
    assert (name.user, name.resource, name.mode, name.host) == ("bob", "movies/big", "publish", "example.com")
    assert (name.kind, name.session) == ("file", "42")
    assert dict(name.extra) == {"com.example.x": "y"}
    assert name.is_structured


@pytest.mark.parametrize(
    "text", ["#!:{u=bob,r=movies}", "#!:{u=bob;r=movies}", "%23!::r=movies,u=bob", "%23!::r%3Dmovies,u=bob"]
)
def test_braced_and_percent_encoded_forms_are_the_same_thing(text: str) -> None:
    name = parse_stream_id(text)
    assert (name.user, name.resource) == ("bob", "movies")
    assert name.text == text


def test_mediamtx_spells_action_path_user_password_and_query() -> None:
    name = parse_stream_id("publish:live/cam:bob:secret?token=1")
    assert (name.mode, name.resource, name.user, name.password, name.query) == (
        "publish",
        "live/cam",
        "bob",
        "secret",
        "token=1",
    )
    assert "secret" not in repr(name).replace(name.text, "")
    assert parse_stream_id("read:cam").mode == "request"


def test_srs_hides_the_resource_in_the_host_and_a_query_behind_it() -> None:
    name = parse_stream_id("#!::h=srs.example/live/cam?secret=1,m=request")
    assert (name.host, name.resource, name.query, name.mode) == (
        "srs.example",
        "live/cam",
        "secret=1",
        "request",
    )


def test_plain_text_is_a_resource() -> None:
    name = parse_stream_id(b"live/cam")
    assert (name.resource, name.mode, name.is_structured) == ("live/cam", "", False)


def test_formatting_is_the_inverse_and_refuses_what_it_cannot_hold() -> None:
    text = format_stream_id(resource="cam", user="bob", mode="publish")
    assert text == "#!::u=bob,r=cam,m=publish"
    assert parse_stream_id(text).user == "bob"
    with pytest.raises(ValueError, match="comma"):
        format_stream_id(resource="a,b")
    with pytest.raises(ValueError, match="mode"):
        format_stream_id(mode="push")
    with pytest.raises(ValueError, match="512"):
        format_stream_id(resource="x" * 600)


@given(st.binary(max_size=512))
def test_no_stream_id_makes_the_parser_fail(raw: bytes) -> None:
    assert parse_stream_id(raw).text is not None
