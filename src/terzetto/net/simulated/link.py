"""One direction between two addresses or hosts."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from random import Random
from typing import TYPE_CHECKING

import attrs

from terzetto.primitives.impairment import Drop, LinkConditions, LinkMachine, Schedule
from terzetto.primitives.impairment.machine import IPV4_HEADERS, IPV6_HEADERS, Passage
from terzetto.primitives.time import Micros, micros, seconds

if TYPE_CHECKING:
    from terzetto.net.simulated.network import SimulatedNetwork

__all__ = ["Link", "LinkStatistics"]


@attrs.frozen
class LinkStatistics:
    """Counters of one link since the network began."""

    offered: int
    passed: int
    """Datagrams that arrived at the far end at least once."""
    duplicated: int
    dropped: Mapping[str, int]
    """Datagrams that did not pass, by reason."""


class Link:
    """One direction; made by `SimulatedNetwork.link` and `SimulatedNetwork.connect`.

    Its luck comes from the network's seed and its own name, so what happens on one link does not depend on what
    others carry. Moments are seconds of network time, which begins when the network is first used.
    """

    def __init__(self, network: SimulatedNetwork, name: str, conditions: LinkConditions) -> None:
        self.name = name
        self._network = network
        self._schedule = Schedule(conditions)
        self._machine = LinkMachine(conditions, Random(f"{network.seed}/link/{name}"))
        self._next_change: float = math.inf
        self._offered = 0
        self._duplicated = 0
        self._drops: Counter[Drop] = Counter()

    @property
    def conditions(self) -> LinkConditions:
        """What the link does to a datagram sent now."""
        return self._schedule.at(self._network.elapsed())

    def change(self, conditions: LinkConditions, *, at: float | None = None) -> None:
        """Let *conditions* hold from now, or from network time *at*, until the next change."""
        self._schedule.change(self._network.elapsed() if at is None else micros(at), conditions)
        self._next_change = -math.inf

    def partition(self, start: float, end: float) -> None:
        """Let nothing pass between these moments of network time."""
        self._schedule.partition(micros(start), micros(end))
        self._next_change = -math.inf

    def cut(self) -> None:
        """Let nothing pass from now on, until `mend`."""
        self.change(attrs.evolve(self.conditions, up=False))

    def mend(self) -> None:
        """Let datagrams pass again after `cut`."""
        self.change(attrs.evolve(self.conditions, up=True))

    def statistics(self) -> LinkStatistics:
        """Counters since the network began."""
        dropped = {drop.value: count for drop, count in self._drops.items()}
        return LinkStatistics(
            offered=self._offered,
            passed=self._offered - sum(dropped.values()),
            duplicated=self._duplicated,
            dropped=dropped,
        )

    @property
    def usual_delay(self) -> Micros:
        """How long it takes without luck, good or bad; word of a refusal comes back in this time."""
        return micros(self._machine.conditions.delay)

    @property
    def offered(self) -> int:
        """How many datagrams have entered."""
        return self._offered

    def offer(self, datagram: bytes, now: Micros, *, ipv6: bool) -> Passage:
        """Let a datagram enter at network time *now*."""
        if now >= self._next_change:
            self._machine.change(self._schedule.at(now))
            following = self._schedule.next_change(now)
            self._next_change = math.inf if following is None else following
        self._offered += 1
        passage = self._machine.offer(datagram, now=now, headers=IPV6_HEADERS if ipv6 else IPV4_HEADERS)
        if isinstance(passage, Drop):
            self._drops[passage] += 1
        else:
            self._duplicated += len(passage) - 1
        return passage

    def __repr__(self) -> str:
        return f"<Link {self.name} at {seconds(self._network.elapsed()):.6f} s: {self.statistics()}>"
