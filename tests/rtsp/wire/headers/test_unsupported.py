"""Unsupported: the tags that a server did not know."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terzetto.rtsp.wire.headers.unsupported import format_unsupported, parse_unsupported


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], []),
        (["onvif-replay"], ["onvif-replay"]),
        (["www.onvif.org/ver20/backchannel,onvif-replay", " ,onvif-replay"], None),
        # A tag's case is its own.
        (["Onvif-Replay, onvif-replay"], ["Onvif-Replay", "onvif-replay"]),
    ],
)
def test_what_was_not_known(values: list[str], expected: list[str] | None) -> None:
    tags = ["www.onvif.org/ver20/backchannel", "onvif-replay"] if expected is None else expected
    assert parse_unsupported(values) == tags
    assert parse_unsupported([format_unsupported(tags)]) == tags


@given(st.lists(st.text(max_size=40), max_size=4))
def test_tags_of_strangers_never_fail(values: list[str]) -> None:
    assert all(parse_unsupported(values))
