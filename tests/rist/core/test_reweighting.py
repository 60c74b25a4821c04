"""How shares follow what was asked for."""

from __future__ import annotations

import pytest

from terzetto.rist.core.reweighting import Reweighting

SECOND = 1_000_000


def after(reweighting: Reweighting, now: int, **losses: float) -> list[tuple[int, object]]:
    """A second in which each leg carries a hundred packets and loses as much; what is judged then."""
    legs = range(len(losses))
    for leg, loss in zip(legs, losses.values(), strict=True):
        reweighting.carried(leg, 100, now=now)
        for _ in range(round(100 * loss)):
            reweighting.asked(leg)
    assert reweighting.judge(legs, now + SECOND - 1) == []
    return [(leg, pytest.approx(part)) for leg, part, _ in reweighting.judge(legs, now + SECOND)]


def test_who_loses_no_more_than_the_best_keeps_all_of_its_weight() -> None:
    reweighting = Reweighting()
    assert after(reweighting, 0, one=0.2, two=0.21) == []
    assert after(reweighting, SECOND, one=0.0, two=0.0) == []


def test_who_loses_more_shrinks_to_a_tenth_and_comes_back_step_by_step() -> None:
    reweighting = Reweighting()
    assert after(reweighting, 0, one=0.0, two=0.1) == [(1, 0.8)]
    assert after(reweighting, SECOND, one=0.0, two=0.9) == [(1, 0.4)]
    for second in range(2, 5):
        after(reweighting, second * SECOND, one=0.0, two=0.9)
    assert reweighting.part(1) == pytest.approx(0.1)
    for second in range(5, 23):
        assert len(after(reweighting, second * SECOND, one=0.0, two=0.0)) == 1
    assert reweighting.part(1) == pytest.approx(1.0)
    assert reweighting.part(0) == 1.0


def test_a_handful_of_packets_proves_nothing() -> None:
    reweighting = Reweighting()
    reweighting.carried(0, 1000, now=0)
    reweighting.carried(1, 19, now=0)
    for _ in range(19):
        reweighting.asked(1)
    assert reweighting.judge([0, 1], SECOND) == []
    reweighting.carried(1, 1, now=SECOND)
    assert [each.leg for each in reweighting.judge([0, 1], 2 * SECOND)] == [1]
