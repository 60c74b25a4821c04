"""The trace of a RIST run is the same on every machine, in every run and on every Python: this very value.

It changes when the protocol's behaviour does, as it may; then the assertion shows the new value to write here. What it
must never do is to differ between two Pythons, which each run these tests.
"""

from __future__ import annotations

import pytest

from terzetto.primitives.impairment import BurstLoss, LinkConditions
from tests.simulation.test_rist_recovery import run

ROUGH = LinkConditions(
    loss=BurstLoss.with_mean(loss=0.1, burst=3),
    delay=0.02,
    jitter=0.01,
    duplicate=0.02,
    reorder=0.02,
    reorder_by=0.01,
)
PINNED = {
    42: "63f73bda41f7c281c31c613dfec8ff165c30de62ab9995aaf7ed2136a9df21da",
    43: "fb864ed6c243c3c67000fbda8ea416a527837a36fd4ca4f398eecb3efff96417",
}


@pytest.mark.parametrize("seed", PINNED)
def test_a_seed_gives_the_pinned_trace(seed: int) -> None:
    assert run(seed, ROUGH, ROUGH, packets=300, buffer=0.5).trace_hash == PINNED[seed]
