"""Who carries which packet, where several ways share a load by weight.

As libRIST does it: each way may carry as many packets as its weight says, the one that has most left goes first, and
when none has any left all start again. Ways of no weight carry everything, and are not asked here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

__all__ = ["Carrier", "share"]


class Carrier(Protocol):
    """Whoever has a weight, and remembers how much of it is left."""

    refill: int
    """What it may carry of each round."""
    share_left: int


CarrierT = TypeVar("CarrierT", bound=Carrier)


def share(carriers: Sequence[CarrierT], packets: int) -> list[tuple[CarrierT, int, int]]:
    """Deal out *packets*: who carries which, from the first to before the last, in order."""
    pieces: list[tuple[CarrierT, int, int]] = []
    if len(carriers) == 1:
        return [(carriers[0], 0, packets)]
    start = 0
    before: CarrierT | None = None
    for index in range(packets):
        chosen = _most_left(carriers)
        if chosen.share_left <= 0:
            for carrier in carriers:
                carrier.share_left = carrier.refill
            chosen = _most_left(carriers)
        chosen.share_left -= 1
        if chosen is not before:
            if before is not None:
                pieces.append((before, start, index))
            start, before = index, chosen
    if before is not None:
        pieces.append((before, start, packets))
    return pieces


def _most_left(carriers: Sequence[CarrierT]) -> CarrierT:
    best = carriers[0]
    for carrier in carriers:
        if carrier.share_left > best.share_left:
            best = carrier
    return best
