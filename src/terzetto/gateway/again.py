"""Each further try at a peer, in the words of a route."""

from __future__ import annotations

from terzetto.driver.reconnecting import ReconnectEvent
from terzetto.gateway.contract import Report
from terzetto.primitives.reconnection import ReconnectScheduled

__all__ = ["reconnection_words", "retell_reconnection"]


def reconnection_words(event: ReconnectEvent) -> tuple[str, str, bool]:
    """A word for programs, a sentence for people, and whether it is bad news."""
    if isinstance(event, ReconnectScheduled):
        again = f"{event.target} is tried again in {event.delay:.1f} s"
        return "reconnecting", f"{again}, attempt {event.attempt}: {event.reason}", False
    return "given_up", f"{event.target} is not tried any more: {event.reason}", True


def retell_reconnection(event: ReconnectEvent, report: Report) -> None:
    """Tell *report* of a try that follows, or that none does."""
    name, text, is_bad = reconnection_words(event)
    report(name, text, level="warning" if is_bad else "info")
