"""Which datagrams a link loses.

Each model is a frozen description; `start` makes the machine that decides, so one description may serve many
links and be started again for a replay. A model of your own needs `start` and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Protocol, TypeAlias

import attrs

from terzetto.primitives.datagrams import Buffer

__all__ = [
    "BurstLoss",
    "IndependentLoss",
    "Judge",
    "LossModel",
    "RandomSource",
    "ScriptedLoss",
    "probability",
]

Judge: TypeAlias = Callable[[Buffer], bool]
"""Says of each datagram, in the order they enter the link, whether it is lost."""


class RandomSource(Protocol):
    """What the models need of `random.Random`."""

    def random(self) -> float:
        """A number from 0 up to, but not including, 1."""


class LossModel(Protocol):
    """A way to lose datagrams."""

    def start(self, source: RandomSource) -> Judge:
        """A fresh machine of this model that draws from *source*."""


def probability(instance: object, attribute: attrs.Attribute[float], value: float) -> None:
    """attrs validator: a number from 0 to 1."""
    if not 0 <= value <= 1:
        raise ValueError(f"{attribute.name} is {value}, but a probability lies between 0 and 1 (5% is 0.05)")


@attrs.frozen
class IndependentLoss:
    """Every datagram is lost with the same probability, whatever happened to its neighbours."""

    probability: float = attrs.field(validator=probability)

    def start(self, source: RandomSource) -> Judge:
        """A fresh machine."""
        threshold, random = self.probability, source.random
        return lambda _datagram: random() < threshold


@attrs.frozen
class BurstLoss:
    """Gilbert-Elliott: the link flips between a good and a bad state, and loses mostly in the bad one.

    ``enter`` and ``leave`` are the probabilities, before each datagram, of turning bad and good. Radio links and
    overfull queues lose like this, and it is much harder to repair than the same loss spread evenly.
    """

    enter: float = attrs.field(validator=probability)
    leave: float = attrs.field(validator=probability)
    loss_when_bad: float = attrs.field(default=1.0, validator=probability)
    loss_when_good: float = attrs.field(default=0.0, validator=probability)

    @classmethod
    def with_mean(cls, loss: float, burst: float) -> BurstLoss:
        """The model that loses the share *loss* overall, in bursts of *burst* datagrams on average."""
        if not 0 <= loss < 1:
            raise ValueError(f"loss is {loss}, but must be at least 0 and less than 1 (5% is 0.05)")
        if burst < 1:
            raise ValueError(f"burst is {burst}, but a burst has at least one datagram")
        leave = 1 / burst
        enter = leave * loss / (1 - loss)
        if enter > 1:
            raise ValueError(f"bursts of {burst} datagrams cannot make up a loss of {loss}: make them longer")
        return cls(enter=enter, leave=leave)

    def start(self, source: RandomSource) -> Judge:
        """A fresh machine, in the good state."""
        random = source.random
        enter, leave = self.enter, self.leave
        when_bad, when_good = self.loss_when_bad, self.loss_when_good
        bad = False

        def judge(_datagram: Buffer) -> bool:
            nonlocal bad
            bad = random() >= leave if bad else random() < enter
            share = when_bad if bad else when_good
            # Certain outcomes draw nothing: half the price in the plain Gilbert case.
            if share == 0.0 or share == 1.0:
                return share == 1.0
            return random() < share

        return judge


def _numbers(nth: int | Collection[int]) -> frozenset[int]:
    return frozenset({nth}) if isinstance(nth, int) else frozenset(nth)


def _every(_datagram: Buffer) -> bool:
    return True


@attrs.frozen
class ScriptedLoss:
    """Loses exactly the datagrams that a test names: the nth (from 1) of those that *matching* picks.

    ``ScriptedLoss({3}, matching=is_data)`` drops the third data packet, and no other, in every run.
    """

    nth: frozenset[int] = attrs.field(converter=_numbers)
    matching: Callable[[Buffer], bool] = _every

    @nth.validator
    def _counted_from_one(self, _attribute: attrs.Attribute[frozenset[int]], value: frozenset[int]) -> None:
        if any(number < 1 for number in value):
            raise ValueError(f"nth is {sorted(value)}, but datagrams are counted from 1")

    def start(self, source: RandomSource) -> Judge:
        """A fresh machine that counts from one."""
        nth, matching = self.nth, self.matching
        seen = 0

        def judge(datagram: Buffer) -> bool:
            nonlocal seen
            if not matching(datagram):
                return False
            seen += 1
            return seen in nth

        return judge
