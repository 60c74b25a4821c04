from __future__ import annotations

import pytest

from terzetto.errors import InvalidOption
from terzetto.rist.fec import RistFec


def test_the_words_of_srts_packet_filter_describe_a_matrix() -> None:
    fec = RistFec.parse("cols:8,rows:4,layout:staircase")
    assert fec == RistFec(columns=8, rows=4, layout="staircase")
    assert RistFec.parse(str(fec)) == fec
    layout = fec.as_layout()
    assert (layout.columns, layout.rows) == (8, 4)
    assert layout.has_rows
    assert layout.has_columns
    assert layout.is_staircase


def test_one_row_means_rows_only_and_negative_rows_mean_columns_only() -> None:
    rows_only = RistFec(columns=10, rows=1).as_layout()
    assert (rows_only.has_rows, rows_only.has_columns) == (True, False)
    columns_only = RistFec(columns=2, rows=-20).as_layout()
    assert (columns_only.has_rows, columns_only.has_columns, columns_only.rows) == (False, True, 20)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cols:3,rows:5", "fec cols is 3, must lie between 4 and 20 in ST 2022-1 with parities of rows"),
        ("cols:21,rows:-4", "fec cols is 21, must lie between 1 and 20 in ST 2022-1"),
        ("cols:10,rows:3", "fec rows is 3, must be 1 (rows only), or between 4 and 20"),
        ("cols:11,rows:10", "a fec matrix of 11 x 10 has 110 packets, ST 2022-1 allows 100"),
        ("cols:100,rows:61,standard:2022-5", "6100 packets, ST 2022-5 allows 6000"),
        ("cols:10,rows:five", "fec rows is 'five', must be a whole number"),
        ("cols:10,columns:3", "'columns' is none of cols, rows, layout, standard"),
        ("cols:10,cols:9", "'cols' comes twice"),
        ("10x5", "'10x5' is no key:value"),
        ("layout:odd", "fec layout is 'odd', must be one of 'even', 'staircase'"),
        ("standard:2022-7", "fec standard is '2022-7', must be one of '2022-1', '2022-5'"),
    ],
)
def test_what_the_standards_do_not_know_is_refused_with_the_reason(text: str, message: str) -> None:
    with pytest.raises(InvalidOption) as caught:
        RistFec.parse(text)
    assert message in str(caught.value)
