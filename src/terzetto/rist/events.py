"""What may happen to a RIST session: plain values, from ``events()`` of a sender or receiver."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import attrs

from terzetto.primitives.datagrams import Address
from terzetto.primitives.reconnection import ReconnectGivenUp, ReconnectScheduled

__all__ = [
    "AdvancedGivenUp",
    "AdvancedStarted",
    "AuthenticationRefused",
    "AuthorizationWanted",
    "BufferResized",
    "ClearTextRefused",
    "ClockResynchronised",
    "FlowAttributesEnded",
    "FlowAttributesReceived",
    "FlowEnded",
    "FlowRestarted",
    "FlowStarted",
    "KeyRotated",
    "LoginWanted",
    "NetworkTrouble",
    "OutOfBandReceived",
    "PacketsReady",
    "PassphraseChanged",
    "PassphraseMissing",
    "PassphraseWrong",
    "PathDown",
    "PathReweighted",
    "PathUp",
    "PeerAuthenticated",
    "PeerConnected",
    "PeerLost",
    "PeerMoved",
    "RateAdvised",
    "ReconnectGivenUp",
    "ReconnectScheduled",
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
    advanced_flow_id: int = 0
    """The flow id field of the Advanced profile's header, by which one stream carries several logical flows."""
    is_expedited: bool = False
    """Handed out as soon as it arrived, out of its turn, because the sender asked for that (Advanced profile)."""


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
class RateAdvised:
    """What the receiver reports of the link says that the encoder should change to so many bits a second."""

    bitrate: int
    was: int


@attrs.frozen
class PathUp:
    """A path of a group has a peer, for the first time or again."""

    path: int
    url: str
    """Where the path leads; without its secrets."""
    peer: Address


@attrs.frozen
class PathDown:
    """A path of a group has lost its peer, or cannot be used at all; the others carry on."""

    path: int
    url: str
    reason: str


@attrs.frozen
class PathReweighted:
    """With ``reweight``: a path carries another part of its weight from now on, for what it lost of late."""

    path: int
    part: float
    """Of its weight, from 0.1 to 1."""
    loss: float
    """Of what it carried in the last second, how much was asked for again."""


@attrs.frozen
class NetworkTrouble:
    """The network says why packets do not get through; never fatal."""

    peer: Address | None
    kind: str
    text: str


@attrs.frozen
class PeerAuthenticated:
    """A peer proved who it is (and we to it); media may flow. *again* at a re-authentication."""

    peer: Address
    username: str
    again: bool = False


@attrs.frozen
class AuthenticationRefused:
    """A login failed, or what it gave was taken back; *final* where nothing will be tried for a while."""

    peer: Address
    username: str
    reason: str
    final: bool = False


@attrs.frozen
class AuthorizationWanted:
    """A peer waits for the application's word (internal to the session: the ``authorize`` hook answers)."""

    peer: Address
    username: str


@attrs.frozen
class LoginWanted:
    """The peer asks for a name and a password, and we were given none."""

    peer: Address


@attrs.frozen
class PassphraseWrong:
    """The peer enciphers with another secret than ours; nothing of it is let out."""

    peer: Address


@attrs.frozen
class PassphraseMissing:
    """The peer enciphers, and we have no secret at all."""

    peer: Address


@attrs.frozen
class ClearTextRefused:
    """We have a secret, and the peer speaks in the clear; it is not listened to."""

    peer: Address


@attrs.frozen
class KeyRotated:
    """The peer enciphers under a new nonce, which proved right."""

    peer: Address


@attrs.frozen
class PassphraseChanged:
    """What we send is enciphered with a new passphrase from now on.

    With *confirmed* the peer said that it has it; without a login nobody can say so.
    """

    confirmed: bool


@attrs.frozen
class AdvancedStarted:
    """The peer can do the Advanced profile, and what we send it is in that form from now on."""

    peer: Address


@attrs.frozen
class AdvancedGivenUp:
    """The peer says that it can do the Advanced profile, but nothing comes from it in that form: we speak Main again.

    When something does come after all, `AdvancedStarted` follows.
    """

    peer: Address


@attrs.frozen
class FlowAttributesReceived:
    """The peer describes its flows, in JSON as it came; said once for each text."""

    attributes: str


@attrs.frozen
class FlowAttributesEnded:
    """The peer has not repeated this description for two seconds, and so takes it back."""

    attributes: str


@attrs.frozen
class OutOfBandReceived:
    """Data beside the stream (internal to the session: ``receive_oob`` hands it out)."""

    ether_type: int
    data: bytes
    path: int = 0
    """By which of several paths it came."""


RistEvent: TypeAlias = (
    AdvancedGivenUp
    | AdvancedStarted
    | AuthenticationRefused
    | AuthorizationWanted
    | BufferResized
    | ClearTextRefused
    | ClockResynchronised
    | FlowAttributesEnded
    | FlowAttributesReceived
    | FlowEnded
    | FlowRestarted
    | FlowStarted
    | KeyRotated
    | LoginWanted
    | NetworkTrouble
    | OutOfBandReceived
    | PacketsReady
    | PassphraseChanged
    | PassphraseMissing
    | PassphraseWrong
    | PathDown
    | PathReweighted
    | PathUp
    | PeerAuthenticated
    | PeerConnected
    | PeerLost
    | PeerMoved
    | RateAdvised
    | ReconnectGivenUp
    | ReconnectScheduled
    | StrangerIgnored
)
