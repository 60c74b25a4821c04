"""The grammar that every protocol core speaks, and nothing else drives it.

A core is told what happened and when, and asked what to do about it. It owns no socket, no clock, no task and no
randomness, so a run can be replayed from its inputs. After every input whoever drives it *drains*: polls until
there is nothing left to transmit and nothing left to tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from terzetto.primitives.datagrams import Buffer, Run
from terzetto.primitives.time import Micros

__all__ = ["Core", "EventT", "StreamCore"]

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


class StreamCore(Protocol[EventT]):
    """A protocol machine on a reliable byte stream; otherwise as `Core`.

    What it wants written are bytes, in order, that no one else's may be put between.
    """

    def handle_bytes(self, data: Buffer, *, now: Micros) -> None:
        """Take in what the stream brought, cut anywhere."""

    def handle_eof(self, *, now: Micros) -> None:
        """The peer writes no more."""

    def handle_timeout(self, *, now: Micros) -> None:
        """Do what is due; harmless when nothing is."""

    def poll_bytes(self) -> bytes:
        """Bytes to write next, in order; empty when there are none."""

    def poll_events(self) -> list[EventT]:
        """What the user should know, in order; empty when there is nothing."""

    def next_timeout(self) -> Micros | None:
        """When to call `handle_timeout` next, or None for never; may lie in the past when something is due."""

    @property
    def is_finished(self) -> bool:
        """Whether the stream may be closed, once what `poll_bytes` gave has been written."""
