from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terzetto.primitives.sequence import SEQUENCE_16, SEQUENCE_31, SEQUENCE_32, Circle

circles = st.sampled_from([SEQUENCE_16, SEQUENCE_31, SEQUENCE_32, Circle(1), Circle(4)])


def test_distances_go_the_short_way_around() -> None:
    assert SEQUENCE_16.distance(65535, 0) == 1
    assert SEQUENCE_16.distance(0, 65535) == -1
    assert SEQUENCE_16.distance(100, 100) == 0
    assert SEQUENCE_16.distance(0, 0x7FFF) == 0x7FFF
    assert SEQUENCE_16.distance(0, 0x8000) == -0x8000


def test_zero_comes_after_the_last_number() -> None:
    assert SEQUENCE_31.is_after(0, 0x7FFFFFFF)
    assert not SEQUENCE_31.is_after(0x7FFFFFFF, 0)
    assert not SEQUENCE_31.is_after(5, 5)


def test_steps_wrap_in_both_directions() -> None:
    assert SEQUENCE_32.add(0xFFFFFFFF, 1) == 0
    assert SEQUENCE_16.add(0, -1) == 65535


@pytest.mark.parametrize(
    ("number", "reference", "unwrapped"),
    [(0, 65535, 65536), (65535, 65536, 65535), (10, 70_000, 65546), (40_000, 70_000, 40_000), (65535, 0, -1)],
)
def test_unwrapping_takes_the_nearest(number: int, reference: int, unwrapped: int) -> None:
    assert SEQUENCE_16.unwrap(number, reference) == unwrapped


def test_a_circle_has_at_least_one_bit() -> None:
    with pytest.raises(ValueError, match="at least one bit"):
        Circle(0)


def test_a_circle_shows_its_width() -> None:
    assert repr(SEQUENCE_31) == "Circle(31)"


@given(circles, st.integers(0, 2**40), st.integers(-(2**33), 2**33))
def test_an_integer_close_to_the_reference_survives_the_wire(circle: Circle, true: int, offset: int) -> None:
    offset = offset % circle.size - circle.size // 2
    # The reference lies within half the circle: from -size/2 + 1 to size/2 steps ahead.
    assert circle.unwrap(true & circle.mask, true - offset) == true


@given(circles, st.integers(0, 2**33), st.integers(0, 2**33))
def test_distance_order_and_steps_agree(circle: Circle, one: int, other: int) -> None:
    one, other = one & circle.mask, other & circle.mask
    steps = circle.distance(one, other)
    assert circle.add(one, steps) == other
    assert circle.is_after(other, one) == (steps > 0)
    assert not (circle.is_after(one, other) and circle.is_after(other, one))
