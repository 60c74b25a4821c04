from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terzetto.errors import MalformedPacket
from terzetto.rist.wire.buffer_negotiation import BufferNegotiation
from tests.strategies import u16


def test_librist_offers_two_seconds_with_its_defaults() -> None:
    data = bytes.fromhex("07d0 0000 0000")
    assert BufferNegotiation.decode(data) == BufferNegotiation(sender_max_ms=2000)
    assert BufferNegotiation(sender_max_ms=2000).encode() == data


def test_a_refusal_repeats_the_question_without_its_buffers() -> None:
    asked = BufferNegotiation(2000, 500, 0x88B6, bytes.fromhex("800107b0"))
    assert asked.refusal == BufferNegotiation(0, 0, 0x88B6, bytes.fromhex("800107b0"))


@given(st.builds(BufferNegotiation, u16, u16, u16, st.binary(max_size=28)))
def test_every_message_survives_the_wire(message: BufferNegotiation) -> None:
    assert BufferNegotiation.decode(message.encode()) == message


@pytest.mark.parametrize("size", range(6))
def test_a_short_message_is_malformed(size: int) -> None:
    with pytest.raises(MalformedPacket):
        BufferNegotiation.decode(bytes(size))
