from __future__ import annotations

from functools import reduce

from hypothesis import given
from hypothesis import strategies as st

from terzetto.primitives.fec import Encoder, Layout, Line, Parity


def _xor(payloads: list[bytes]) -> bytes:
    """The definition, byte by byte."""
    longest = max(map(len, payloads))
    padded = [payload.ljust(longest, b"\0") for payload in payloads]
    return bytes(reduce(lambda a, b: a ^ b, column) for column in zip(*padded, strict=True))


@given(
    payloads=st.lists(st.binary(max_size=40), min_size=30, max_size=80),
    columns=st.integers(1, 6),
    rows=st.integers(1, 5),
    is_staircase=st.booleans(),
    first=st.integers(0, 1 << 40),
)
def test_every_parity_is_the_sum_of_its_line(
    payloads: list[bytes], columns: int, rows: int, is_staircase: bool, first: int
) -> None:
    layout = Layout(columns=columns, rows=rows, has_columns=True, is_staircase=is_staircase)
    encoder = Encoder(layout, first=first)
    seen: list[Line] = []
    for index, payload in enumerate(payloads):
        for parity in encoder.feed(first + index, payload, index):
            assert parity.line.last == first + index, "a parity leaves with the last packet of its line"
            members = [payloads[each - first] for each in parity.line.members]
            assert parity.body == _xor(members)
            assert parity.length == reduce(lambda a, b: a ^ b, map(len, members))
            assert parity.fields == reduce(lambda a, b: a ^ b, [each - first for each in parity.line.members])
            seen.append(parity.line)
    expected = {layout.row_of(each) for each in range(len(payloads))}
    expected |= {line for each in range(len(payloads)) if (line := layout.column_of(each)) is not None}
    complete = {
        Line(first + line.base, line.step, line.size) for line in expected if line.last < len(payloads)
    }
    assert set(seen) == complete
    # A single column and a row of one cover the same packet.
    assert len(seen) == len(complete) or columns == 1 or rows == 1


def test_the_column_leaves_before_the_row() -> None:
    encoder = Encoder(Layout(columns=2, rows=2, has_columns=True), first=10)
    assert encoder.feed(10, b"\x01") == []
    assert encoder.feed(11, b"\x02") == [Parity(Line(10, 1, 2), 0, 0, b"\x03")]
    assert encoder.feed(12, b"\x04\x01") == [Parity(Line(10, 2, 2), 0, 3, b"\x05\x01")]
    assert [parity.line for parity in encoder.feed(13, b"\x08")] == [Line(11, 2, 2), Line(12, 1, 2)]


def test_lines_with_a_packet_left_out_get_no_parity() -> None:
    encoder = Encoder(Layout(columns=2, rows=2, has_columns=True), first=0)
    lines = [parity.line for each in (0, 2, 3, 4, 5, 6, 7) for parity in encoder.feed(each, b"x")]
    assert lines == [Line(0, 2, 2), Line(2, 1, 2), Line(4, 1, 2), Line(4, 2, 2), Line(5, 2, 2), Line(6, 1, 2)]


def test_a_packet_from_behind_is_not_counted_again() -> None:
    encoder = Encoder(Layout(columns=2), first=0)
    encoder.feed(0, b"a")
    assert encoder.feed(0, b"a") == []
    assert [parity.body for parity in encoder.feed(1, b"b")] == [b"\x03"]
