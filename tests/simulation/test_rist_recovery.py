"""RIST Simple through the public API on networks that lose, delay, reorder, repeat and break."""

from __future__ import annotations

import random

import pytest
import trio
from trio.testing import MockClock

from terzetto.primitives.impairment import BurstLoss, LinkConditions
from tests.simulation.rist_invariants import check_invariants
from tests.simulation.rist_runs import Outcome, stream

SEEDS_PER_TEST = 25


def random_conditions(chance: random.Random) -> LinkConditions:
    """Anything from a clean line to one that loses two packets of five."""
    loss = chance.choice([0.0, chance.random() * 0.1, chance.random() * 0.4])
    bursts = BurstLoss.with_mean(loss=max(loss, 0.01), burst=chance.uniform(2, 8))
    delay = chance.choice([0.0005, 0.01, 0.05])
    return LinkConditions(
        loss=bursts if chance.random() < 0.5 else loss,
        delay=delay,
        jitter=chance.choice([0.0, 0.3, 0.9]) * delay,
        reorder=chance.choice([0.0, 0.0, 0.05]),
        reorder_by=0.01,
        duplicate=chance.choice([0.0, 0.0, 0.05]),
    )


def run(
    seed: int,
    there: LinkConditions,
    back: LinkConditions,
    *,
    packets: int,
    buffer: float,
    interval: float = 0.002,
    partition: tuple[float, float] | None = None,
) -> Outcome:
    async def main() -> Outcome:
        return await stream(
            seed, there, back, packets=packets, interval=interval, partition=partition, buffer=buffer
        )

    outcome: Outcome = trio.run(main, clock=MockClock(autojump_threshold=0))
    return outcome


@pytest.mark.slow
@pytest.mark.parametrize("group", range(20))
def test_the_invariants_hold_on_five_hundred_random_networks(group: int) -> None:
    for seed in range(group * SEEDS_PER_TEST, (group + 1) * SEEDS_PER_TEST):
        chance = random.Random(seed)
        there, back = random_conditions(chance), random_conditions(chance)
        buffer = chance.choice([0.2, 0.5, 1.0])
        partition = chance.choice([None, None, (0.1, 0.1 + buffer / 3), (0.1, 0.1 + buffer * 1.5)])
        try:
            outcome = run(seed, there, back, packets=90, buffer=buffer, partition=partition)
            longest = there.delay + there.jitter + there.reorder_by
            check_invariants(outcome, buffer=buffer, longest_delay=longest)
        except BaseException as exc:
            exc.add_note(f"seed {seed}: {there}, back {back}, buffer {buffer}, partition {partition}")
            raise


@pytest.mark.parametrize("seed", range(10))
def test_nothing_is_lost_when_the_buffer_has_room_for_enough_round_trips(seed: int) -> None:
    bad = LinkConditions(loss=0.2, delay=0.02, jitter=0.005)
    outcome = run(seed, bad, bad, packets=400, buffer=1.0)
    assert outcome.payloads == outcome.sent
    assert outcome.receiver.unrecovered == 0
    assert outcome.receiver.recovered > 50


def test_a_partition_shorter_than_the_buffer_loses_nothing() -> None:
    outcome = run(
        3,
        LinkConditions(delay=0.01),
        LinkConditions(delay=0.01),
        packets=500,
        buffer=1.0,
        partition=(0.2, 0.6),
    )
    assert outcome.payloads == outcome.sent


def test_after_a_partition_longer_than_the_buffer_the_stream_goes_on() -> None:
    outcome = run(
        3,
        LinkConditions(delay=0.01),
        LinkConditions(delay=0.01),
        packets=1000,
        buffer=0.3,
        partition=(0.5, 1.3),
    )
    assert outcome.payloads[-100:] == outcome.sent[-100:]
    # What was sent in the first half second of the cut can no longer be asked for in time.
    assert outcome.receiver.unrecovered > 100


@pytest.mark.slow
def test_ten_minutes_at_twenty_per_cent_loss_lose_nothing() -> None:
    bad = LinkConditions(loss=0.2, delay=0.02)
    outcome = run(1, bad, bad, packets=12_000, interval=0.05, buffer=1.0)
    assert len(outcome.delivered) == 12_000
    assert outcome.payloads == outcome.sent
    assert outcome.receiver.unrecovered == 0
    assert outcome.receiver.recovered > 2_000


def test_the_same_seed_gives_the_same_trace() -> None:
    bad = LinkConditions(loss=0.1, delay=0.02, jitter=0.01, duplicate=0.02)
    hashes = {run(42, bad, bad, packets=200, buffer=0.5).trace_hash for _ in range(3)}
    assert len(hashes) == 1
    assert hashes != {run(43, bad, bad, packets=200, buffer=0.5).trace_hash}
