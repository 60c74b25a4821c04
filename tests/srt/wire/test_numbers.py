from hypothesis import given
from hypothesis import strategies as st

from terzetto.srt.wire.numbers import (
    MESSAGE_NUMBER_MAX,
    SEQUENCE_MASK,
    next_message_number,
    sequence_distance,
    unwrap_sequence,
    unwrap_timestamp,
)


@given(st.integers(0, 1 << 40), st.integers(-(1 << 29), 1 << 29))
def test_unwrapping_finds_the_position_near_the_reference(near: int, step: int) -> None:
    position = near + step
    assert unwrap_sequence(position & SEQUENCE_MASK, near) == position
    assert unwrap_timestamp(position & 0xFFFF_FFFF, near) == position
    assert sequence_distance(near & SEQUENCE_MASK, position & SEQUENCE_MASK) == step


def test_message_numbers_wrap_to_one_because_zero_is_taken() -> None:
    assert next_message_number(1) == 2
    assert next_message_number(MESSAGE_NUMBER_MAX) == 1
    assert next_message_number(MESSAGE_NUMBER_MAX - 1, 3) == 2
