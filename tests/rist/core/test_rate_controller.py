"""The rate that is advised: it climbs in steps, falls by how bad it is, and heeds each report once."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from terzetto.errors import InvalidOption
from terzetto.rist.adaptation import RistAdaptation
from terzetto.rist.core.rate_controller import RateController
from terzetto.rist.wire.link_quality import LinkQuality

QUIET = LinkQuality(
    sequence=0,
    period_ms=1000,
    nack_window_ms=1000,
    source_received=0,
    original_lost=0,
    retransmitted_received=0,
    recovered=0,
    unrecovered=0,
    late=0,
    data_kbps=0,
    retransmission_kbps=0,
)


def controller(**knobs: Any) -> RateController:
    return RateController(
        RistAdaptation(
            **{"floor": 1_000_000, "ceiling": 10_000_000, "start": 5_000_000, "settle": 0, **knobs}
        )
    )


def report(sequence: int, **fields: int) -> LinkQuality:
    return attrs.evolve(QUIET, sequence=sequence, **fields)


def test_a_clean_report_adds_a_hundredth_of_the_ceiling() -> None:
    machine = controller()
    assert machine.handle(report(1, source_received=1000))
    assert machine.rate == 5_100_000


def test_loss_within_the_target_is_clean() -> None:
    machine = controller()
    machine.handle(report(1, source_received=995, original_lost=5, recovered=5))
    assert machine.rate == 5_100_000


def test_loss_beyond_the_target_cuts_eight_times_as_deep() -> None:
    machine = controller()
    machine.handle(report(1, source_received=980, original_lost=20, recovered=20))
    assert machine.rate == pytest.approx(5_000_000 * (1 - 8 * 0.015), abs=1)


def test_what_was_given_up_cuts_even_within_the_target() -> None:
    machine = controller()
    machine.handle(report(1, source_received=998, original_lost=2, unrecovered=2))
    assert machine.rate == pytest.approx(5_000_000 * (1 - 8 * 0.002), abs=1)


def test_a_cut_goes_no_deeper_than_nine_tenths_and_not_below_the_floor() -> None:
    machine = controller(floor=100_000)
    machine.handle(report(1, source_received=1, original_lost=999))
    assert machine.rate == pytest.approx(500_000, abs=1)
    machine.handle(report(2, source_received=1, original_lost=999))
    assert machine.rate == 100_000
    assert not machine.handle(report(3, source_received=1, original_lost=999))


def test_a_silence_says_nothing() -> None:
    machine = controller()
    assert not machine.handle(report(1))
    assert machine.rate == 5_000_000
    machine.handle(report(2, unrecovered=50))  # nothing came, and what had come before was given up
    assert machine.rate < 5_000_000


def test_nothing_is_advised_beyond_the_ceiling() -> None:
    machine = controller(start=None)
    assert machine.rate == 10_000_000
    assert not machine.handle(report(1, source_received=100))


def test_after_a_cut_the_next_report_is_passed_over() -> None:
    machine = controller(settle=1)
    assert machine.handle(report(1, source_received=90, original_lost=10))
    cut = machine.rate
    assert not machine.handle(report(2, source_received=90, original_lost=10))
    assert not machine.handle(report(3))  # a silence is no report to have settled by
    assert machine.rate == cut
    assert machine.handle(report(4, source_received=100))
    assert machine.rate == cut + 100_000


def test_reports_that_come_twice_or_late_are_ignored() -> None:
    machine = controller()
    for sequence in (7, 7, 6, 8):
        machine.handle(report(sequence, source_received=100))
    assert machine.ignored == 2
    assert machine.rate == 5_200_000


def test_sequence_numbers_wrap() -> None:
    machine = controller()
    for sequence in (0xFFFF_FFFF, 0, 0xFFFF_FFFF):
        machine.handle(report(sequence, source_received=100))
    assert machine.ignored == 1


def test_a_receiver_that_counts_anew_is_heard() -> None:
    machine = controller()
    machine.handle(report(5000, source_received=100))
    machine.handle(report(1, source_received=100))
    assert machine.ignored == 0
    machine.handle(report(2, source_received=100))
    machine.forget()
    machine.handle(report(1, source_received=100))
    assert machine.ignored == 0
    assert machine.rate == 5_400_000


_WORDS = st.integers(0, 0xFFFF_FFFF)


@given(st.lists(st.tuples(*[_WORDS] * 11), max_size=20))
def test_whatever_is_reported_the_advice_stays_within_its_bounds(reports: list[tuple[int, ...]]) -> None:
    machine = controller()
    for words in reports:
        was = machine.rate
        changed = machine.handle(LinkQuality.decode(b"".join(word.to_bytes(4, "big") for word in words)))
        assert 1_000_000 <= machine.rate <= 10_000_000
        assert changed == (machine.rate != was)


@given(st.integers(0, 1000), st.integers(0, 1000))
def test_more_loss_never_gives_a_higher_rate(one: int, other: int) -> None:
    rates = []
    for lost in sorted((one, other)):
        machine = controller()
        machine.handle(report(1, source_received=1000 - lost, original_lost=lost))
        rates.append(machine.rate)
    assert rates[0] >= rates[1]


def test_words_are_read_in_librists_units() -> None:
    parsed = RistAdaptation.parse("floor:1000,ceiling:12000,start:4000,target-loss:0.01,period:500,settle:2")
    assert parsed == RistAdaptation(
        floor=1_000_000, ceiling=12_000_000, start=4_000_000, target_loss=0.01, period=0.5, settle=2
    )
    assert RistAdaptation.parse("ceiling:2000").begin == 2_000_000


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("floor:x", "floor is 'x', must be a number"),
        ("flour:1", "'flour' is none of floor"),
        ("floor:1,floor:2", "'floor' comes twice"),
        ("floor:9000,ceiling:8000", "must not decrease"),
        ("start:100", "must not decrease"),
        ("ceiling:0", "ceiling is 0"),
        ("ceiling:nan", "no such number"),
        ("ceiling:1e99", "no such number"),
        ("target-loss:1", "must lie between 0 and 1"),
        ("period:1", "between 0.05 and 60"),
        ("settle:-1", "between 0 and 100"),
    ],
)
def test_what_cannot_be_is_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidOption, match=message):
        RistAdaptation.parse(text)
