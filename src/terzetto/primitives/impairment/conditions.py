"""Everything a link does to what passes, as one frozen description."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import attrs

from terzetto.primitives.impairment.loss import IndependentLoss, LossModel, probability

__all__ = ["PERFECT", "LinkConditions"]


def _loss_models(loss: float | LossModel | Sequence[LossModel]) -> tuple[LossModel, ...]:
    if isinstance(loss, (int, float)):
        return (IndependentLoss(loss),) if loss else ()
    if isinstance(loss, Sequence):
        return tuple(loss)
    return (loss,)


def _duration(instance: object, attribute: attrs.Attribute[float], value: float) -> None:
    if not 0 <= value < float("inf"):
        raise ValueError(f"{attribute.name} is {value}, but must be a number of seconds, 0 or more")


@attrs.frozen(kw_only=True)
class LinkConditions:
    """One direction of a path: what it loses, how long it takes, how much it carries.

    Durations are seconds. ``loss`` is a probability, a model, or several models of which any may lose.
    """

    loss: tuple[LossModel, ...] = attrs.field(default=(), converter=_loss_models)
    delay: float = attrs.field(default=0.0, validator=_duration)
    jitter: float = attrs.field(default=0.0, validator=_duration)
    """Each datagram takes up to this much longer or shorter than ``delay``, evenly spread.

    It keeps its place all the same, as in the queues of a router; ``reorder`` is what changes the order."""
    reorder: float = attrs.field(default=0.0, validator=probability)
    """The share of datagrams that take ``reorder_by`` longer, so that later ones overtake them."""
    reorder_by: float = attrs.field(default=0.01, validator=_duration)
    duplicate: float = attrs.field(default=0.0, validator=probability)
    """The share of datagrams that arrive twice."""
    corrupt: float = attrs.field(default=0.0, validator=probability)
    """The share of datagrams that arrive with one bit flipped, as if their checksum had failed to notice."""
    rate: float | None = None
    """Bits per second that pass, headers included; what comes faster waits in the queue."""
    queue: int | None = None
    """Bytes that may wait for ``rate``; a datagram that finds no room is dropped. None is endless patience."""
    mtu: int | None = None
    """The longest IP packet that passes; nothing is fragmented."""
    up: bool = True
    """False is a partition: nothing passes."""

    def __attrs_post_init__(self) -> None:
        for name, limit in (("rate", self.rate), ("queue", self.queue), ("mtu", self.mtu)):
            if limit is not None and limit <= 0:
                raise ValueError(f"{name} is {limit}, but must be more than 0, or None for no limit")
        if self.jitter > self.delay:
            raise ValueError(f"jitter is {self.jitter}, but cannot exceed delay, which is {self.delay}")


PERFECT: Final = LinkConditions()
