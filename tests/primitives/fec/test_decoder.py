from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from terzetto.primitives.fec import Decoder, Encoder, Layout, Line, Parity, Rebuilt, Sum


def _stream(seed: int, count: int) -> list[bytes]:
    source = random.Random(seed)
    return [source.randbytes(source.randrange(0, 60)) for _ in range(count)]


def _parities(layout: Layout, first: int, payloads: list[bytes]) -> list[Parity]:
    encoder = Encoder(layout, first=first)
    return [
        parity
        for index, payload in enumerate(payloads)
        for parity in encoder.feed(first + index, payload, index)
    ]


def _recoverable(lines: list[Line], lost: set[int]) -> set[int]:
    """What peeling can give back, by the definition: again and again the one that a line lacks."""
    lacking = set(lost)
    moved = True
    while moved:
        moved = False
        for line in lines:
            missing = lacking.intersection(line.members)
            if len(missing) == 1:
                lacking -= missing
                moved = True
    return lost - lacking


layouts = st.builds(
    lambda columns, rows, lines, stairs: Layout(
        columns=columns,
        rows=rows,
        has_rows=lines != "columns",
        has_columns=lines != "rows",
        is_staircase=stairs,
    ),
    st.integers(2, 7),
    st.integers(2, 6),
    st.sampled_from(["rows", "columns", "both"]),
    st.booleans(),
)


@settings(deadline=None)
@given(
    layout=layouts,
    seed=st.integers(0, 1 << 30),
    loss=st.sampled_from([0.05, 0.2, 0.4]),
    parity_loss=st.sampled_from([0.0, 0.2]),
    first=st.integers(0, 1 << 34),
    disorder=st.integers(0, 30),
)
def test_everything_that_can_be_recovered_is_and_nothing_else(
    layout: Layout, seed: int, loss: float, parity_loss: float, first: int, disorder: int
) -> None:
    dice = random.Random(seed)
    payloads = _stream(seed, 120)
    lost = {first + each for each in range(len(payloads) - 1) if dice.random() < loss}
    kept = [parity for parity in _parities(layout, first, payloads) if dice.random() >= parity_loss]
    arrivals: list[tuple[float, int | Parity]] = [
        (sequence + dice.uniform(0, disorder), sequence)
        for sequence in range(first, first + len(payloads))
        if sequence not in lost
    ]
    arrivals += [(parity.line.last + dice.uniform(0, disorder), parity) for parity in kept]
    arrivals.sort(key=lambda each: each[0])
    decoder = Decoder(window=400, longest=60)
    # Parities that arrive before any packet have nothing to refer to: the sender's first packet always comes first.
    rebuilt: dict[int, Rebuilt] = {}
    start = decoder.take(first - 1, b"", 0)
    assert start == []
    for _, arrival in arrivals:
        found = (
            decoder.take_parity(arrival)
            if isinstance(arrival, Parity)
            else decoder.take(arrival, payloads[arrival - first], arrival - first)
        )
        for each in found:
            assert each.sequence not in rebuilt, "nothing is given back twice"
            assert each.payload == payloads[each.sequence - first]
            assert each.fields == each.sequence - first
            rebuilt[each.sequence] = each
    in_time = set(range(first, first + len(payloads))) - lost
    assert rebuilt.keys() >= _recoverable([parity.line for parity in kept], lost)
    # A packet that a parity outran is given back before it arrives by itself.
    assert rebuilt.keys() <= lost | in_time
    assert decoder.rebuilt == len(rebuilt)
    assert decoder.rejected == 0


def test_a_burst_as_long_as_a_row_comes_back_by_its_columns() -> None:
    layout = Layout(columns=5, rows=4, has_rows=False, has_columns=True)
    payloads = _stream(1, 40)
    decoder = Decoder(window=60, longest=100)
    found: list[int] = []
    encoder = Encoder(layout, first=0)
    for sequence, payload in enumerate(payloads):
        parities = encoder.feed(sequence, payload)
        if not 7 <= sequence < 12:
            found += [each.sequence for each in decoder.take(sequence, payload)]
        for parity in parities:
            found += [each.sequence for each in decoder.take_parity(parity)]
    assert sorted(found) == [7, 8, 9, 10, 11]


def test_a_column_and_a_row_help_each_other() -> None:
    # Two packets of a row and two of a column: each of the lines alone is helpless.
    layout = Layout(columns=3, rows=3, has_columns=True)
    payloads = _stream(2, 9)
    decoder = Decoder(window=30, longest=100)
    lost = {0, 1, 4}
    for sequence, payload in enumerate(payloads):
        if sequence not in lost:
            decoder.take(sequence, payload)
    found = [
        each.sequence for parity in _parities(layout, 0, payloads) for each in decoder.take_parity(parity)
    ]
    assert sorted(found) == [0, 1, 4]
    assert decoder.parities_waiting == 0


