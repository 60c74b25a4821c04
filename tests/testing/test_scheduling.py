"""trio runs ready tasks in the order a seed decides."""

from __future__ import annotations

import pytest
import trio

from terzetto.errors import UnsupportedOperation
from terzetto.testing import deterministic_scheduling


def order_of_tasks() -> list[int]:
    order: list[int] = []

    async def work(number: int) -> None:
        for _ in range(5):
            await trio.lowlevel.checkpoint()
            order.append(number)

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            for number in range(6):
                nursery.start_soon(work, number)

    trio.run(main)
    return order


def order_with(seed: int) -> list[int]:
    with deterministic_scheduling(seed):
        return order_of_tasks()


def test_one_seed_one_order() -> None:
    assert order_with(1) == order_with(1)
    assert any(order_with(seed) != order_with(1) for seed in range(2, 6))


def test_afterwards_trio_is_as_random_as_before() -> None:
    order_with(1)
    assert len({tuple(order_of_tasks()) for _ in range(20)}) > 1


def test_a_trio_without_the_switches_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from trio._core import _run as scheduler

    monkeypatch.delattr(scheduler, "_r")
    with pytest.raises(UnsupportedOperation, match="use trio"), deterministic_scheduling(1):
        pass
