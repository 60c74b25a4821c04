"""Accept: whether a session description is welcome."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terzetto.rtsp.wire.headers.accept import accepts


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], True),
        ([""], True),
        ([" , "], True),
        (["application/sdp"], True),
        (["Application/SDP;q=0.5"], True),
        (["application/rtsl, application/sdp;level=-2"], True),
        (["text/html", "application/*"], True),
        (["*/*"], True),
        (["*"], True),
        (["text/html"], False),
        (["application/sdp2"], False),
        (["application/sdp;q=0"], False),
        (["application/sdp ; Q = 0.000"], False),
        (["application/sdp;q=0, */*"], True),
        (["application/sdp;q=rubbish"], True),
        (["text/*, application"], False),
    ],
)
def test_whether_a_description_is_welcome(values: list[str], expected: bool) -> None:
    assert accepts(values, "application/sdp") is expected


@given(st.lists(st.text(max_size=40), max_size=4))
def test_lists_of_strangers_never_fail(values: list[str]) -> None:
    accepts(values, "application/sdp")
