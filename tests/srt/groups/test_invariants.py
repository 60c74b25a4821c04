"""What holds for every group, whatever its members do: seeded members that fail, stall and return.

One way, another by every seed, always works, though it loses packets. So nothing may be lost, delivered twice, out
of order, or past its time.
"""

from __future__ import annotations

import random

import pytest
import trio
import trio.testing

from terzetto.primitives.impairment import LinkConditions
from terzetto.primitives.reconnection import Reconnection
from terzetto.srt.group import SrtGroup
from tests.srt.groups.world import World, payload

LATENCY = 0.5
PACKETS = 250
PAUSE = 0.02
SEEDS = range(12)

# The sender's moment is rebuilt from timestamps and a handshake's way, and a reader wakes by ticks.
TOLERANCE = 0.05


async def fail_stall_and_return(world: World, chance: random.Random, way: int) -> None:
    """What happens to a way, until cancelled."""
    forth, back = world.ways[way]
    while True:
        await trio.sleep(chance.uniform(0.2, 1.5))
        trouble = chance.choice(("cut", "deaf", "mute", "slow"))
        hit = {"cut": (forth, back), "deaf": (back,), "mute": (forth,), "slow": ()}[trouble]
        for link in hit:
            link.cut()
        if trouble == "slow":
            forth.change(LinkConditions(delay=chance.uniform(0.1, 0.4), jitter=0.02))
        await trio.sleep(chance.choice((chance.uniform(0.05, 0.4), chance.uniform(0.4, 4.0))))
        for link in hit:
            link.mend()
        forth.change(world.conditions)


async def send(group: SrtGroup, sent_at: list[float]) -> None:
    for number in range(PACKETS):
        sent_at.append(trio.current_time())
        await group.send_packet(payload(number))
        await trio.sleep(PAUSE)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["broadcast", "backup", "balancing"])
@pytest.mark.parametrize("seed", SEEDS)
async def test_nothing_is_lost_repeated_reordered_or_late(
    autojump_clock: trio.testing.MockClock, mode: str, seed: int
) -> None:
    chance = random.Random(seed)
    ways = 2 + seed % 2
    world = World(ways, seed=seed, delay=chance.uniform(0.005, 0.03), jitter=0.003, loss=0.02)
    safe = chance.randrange(ways)
    weights = chance.sample(range(1, 10), ways)
    queries = [f"latency={LATENCY * 1000:.0f}&peeridletimeo=2500&weight={weight}" for weight in weights]
    again = Reconnection(initial=0.1, longest=0.4)
    sent_at: list[float] = []
    numbers: list[int] = []
    late: list[float] = []
    async with world.pair(mode, *queries, listening="peeridletimeo=2500", reconnect=again) as (
        group,
        accepted,
    ):
        async with trio.open_nursery() as nursery:
            for way in range(ways):
                if way != safe:
                    nursery.start_soon(fail_stall_and_return, world, chance, way)
            nursery.start_soon(send, group, sent_at)
            with trio.move_on_after(PACKETS * PAUSE + 5):
                while len(numbers) < PACKETS:
                    packet = await accepted.receive_packet()
                    number = int.from_bytes(packet.payload[:4], "big")
                    numbers.append(number)
                    late.append(trio.current_time() - sent_at[number])
            nursery.cancel_scope.cancel()
        statistics = accepted.statistics()
    assert numbers == list(range(PACKETS)), (
        f"seed {seed}: {sorted(set(range(PACKETS)) - set(numbers))} are missing"
    )
    assert statistics.unrecovered == 0
    assert max(late) < LATENCY + world.conditions.delay + TOLERANCE
