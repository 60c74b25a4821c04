from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terzetto.primitives.fec import Layout, Line


def test_a_line_names_its_members() -> None:
    assert list(Line(7, 10, 3).members) == [7, 17, 27]
    assert Line(7, 10, 3).last == 27


def test_even_columns_begin_side_by_side() -> None:
    layout = Layout(columns=4, rows=3, has_columns=True)
    assert layout.starts == (0, 1, 2, 3)
    assert layout.column_of(9) == Line(1, 4, 3)
    assert layout.column_of(13) == Line(13, 4, 3)


def test_stairs_go_down_until_the_rows_are_used_up() -> None:
    assert Layout(columns=3, rows=2, has_columns=True, is_staircase=True).starts == (0, 4, 2)
    assert Layout(columns=4, rows=3, has_columns=True, is_staircase=True).starts == (0, 5, 10, 3)


def test_above_the_first_stairs_there_is_no_column() -> None:
    layout = Layout(columns=3, rows=2, has_columns=True, is_staircase=True)
    assert layout.column_of(1) is None
    assert layout.column_of(4) == Line(4, 3, 2)
    assert layout.column_of(7) == Line(4, 3, 2)
    assert layout.column_of(10) == Line(10, 3, 2)


def test_a_matrix_has_at_least_one_packet() -> None:
    with pytest.raises(ValueError, match="must be >= 1"):
        Layout(columns=0)


@given(
    columns=st.integers(1, 12),
    rows=st.integers(1, 12),
    is_staircase=st.booleans(),
    position=st.integers(0, 2000),
)
def test_a_packet_is_a_member_of_its_own_lines(
    columns: int, rows: int, is_staircase: bool, position: int
) -> None:
    layout = Layout(columns=columns, rows=rows, has_columns=True, is_staircase=is_staircase)
    assert position in layout.row_of(position).members
    column = layout.column_of(position)
    if column is None:
        assert is_staircase
        assert position < layout.starts[position % columns]
    else:
        assert position in column.members
        assert column.size == rows
