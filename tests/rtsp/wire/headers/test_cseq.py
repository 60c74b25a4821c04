"""CSeq: a number, and nothing that looks like one."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terzetto.errors import MalformedPacket
from terzetto.rtsp.wire.headers.cseq import parse_cseq


def test_cseq_is_a_number() -> None:
    assert parse_cseq(" 12 ") == 12
    for text in ("", "-1", "1x", "²"):
        with pytest.raises(MalformedPacket):
            parse_cseq(text)


@given(st.text(max_size=80))
def test_numbers_of_strangers_parse_or_are_malformed(text: str) -> None:
    with suppress(MalformedPacket):
        assert parse_cseq(text) >= 0
