"""Loss models lose what their descriptions say, and the same for the same seed."""

from __future__ import annotations

from itertools import groupby
from random import Random

import pytest

from terzetto.primitives.impairment import BurstLoss, IndependentLoss, LossModel, ScriptedLoss


def fates(model: LossModel, count: int, seed: int = 1) -> list[bool]:
    judge = model.start(Random(seed))
    return [judge(b"datagram") for _ in range(count)]


def test_independent_loss_loses_its_share() -> None:
    assert 900 < sum(fates(IndependentLoss(0.1), 10_000)) < 1100


def test_no_loss_and_total_loss_are_exact() -> None:
    assert sum(fates(IndependentLoss(0.0), 1000)) == 0
    assert sum(fates(IndependentLoss(1.0), 1000)) == 1000


def test_burst_loss_with_a_mean_has_that_loss_and_those_bursts() -> None:
    lost = fates(BurstLoss.with_mean(loss=0.05, burst=8), 200_000)
    bursts = [len(list(run)) for was_lost, run in groupby(lost) if was_lost]
    assert 0.045 < sum(lost) / len(lost) < 0.055
    assert 7.3 < sum(bursts) / len(bursts) < 8.7


def test_burst_loss_may_lose_some_in_either_state() -> None:
    always_bad = BurstLoss(enter=1.0, leave=0.0, loss_when_bad=0.5)
    always_good = BurstLoss(enter=0.0, leave=1.0, loss_when_good=0.2)
    assert 0.47 < sum(fates(always_bad, 10_000)) / 10_000 < 0.53
    assert 0.18 < sum(fates(always_good, 10_000)) / 10_000 < 0.22


def test_the_same_seed_loses_the_same_datagrams() -> None:
    model = BurstLoss.with_mean(0.1, 3)
    assert fates(model, 1000, seed=5) == fates(model, 1000, seed=5)
    assert fates(model, 1000, seed=5) != fates(model, 1000, seed=6)


def test_scripted_loss_counts_only_what_matches() -> None:
    judge = ScriptedLoss({1, 3}, matching=lambda datagram: datagram[0] == 0x47).start(Random(0))
    lost = [judge(bytes([first])) for first in (0x47, 0x00, 0x47, 0x00, 0x47, 0x47)]
    assert lost == [True, False, False, False, True, False]


def test_one_number_is_script_enough() -> None:
    assert fates(ScriptedLoss(2), 4) == [False, True, False, False]


@pytest.mark.parametrize(
    "make",
    [
        lambda: IndependentLoss(5),
        lambda: IndependentLoss(-0.1),
        lambda: BurstLoss(enter=2, leave=0.5),
        lambda: BurstLoss.with_mean(loss=1.0, burst=5),
        lambda: BurstLoss.with_mean(loss=0.1, burst=0.5),
        lambda: BurstLoss.with_mean(loss=0.9, burst=2),
        lambda: ScriptedLoss(0),
    ],
)
def test_impossible_models_are_refused(make: type[object]) -> None:
    with pytest.raises(ValueError, match=r"but|cannot"):
        make()
