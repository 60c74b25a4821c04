"""What happens on SRT connections and listeners, as values to read from ``events()``."""

from __future__ import annotations

from typing import TypeAlias

import attrs

from terzetto.primitives.datagrams import Address
from terzetto.srt.wire.key_material import KmState

__all__ = [
    "ConnectionRefused",
    "ConnectionRequested",
    "KeyAnnounced",
    "KeyRotated",
    "PacketsSkipped",
    "PeerClosed",
    "PeerConnected",
    "PeerLost",
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
)
