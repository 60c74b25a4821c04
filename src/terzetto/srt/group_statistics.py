"""What a group has counted: the stream as a whole, and each member by itself."""

from __future__ import annotations

import attrs

from terzetto.primitives.datagrams import Address
from terzetto.srt.events import MemberState
from terzetto.srt.statistics import SrtStatistics

__all__ = ["SrtGroupStatistics", "SrtMemberStatistics"]


@attrs.frozen(kw_only=True)
class SrtMemberStatistics:
    """How one member of a group stands."""

    target: str
    """The URL it was called by, or the peer's address where we were called."""
    peer: Address
    state: MemberState
    weight: int
    round_trip: float
    stability_timeout: float
    """How long the peer may be silent before a backup group turns to another member."""
    statistics: SrtStatistics
    """Its own counters. What it lost and another member brought counts neither as recovered nor as lost here."""


@attrs.frozen(kw_only=True)
class SrtGroupStatistics:
    """A snapshot of a group: what went in and came out, whatever member carried it."""

    elapsed: float
    sent: int
    """Packets handed in, each once however many members carried it."""
    received: int
    """Packets delivered."""
    unrecovered: int
    """Packets that came on no member in time."""
    surplus: int
    """Packets that a member brought after another had brought them."""
    members: tuple[SrtMemberStatistics, ...]