def test_nothing_beyond_the_newest_packet_is_rebuilt_before_the_stream_gets_there() -> None:
    payloads = _stream(3, 4)
    (parity,) = _parities(Layout(columns=4), 0, payloads)
    decoder = Decoder(window=30, longest=100)
    for sequence in (0, 1, 2):
        decoder.take(sequence, payloads[sequence])
    assert decoder.take_parity(parity) == []
    assert [each.sequence for each in decoder.take(4, b"next")] == [3]


def test_a_lead_allows_the_last_packet_of_a_line() -> None:
    payloads = _stream(3, 4)
    (parity,) = _parities(Layout(columns=4), 0, payloads)
    decoder = Decoder(window=30, longest=100, lead=4)
    for sequence in (0, 1, 2):
        decoder.take(sequence, payloads[sequence], sequence)
    assert decoder.take_parity(parity) == [Rebuilt(3, payloads[3], 3)]
    assert decoder.newest == 3


def test_what_cannot_have_been_a_packet_is_rejected() -> None:
    decoder = Decoder(window=30, longest=10)
    decoder.take(0, b"abc")
    decoder.take(2, b"abc")
    too_long = Parity(Line(0, 1, 2), 0, 3 ^ 11, b"x" * 11)
    assert decoder.take_parity(too_long) == []
    rubbish_behind_the_end = Parity(Line(0, 1, 2), 0, 3 ^ 2, b"abcdef")
    assert decoder.take_parity(rubbish_behind_the_end) == []
    assert decoder.rejected == 2
    assert decoder.parities_waiting == 0
    honest = Parity(Line(0, 1, 2), 0, 3 ^ 2, bytes(a ^ b for a, b in zip(b"abc", b"hi\0", strict=True)))
    assert decoder.take_parity(honest) == [Rebuilt(1, b"hi", 0)]


@pytest.mark.parametrize(
    "line", [Line(0, 1, 0), Line(0, 0, 3), Line(0, 10, 11), Line(50, 40, 3), Line(10**9, 1, 2)]
)
def test_absurd_lines_are_rejected(line: Line) -> None:
    decoder = Decoder(window=100, longest=10)
    decoder.take(0, b"")
    assert decoder.take_parity(Parity(line, 0, 0, b"")) == []
    assert decoder.rejected == 1


def test_a_second_parity_of_a_line_changes_nothing() -> None:
    decoder = Decoder(window=30, longest=10)
    decoder.take(5, b"a")
    parity = Parity(Line(5, 1, 3), 0, 1, b"a")
    assert decoder.take_parity(parity) == decoder.take_parity(parity) == []
    assert decoder.parities_waiting == 1
    assert [each.sequence for each in decoder.take(7, b"b")] == [6]


@settings(deadline=None)
@given(seed=st.integers(0, 1 << 30))
def test_whatever_comes_memory_stays_bounded(seed: int) -> None:
    dice = random.Random(seed)
    window = 50
    decoder = Decoder(window=window, longest=20)
    position = 0
    for _ in range(600):
        position += dice.choice([0, 1, 1, 2, 1000]) if dice.random() < 0.1 else 1
        near = position + dice.randrange(-80, 80)
        if dice.random() < 0.4:
            decoder.take(near, dice.randbytes(dice.randrange(20)))
        line = Line(near, dice.randrange(0, 12), dice.randrange(0, 60))
        decoder.take_parity(Parity(line, dice.getrandbits(40), dice.getrandbits(5), dice.randbytes(20)))
        assert decoder.packets_held <= window + 64 + 1 + 80
        assert decoder.parities_waiting <= 4 * window


def test_a_stream_that_begins_anew_is_not_mixed_with_the_old() -> None:
    decoder = Decoder(window=30, longest=10)
    decoder.take(100, b"old")
    decoder.reset()
    decoder.take(3, b"new")
    assert 100 not in decoder
    decoder.take_parity(Parity(Line(100, 1, 2), 0, 0, b""))
    assert decoder.rejected == 1, "it lies far beyond a stream that begins at 3"


def test_sums_are_their_own_inverse() -> None:
    total = Sum()
    total.add(b"hello", 7)
    total.add(b"you", 9)
    rest = Sum()
    rest.add_parity(total.parity(Line(0, 1, 2)))
    rest.add(b"you", 9)
    assert rest.remainder(10) == (b"hello", 7)
    assert rest.remainder(4) is None
