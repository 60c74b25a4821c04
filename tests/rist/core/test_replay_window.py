from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terzetto.rist.core.replay_window import WINDOW, ReplayWindow

ROUND = 1 << 32


def test_a_sequence_is_taken_once_in_whatever_order_it_comes() -> None:
    window = ReplayWindow()
    assert [window.take(n) for n in (5, 7, 6, 7, 5, 8, 6)] == [True, True, True, False, False, True, False]


def test_what_is_older_than_the_window_is_refused() -> None:
    window = ReplayWindow()
    assert window.take(WINDOW + 10)
    assert window.take(11)
    assert not window.take(10)


def test_sequences_go_round() -> None:
    window = ReplayWindow()
    assert window.take_consecutive(ROUND - 2, 4)
    assert not window.take(ROUND - 1)
    assert not window.take(1)
    assert window.take(2)


def test_a_leap_forgets_everything_before() -> None:
    window = ReplayWindow()
    window.take_consecutive(0, 100)
    assert window.leap(1_000_000) == 1_000_000 - 99
    assert window.take(1_000_000)
    assert not window.take(99)
    assert window.take(999_999)


@pytest.mark.parametrize("first", [0, 5, 9])
def test_a_run_that_is_not_all_new_is_left_to_the_long_way(first: int) -> None:
    window = ReplayWindow()
    window.take_consecutive(0, 10)
    assert not window.take_consecutive(first, 5)
    assert window.take_consecutive(10, 5)


@given(
    st.integers(0, ROUND - 1),
    st.lists(st.tuples(st.integers(0, 40), st.integers(1, 6), st.booleans()), max_size=40),
)
def test_the_short_way_remembers_what_the_long_way_does(
    start: int, runs: list[tuple[int, int, bool]]
) -> None:
    """Against a plain set, with everything well inside the window."""
    window, seen = ReplayWindow(), set[int]()
    for offset, count, short in runs:
        sequences = [(start + offset + n) % ROUND for n in range(count)]
        if short and window.take_consecutive(sequences[0], count):
            assert seen.isdisjoint(sequences)
            seen.update(sequences)
            continue
        for sequence in sequences:
            assert window.take(sequence) is (sequence not in seen)
            seen.add(sequence)
