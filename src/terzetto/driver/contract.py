"""The grammar that every protocol core speaks, and nothing else drives it.

A core is told what happened and when, and asked what to do about it. It owns no socket, no clock, no task and no
randomness, so a run can be replayed from its inputs. After every input whoever drives it *drains*: polls until
there is nothing left to transmit and nothing left to tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from terzetto.primitives.datagrams import Run
from terzetto.primitives.time import Micros

__all__ = ["Core", "EventT"]

EventT = TypeVar("EventT")


class Core(Protocol[EventT]):
    """A protocol machine.

    ``now`` never goes backwards between calls. No input raises for what a peer sent; commands raise for what the
    caller got wrong, before anything has changed.
    """

    def handle_datagrams(self, runs: Sequence[Run], *, now: Micros) -> None:
        """Take in what the network brought."""

    def handle_timeout(self, *, now: Micros) -> None:
        """Do what is due; harmless when nothing is."""

    def poll_transmits(self) -> list[Run]:
        """Datagrams to put on the wire, in order; empty when there are none."""

    def poll_events(self) -> list[EventT]:
        """What the user should know, in order; empty when there is nothing."""

    def next_timeout(self) -> Micros | None:
        """When to call `handle_timeout` next, or None for never; may lie in the past when something is due."""
