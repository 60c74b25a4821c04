"""check_core passes a core that speaks the grammar, and says what another one got wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from terzetto.primitives.datagrams import Run
from terzetto.primitives.time import Micros
from terzetto.testing.checks import PromiseBroken, check_core
from terzetto.testing.core_checks import PEER


class Beats:
    """Beats once a second; tells who was heard."""

    def __init__(self) -> None:
        self.next_beat: Micros = 0
        self.transmits: list[Run] = []
        self.events: list[str] = []

    def handle_datagrams(self, runs: Sequence[Run], *, now: Micros) -> None:
        self.events += [f"heard {bytes(each)!r}" for run in runs for each in run.datagrams if len(each) == 1]

    def handle_timeout(self, *, now: Micros) -> None:
        if now >= self.next_beat:
            self.next_beat = now + 1_000_000
            self.transmits.append(Run(PEER, [b"beat"]))

    def poll_transmits(self) -> list[Run]:
        transmits, self.transmits = self.transmits, []
        return transmits

    def poll_events(self) -> list[str]:
        events, self.events = self.events, []
        return events

    def next_timeout(self) -> Micros | None:
        return self.next_beat

    def say(self, now: Micros) -> None:
        self.transmits.append(Run(PEER, [b"%d" % now]))


class Chokes(Beats):
    def handle_datagrams(self, runs: Sequence[Run], *, now: Micros) -> None:
        for run in runs:
            for datagram in run.datagrams:
                datagram[3]


class Spins(Beats):
    def next_timeout(self) -> Micros | None:
        return 5


class Repeats(Beats):
    def poll_events(self) -> list[str]:
        return list(self.events)


class CountsFractions(Beats):
    def next_timeout(self) -> Micros | None:
        return 1.5  # type: ignore[return-value]


class KeepsTransmits(Beats):
    def poll_transmits(self) -> list[Run]:
        return list(self.transmits)


class HasMoods(Beats):
    made = 0

    def __init__(self) -> None:
        super().__init__()
        HasMoods.made += 1
        self.transmits.append(Run(PEER, [b"I am number %d" % HasMoods.made]))


class DislikesHaste(Beats):
    def handle_timeout(self, *, now: Micros) -> None:
        if now < self.next_beat:
            raise RuntimeError("not yet")
        super().handle_timeout(now=now)


def test_a_core_that_speaks_the_grammar_passes() -> None:
    check_core(Beats)
    check_core(Beats, Beats, commands=[Beats.say])


@pytest.mark.parametrize(
    ("make", "broken"),
    [
        (Chokes, "no input raises for what a peer sent, but IndexError"),
        (Spins, "would spin"),
        (Repeats, "poll_events empties"),
        (KeepsTransmits, "poll_transmits empties"),
        (CountsFractions, "whole microseconds"),
        (HasMoods, "same inputs give the same outputs"),
        (DislikesHaste, "handle_timeout is harmless"),
    ],
)
def test_a_broken_rule_is_named(make: Callable[[], Beats], broken: str) -> None:
    with pytest.raises(PromiseBroken, match=broken):
        check_core(make)
