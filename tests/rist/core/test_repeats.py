"""Which requests a sender answers, and why not the others."""

from __future__ import annotations

import pytest

from terzetto.rist.core.counters import SenderCounters
from terzetto.rist.core.history import History
from terzetto.rist.core.repeats import RepeatGate
from terzetto.rist.core.settings import Settings
from terzetto.rist.options import CongestionControl, RistOptions

MS = 1000
ROUND_TRIP = 50 * MS


class Gate:
    """A gate before a history of a hundred packets, sent one a millisecond."""

    def __init__(self, **options: object) -> None:
        self.settings = Settings.of(RistOptions(**options))  # type: ignore[arg-type]
        self.history = History(window=10**9, sequence_bits=16)
        for n in range(100):
            self.history.append([bytes(100)], timestamp=n, now=n * MS)
        self.counters = SenderCounters()
        self.gate = RepeatGate(self.history, self.settings, self.counters)

    def ask(self, *sequences: int, now: int = 200 * MS, room: int = 10**6) -> list[int]:
        answer = self.gate.answer(list(sequences), now=now, round_trip=ROUND_TRIP, room=room)
        return [sequence for sequence, _ in answer]

    @property
    def refusals(self) -> dict[str, int]:
        names = ("over_the_limit", "not_found", "too_old", "exhausted", "suppressed", "bandwidth_skipped")
        return {name: getattr(self.counters, name) for name in names if getattr(self.counters, name)}


def test_what_is_remembered_is_repeated_in_the_order_of_the_request() -> None:
    gate = Gate()
    assert gate.ask(5, 3, 99) == [5, 3, 99]
    assert gate.counters.requested == 3
    assert gate.refusals == {}


def test_what_was_never_sent_is_not_found() -> None:
    gate = Gate()
    assert gate.ask(100, 65_535, 7) == [7]
    assert gate.refusals == {"not_found": 2}


def test_what_can_no_longer_come_in_time_is_too_old() -> None:
    gate = Gate(buffer_min=1.0, buffer_max=1.0)
    window = 1000 * MS + 2 * 500 * MS
    assert gate.ask(10, 11, now=window + 11 * MS) == [11]
    assert gate.refusals == {"too_old": 1}


@pytest.mark.parametrize(
    ("mode", "window"),
    [
        (CongestionControl.OFF, 0),
        (CongestionControl.NORMAL, ROUND_TRIP),
        (CongestionControl.AGGRESSIVE, 2 * ROUND_TRIP),
    ],
)
def test_a_repeat_that_may_still_be_on_its_way_is_not_repeated(mode: CongestionControl, window: int) -> None:
    gate = Gate(congestion_control=mode)
    assert gate.ask(5) == [5]
    if window:
        assert gate.ask(5, now=200 * MS + window - 1) == []
        assert gate.refusals == {"suppressed": 1}
    assert gate.ask(5, now=200 * MS + window) == [5]


def test_the_same_number_twice_in_one_request_is_one_repeat() -> None:
    assert Gate().ask(5, 5, 5) == [5]


def test_a_packet_is_repeated_so_often_and_no_oftener() -> None:
    gate = Gate(max_retries=3, min_retries=2)
    answers = [gate.ask(5, now=(200 + 100 * n) * MS) for n in range(5)]
    assert answers == [[5], [5], [5], [], []]
    assert gate.refusals == {"exhausted": 2}


def test_repeats_stop_where_the_bandwidth_ends() -> None:
    gate = Gate()
    assert gate.ask(1, 2, 3, 4, room=250) == [1, 2]
    assert gate.refusals == {"bandwidth_skipped": 2}
    assert gate.ask(3, 4) == [3, 4], "what was held back may be asked for again at once"


def test_a_request_for_thousands_is_cut_short_and_counted() -> None:
    gate = Gate()
    assert gate.ask(*range(5000)) == list(range(100))
    assert gate.counters.requested == 5000
    assert gate.refusals == {"not_found": 924, "over_the_limit": 5000 - 1024}


def test_what_is_remembered_of_repeats_is_bounded() -> None:
    gate = Gate()
    for n in range(100, 20_000):
        gate.history.append([b"x"], timestamp=0, now=1_000_000_000 + n * MS)
        gate.ask(n, now=1_000_000_000 + n * MS)
    assert len(gate.gate._repeated) <= 2 * len(gate.history) + 1024
