"""Decoding times, and a clock that neither wraps nor jumps."""

from __future__ import annotations

from threading import Thread

from hypothesis import given
from hypothesis import strategies as st

from terzetto.rtsp.remux.decoding_time import DecodingTimes
from terzetto.rtsp.remux.pipe import BytePipe
from terzetto.rtsp.remux.timeline import Timeline


@given(st.lists(st.permutations(range(4)), min_size=1, max_size=8))
def test_pictures_are_decoded_in_order_and_before_they_are_shown(groups: list[list[int]]) -> None:
    times = DecodingTimes()
    times.depth = 3
    # The first picture is a key picture, which is shown first.
    shown = [86_400] + [
        90_000 + 3600 * (4 * index + place) for index, group in enumerate(groups) for place in group
    ]
    decoded = [times.next(each) for each in shown]
    assert all(moment is not None and moment <= each for moment, each in zip(decoded, shown, strict=True))
    assert decoded == sorted(set(decoded), key=lambda moment: moment or 0)


def test_a_depth_that_nobody_told_is_found_at_the_cost_of_some_pictures() -> None:
    times = DecodingTimes()
    order = [0, 3, 1, 2, 6, 4, 5, 9, 7, 8]
    decoded = [times.next(90_000 + 3600 * place) for place in order]
    assert [place for place, moment in zip(order, decoded, strict=True) if moment is None] == [1, 2]


def test_the_clock_goes_on_when_it_wraps_and_when_it_begins_anew() -> None:
    timeline = Timeline()
    near = (1 << 33) - 3600
    assert [timeline.place(raw) for raw in (near, 0, 3600, 1800)] == [0, 3600, 7200, 5400]
    assert timeline.jumps == 0
    assert timeline.place(500_000_000) == 7200 + 3600
    assert timeline.place(500_003_600) == 7200 + 7200
    assert timeline.jumps == 1


def test_a_pipe_holds_so_much_and_counts_the_rest() -> None:
    pipe = BytePipe(limit=10)
    for _ in range(3):
        pipe.write(b"12345")
    assert pipe.shed == 5
    assert [pipe.read(3), pipe.read(100), pipe.read(100)] == [b"123", b"45", b"12345"]
    pipe.close()
    assert pipe.read(1) == b""


def test_a_reader_that_waits_is_released_by_the_end() -> None:
    heard: list[bool] = []
    pipe = BytePipe(on_empty=lambda: heard.append(True))
    thread = Thread(target=lambda: pipe.read(10), daemon=True)
    thread.start()
    pipe.close()
    thread.join(10)
    assert not thread.is_alive()
    assert heard == [True]
