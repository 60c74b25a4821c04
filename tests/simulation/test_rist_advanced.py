"""RIST Advanced through the public API on networks that lose, delay, reorder and repeat."""

from __future__ import annotations

import random
from typing import Any

import pytest

from terzetto.primitives.impairment import LinkConditions
from tests.simulation.rist_invariants import check_invariants
from tests.simulation.rist_runs import stream
from tests.simulation.test_rist_main import LOGIN, Knobs, simulate
from tests.simulation.test_rist_recovery import random_conditions

VARIANTS: dict[str, Knobs] = {
    "begun in Main": {},
    "at once": {"advanced_start": "at-once"},
    "without the tunnel": {"gre_substrate": False, "nack_type": "bitmask"},
    "as libRIST": {"quirks": "librist"},
    "counter mode": {"secret": "hush", "key_rotation": 40},
    "counter mode as libRIST": {"secret": "hush", "quirks": "librist", "advanced_start": "at-once"},
    "counter mode and hash": {"secret": "hush", "cipher": "ctr-hmac", "aes_type": 128},
    "hash alone": {"secret": "hush", "cipher": "hmac"},
    "GCM": {"secret": "hush", "cipher": "gcm", "gre_substrate": False},
    "ChaCha20, rotated": {"secret": "hush", "cipher": "chacha20", "key_rotation": 30},
    "compressed": {"compression": True},
    "login": {"gre_substrate": False, "secret": "hush", "cipher": "gcm", **LOGIN},
    "key of the login": {"use_key_as_passphrase": True, **LOGIN},
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_invariants_hold_on_random_networks(variant: str) -> None:
    for seed in range(3):
        chance = random.Random(f"{variant} {seed}")
        there, back = random_conditions(chance), random_conditions(chance)
        buffer = chance.choice([0.2, 0.5, 1.0])

        async def main(
            there: LinkConditions = there,
            back: LinkConditions = back,
            buffer: float = buffer,
            seed: int = seed,
        ) -> Any:
            return await stream(
                seed, there, back, packets=120, profile="advanced", buffer=buffer, **VARIANTS[variant]
            )

        try:
            longest = there.delay + there.jitter + there.reorder_by
            if "quirks" in VARIANTS[variant]:
                # By arrival, the time of a last packet that was lost is that of the copy sent into the pause.
                longest += buffer * 2 / 3
            check_invariants(simulate(main), buffer=buffer, longest_delay=longest)
        except BaseException as exc:
            exc.add_note(f"{variant}, seed {seed}: {there}, back {back}, buffer {buffer}")
            raise
