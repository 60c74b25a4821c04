"""A schedule answers what holds when, and when that may change."""

from __future__ import annotations

import pytest

from terzetto.primitives.impairment import LinkConditions, Schedule

CALM = LinkConditions(delay=0.01)
ROUGH = LinkConditions(delay=0.01, loss=0.2)


def test_changes_hold_until_the_next() -> None:
    schedule = Schedule(CALM)
    schedule.change(200, CALM)
    schedule.change(100, ROUGH)
    assert [schedule.at(now) for now in (0, 99, 100, 199, 200)] == [CALM, CALM, ROUGH, ROUGH, CALM]


def test_a_partition_overlays_what_holds() -> None:
    schedule = Schedule(CALM)
    schedule.change(100, ROUGH)
    schedule.partition(50, 150)
    assert [schedule.at(now).up for now in (49, 50, 149, 150)] == [True, False, False, True]
    assert schedule.at(149).loss == ROUGH.loss


def test_the_next_change_is_the_nearest_edge() -> None:
    schedule = Schedule(CALM)
    schedule.change(100, ROUGH)
    schedule.partition(50, 150)
    assert [schedule.next_change(now) for now in (0, 50, 100, 150)] == [50, 100, 150, None]


def test_of_two_changes_at_one_moment_the_later_said_holds() -> None:
    schedule = Schedule(CALM)
    schedule.change(100, ROUGH)
    schedule.change(100, CALM)
    assert schedule.at(100) == CALM


def test_a_partition_has_a_length() -> None:
    with pytest.raises(ValueError, match="no length"):
        Schedule(CALM).partition(5, 5)
