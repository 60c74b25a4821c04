"""What reports say of a flow."""

from __future__ import annotations

import pytest

from terzetto.rist.core.counters import FlowCounters
from terzetto.rist.core.reception import Reception


def test_the_fraction_is_of_what_was_expected_since_the_last_report() -> None:
    counters, reception = FlowCounters(), Reception(8, clock_rate=90_000)
    counters.missing = 25
    assert reception.report(counters, 100).fraction_lost == 64
    assert reception.report(counters, 200).fraction_lost == 0
    counters.missing += 1000
    assert reception.report(counters, 300).fraction_lost == 255


def test_what_was_only_overtaken_was_not_lost() -> None:
    counters, reception = FlowCounters(), Reception(8, clock_rate=90_000)
    counters.missing, counters.reordered = 10, 10
    assert reception.report(counters, 100).fraction_lost == 0


def test_without_progress_there_is_no_fraction() -> None:
    counters, reception = FlowCounters(), Reception(8, clock_rate=90_000)
    counters.missing = 5
    assert reception.report(counters, 0).fraction_lost == 0


def test_numbers_keep_to_their_fields() -> None:
    counters, reception = FlowCounters(), Reception(8, clock_rate=90_000)
    counters.unrecovered = 1 << 40
    report = reception.report(counters, (1 << 32) + 7)
    assert (report.source, report.cumulative_lost, report.highest_sequence) == (8, 0x7F_FFFF, 7)


def test_jitter_is_in_ticks_of_the_flows_clock() -> None:
    reception = Reception(8, clock_rate=8_000)
    for n in range(500):
        reception.sample(n * 80, n * 10_000 + n % 2 * 5_000)
    assert reception.report(FlowCounters(), 1).jitter == pytest.approx(40, abs=4)
