"""What happens on SRT connections and listeners, as values to read from ``events()``."""

from __future__ import annotations

from enum import Enum
from typing import TypeAlias

import attrs

from terzetto.primitives.datagrams import Address
from terzetto.primitives.reconnection import ReconnectGivenUp, ReconnectScheduled
from terzetto.srt.wire.key_material import KmState

__all__ = [
    "ConnectionRefused",
    "ConnectionRequested",
    "KeyAnnounced",
    "KeyRotated",
    "MemberChanged",
    "MemberJoined",
    "MemberLost",
    "MemberState",
    "PacketsSkipped",
    "PeerClosed",
    "PeerConnected",
    "PeerLost",
    "ReconnectGivenUp",
    "ReconnectScheduled",
    "SecurityChanged",
    "SrtEvent",
]


@attrs.frozen
class PeerConnected:
    """A connection is established."""

    peer: Address
    stream_id: str
    peer_version: int


@attrs.frozen
class PeerClosed:
    """The peer said goodbye; what it sent before is still delivered."""

    peer: Address


@attrs.frozen
class PeerLost:
    """The connection broke without a goodbye."""

    peer: Address
    reason: str
    silent_for: float = 0.0


@attrs.frozen
class ConnectionRequested:
    """A caller asks a listener to be let in."""

    peer: Address
    stream_id: str


@attrs.frozen
class ConnectionRefused:
    """A listener refused a caller, or we were refused."""

    peer: Address
    stream_id: str
    code: int
    reason: str


@attrs.frozen
class KeyAnnounced:
    """The next key is on its way to the peer (``sending``), or the peer told us its own."""

    sending: bool


@attrs.frozen
class KeyRotated:
    """Packets are encrypted with the next key from here on."""

    sending: bool


@attrs.frozen
class SecurityChanged:
    """How sending and receiving stand with their keys."""

    sending: KmState
    receiving: KmState


@attrs.frozen
class PacketsSkipped:
    """Packets did not come in time, and delivery went on without them."""

    count: int


class MemberState(Enum):
    """How a member of a group stands."""

    PENDING = "pending"
    """It is being called."""
    STANDBY = "standby"
    """Connected; only keep-alives travel."""
    FRESH = "fresh"
    """It sends, and has not proved itself yet."""
    STABLE = "stable"
    UNSTABLE = "unstable"
    """The peer has been silent on it for too long; its packets travel on another member as well."""
    WARY = "wary"
    """It was unstable and answers again."""
    BROKEN = "broken"

    @property
    def is_active(self) -> bool:
        """Whether packets travel on it."""
        return self.value in _ACTIVE

    @property
    def is_trusted(self) -> bool:
        """Whether nothing else need travel beside it."""
        return self.value in ("fresh", "stable")


_ACTIVE = frozenset({"fresh", "stable", "unstable", "wary"})


@attrs.frozen
class MemberJoined:
    """A group has one more connection."""

    peer: Address
    weight: int


@attrs.frozen
class MemberChanged:
    """A member of a group stands differently now."""

    peer: Address
    state: MemberState


@attrs.frozen
class MemberLost:
    """A member of a group is gone, or could not be reached; the others go on."""

    target: str
    """Its URL where we called, its address where we were called."""
    reason: str


SrtEvent: TypeAlias = (
    PeerConnected
    | PeerClosed
    | PeerLost
    | ConnectionRequested
    | ConnectionRefused
    | KeyAnnounced
    | KeyRotated
    | SecurityChanged
    | PacketsSkipped
    | MemberJoined
    | MemberChanged
    | MemberLost
    | ReconnectScheduled
    | ReconnectGivenUp
)
