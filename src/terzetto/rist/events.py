"""What may happen to a RIST session: plain values, from ``events()`` of a sender or receiver."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import attrs

from terzetto.primitives.datagrams import Address

__all__ = [
    "BufferResized",
    "ClockResynchronised",
    "FlowEnded",
    "FlowRestarted",
    "FlowStarted",
    "NetworkTrouble",
    "PacketsReady",
    "PeerConnected",
    "PeerLost",
    "PeerMoved",
    "RistEvent",
    "RistPacket",
    "StrangerIgnored",
]


class RistPacket(NamedTuple):
    """One payload as the receiver hands it out, in order."""

    payload: bytes
    sequence: int
    """Counts up by one a packet over the whole flow, never wraps."""
    source_time: float
    """Seconds on the sender's own clock, which starts anywhere; differences are what it is good for."""
    flow_id: int
    path: int
    """By which of the session's paths this copy came."""
    lost_before: int
    """How many packets right before this one never came, and will not."""


@attrs.frozen
class PacketsReady:
    """Payloads whose time has come (internal to the session: the streams hand them out)."""

    packets: list[RistPacket]


@attrs.frozen
class PeerConnected:
    """A peer answered for the first time, or again after it was lost."""

    peer: Address
    cname: str = ""


@attrs.frozen
class PeerLost:
    """A peer fell silent for longer than ``session_timeout``, or said goodbye (then *silent_for* is 0)."""

    peer: Address
    silent_for: float


@attrs.frozen
class PeerMoved:
    """The peer's packets now come from another port of the same host, as after a NAT's rebinding."""

    peer: Address
    was: Address


@attrs.frozen
class StrangerIgnored:
    """Somebody else sends to our port; said once for each address, the packets are counted."""

    stranger: Address
    peer: Address


@attrs.frozen
class FlowStarted:
    """The first packet of a flow arrived."""

    flow_id: int


@attrs.frozen
class FlowRestarted:
    """The sender began a new flow, as it does after a restart; recovery starts afresh."""

    flow_id: int
    was: int


@attrs.frozen
class FlowEnded:
    """Everything of a flow was delivered and nothing more came for a whole buffer."""

    flow_id: int


@attrs.frozen
class ClockResynchronised:
    """The source's timestamps jumped; delivery is anchored anew, *by* seconds from where it was."""

    by: float


@attrs.frozen
class BufferResized:
    """An adapting recovery buffer has a new aim."""

    seconds: float


@attrs.frozen
class NetworkTrouble:
    """The network says why packets do not get through; never fatal."""

    peer: Address | None
    kind: str
    text: str


RistEvent: TypeAlias = (
    BufferResized
    | ClockResynchronised
    | FlowEnded
    | FlowRestarted
    | FlowStarted
    | NetworkTrouble
    | PacketsReady
    | PeerConnected
    | PeerLost
    | PeerMoved
    | StrangerIgnored
)
