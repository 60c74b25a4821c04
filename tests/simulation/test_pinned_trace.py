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
    42: "059617f9ddbdd4699d6b78e8a39d78c5d2c08acb0b49f17a43b6ddd5e7f663d0",
    43: "5ca7eb1933454df13d29b66a4ec044110b87aedecbda969e01f3e74d311ac575",
}


@pytest.mark.parametrize("seed", PINNED)
def test_a_seed_gives_the_pinned_trace(seed: int) -> None:
    assert run(seed, ROUGH, ROUGH, packets=300, buffer=0.5).trace_hash == PINNED[seed]
