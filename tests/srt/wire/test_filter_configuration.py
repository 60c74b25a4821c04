from __future__ import annotations

import pytest

from terzetto.srt.wire.filter_configuration import FilterArq, FilterConflict, FilterRequest


def test_keys_left_out_have_libsrts_defaults() -> None:
    settings = FilterRequest.parse("fec,cols:10").settings()
    assert (settings.columns, settings.rows, settings.is_staircase) == (10, 1, True)
    assert settings.arq is FilterArq.ONREQ
    assert settings.layout.has_rows
    assert not settings.layout.has_columns


def test_negative_rows_are_columns_alone() -> None:
    layout = FilterRequest.parse("fec,cols:10,rows:-5,layout:even").settings().layout
    assert (layout.columns, layout.rows) == (10, 5)
    assert layout.has_columns
    assert not layout.has_rows
    assert not layout.is_staircase


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("xor,cols:10", "there is no filter 'xor', only 'fec'"),
        ("", "there is no filter '', only 'fec'"),
        ("fec,cols", "'cols' is no key:value"),
        ("fec,cols:", "'cols:' is no key:value"),
        ("fec,cols:1:2", "'cols:1:2' is no key:value"),
        ("fec, cols:10", "' cols' is none of arq, cols, layout, rows"),
        ("fec,cols:10,cols:10", "cols comes twice"),
        ("fec,cols:1", "cols is 1, must be at least 2"),
        ("fec,cols:ten", "cols is 'ten', must be a whole number"),
        ("fec,cols:10,rows:0", "rows is 0, must be at least 1, or at most -2"),
        ("fec,cols:10,rows:-1", "rows is -1, must be at least 1, or at most -2"),
        ("fec,cols:10,layout:stairs", "layout is 'stairs', must be 'even' or 'staircase'"),
        ("fec,cols:10,arq:sometimes", "arq is 'sometimes', must be 'always', 'onreq' or 'never'"),
    ],
)
def test_what_is_no_configuration_is_refused_with_the_reason(text: str, message: str) -> None:
    with pytest.raises(FilterConflict) as caught:
        FilterRequest.parse(text)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fec,rows:5", "neither side says cols"),
        ("fec,cols:1000,rows:17", "cols is 1000|a matrix of 17000 packets"),
        ("fec,cols:200,rows:5", "cols is 200, at most 128"),
        ("fec,cols:16385", "a matrix of 16385 packets, at most 16384"),
    ],
)
def test_a_matrix_that_cannot_be_is_refused(text: str, message: str) -> None:
    with pytest.raises(FilterConflict, match=message):
        FilterRequest.parse(text).settings()


def test_what_only_one_side_says_is_taken_over() -> None:
    ours = FilterRequest.parse("fec,rows:5,arq:never")
    theirs = FilterRequest.parse("fec,layout:even,cols:10")
    assert str(ours.merged(theirs)) == "fec,arq:never,cols:10,layout:even,rows:5"
    assert str(theirs.merged(ours)) == str(ours.merged(theirs))


def test_what_both_say_must_be_equal() -> None:
    with pytest.raises(FilterConflict, match="rows is 5 here and 4 at the peer"):
        FilterRequest.parse("fec,cols:10,rows:5").merged(FilterRequest.parse("fec,rows:4"))


def test_the_answer_overrules_what_was_asked_for() -> None:
    asked = FilterRequest.parse("fec,cols:10,rows:5")
    assert (
        str(asked.overruled(FilterRequest.parse("fec,rows:4,arq:always"))) == "fec,arq:always,cols:10,rows:4"
    )
