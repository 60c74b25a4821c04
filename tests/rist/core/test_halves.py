"""Payloads in halves, and halves put together again, or not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terzetto.rist.core.halves import HalvesMerger, halved
from terzetto.rist.events import RistPacket

TS = (b"\x47" + bytes(187)) * 7


def packet(sequence: int, payload: bytes, *, time: float = 0.0, lost: int = 0) -> RistPacket:
    return RistPacket(payload, sequence, time, 2, 0, lost)


@pytest.mark.parametrize(
    ("mode", "payload", "sizes"),
    [
        ("half", TS, (658, 658)),
        ("auto", TS, (564, 752)),
        ("auto", TS[:188], (94, 94)),
        ("auto", TS[:376], (188, 188)),
        ("auto", bytes(1316), (658, 658)),
        ("half", b"abc", (1, 2)),
        ("half", b"a", (0, 1)),
        ("half", b"", (0, 0)),
    ],
)
def test_a_payload_is_cut_where_librist_cuts_it(mode: str, payload: bytes, sizes: tuple[int, int]) -> None:
    first, second = halved([payload], mode)  # type: ignore[arg-type]
    assert (len(first), len(second)) == sizes
    assert bytes(first) + bytes(second) == payload


@given(st.lists(st.binary(max_size=400), max_size=8), st.integers(1, 5), st.sampled_from(["half", "auto"]))
def test_what_was_cut_comes_back_however_it_is_handed_over(
    payloads: list[bytes], step: int, mode: str
) -> None:
    packets = [
        packet(100 + number, bytes(half), time=number // 2)
        for number, half in enumerate(halved(payloads, mode))  # type: ignore[arg-type]
    ]
    merger = HalvesMerger()
    whole = [
        each for start in range(0, len(packets), step) for each in merger.take(packets[start : start + step])
    ]
    assert [each.payload for each in whole + merger.flush()] == payloads
    assert [each.sequence for each in whole] == [*range(100, 100 + 2 * len(payloads), 2)]


def test_a_half_without_its_sibling_goes_out_as_it_is() -> None:
    merger = HalvesMerger()
    assert [
        (each.payload, each.lost_before)
        for each in merger.take(
            [packet(0, b"a"), packet(2, b"c", lost=1), packet(3, b"d"), packet(5, b"f", lost=1)]
        )
    ] == [(b"a", 0), (b"cd", 1), (b"f", 1)]
    assert merger.take([packet(6, b"g")]) == []
    assert [each.payload for each in merger.flush()] == [b"g"]
    assert merger.flush() == []


def test_neighbours_of_different_times_are_strangers() -> None:
    merger = HalvesMerger()
    packets = [packet(0, b"a", time=1.0), packet(1, b"b", time=2.0)]
    assert merger.take(packets) == packets
