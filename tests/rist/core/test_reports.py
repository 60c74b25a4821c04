"""The beat of reports."""

from __future__ import annotations

from terzetto.rist.core.reports import ReportSchedule


def test_the_first_report_is_due_at_once_and_the_next_an_interval_later() -> None:
    schedule = ReportSchedule(100_000, now=5)
    assert schedule.is_due(5)
    assert not schedule.is_due(100_004)
    assert schedule.is_due(100_005)


def test_small_delays_do_not_add_up() -> None:
    schedule = ReportSchedule(100_000, now=0)
    reports = 0
    for now in range(0, 10_000_000, 7_000):
        reports += schedule.is_due(now)
    assert reports == 100


def test_missed_beats_are_not_made_up_for() -> None:
    schedule = ReportSchedule(100_000, now=0)
    schedule.is_due(0)
    assert schedule.is_due(1_000_000)
    assert not schedule.is_due(1_000_001)
    assert schedule.next_report == 1_050_000
