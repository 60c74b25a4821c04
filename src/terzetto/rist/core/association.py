"""Whom a session belongs to, so that nobody else can bend it.

The first valid source wins and keeps the session until it times out. In the Simple profile nothing is
authenticated, so all we can hold on to is the host: media and reports must come from one and the same. Another
port of that host takes over only when the old ones have gone quiet, which is what a NAT's rebinding looks like.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from terzetto.primitives.datagrams import Address
from terzetto.primitives.time import Micros

__all__ = ["Admission", "Association"]

# How many strangers we remember by address, to speak of each only once.
_REMEMBERED_STRANGERS: Final = 64


class Admission(Enum):
    """What a packet's address means to a session."""

    FIRST = "first"
    """The session now belongs to this host."""
    KNOWN = "known"
    MOVED = "moved"
    """Same host, new port, the old one silent: the peer was re-bound."""
    STRANGER = "stranger"
    """Somebody else, seen for the first time: ignore, and say so."""
    KNOWN_STRANGER = "known stranger"
    """Somebody else again: ignore."""

    @property
    def is_welcome(self) -> bool:
        """Whether to look at the packet."""
        return self in (Admission.FIRST, Admission.KNOWN, Admission.MOVED)


class Association:
    """The host a session belongs to, and its address on each channel (media, feedback)."""

    def __init__(
        self,
        *,
        timeout: Micros,
        rebind_silence: Micros | None,
        host: str | None = None,
        port: int | None = None,
    ) -> None:
        self._timeout = timeout
        self._rebind_silence = rebind_silence
        """None where nobody may move."""
        self._port = port
        self._pinned = host is not None
        self._host = host
        self._addresses: dict[int, Address] = {}
        self._heard_at: Micros | None = None
        self._strangers: set[Address] = set()
        self.strangers_ignored = 0
        """Datagrams from elsewhere."""

    @property
    def is_alive(self) -> bool:
        """Whether the peer has been heard and not been lost since."""
        return self._heard_at is not None

    @property
    def heard_at(self) -> Micros | None:
        """When the peer was last heard, None while there is none."""
        return self._heard_at

    def address(self, channel: int) -> Address | None:
        """Where the peer sends from on that channel, None before it has."""
        return self._addresses.get(channel)

    def any_address(self) -> Address | None:
        """An address to name the peer by."""
        return next(iter(self._addresses.values()), None)

    def is_host(self, host: str) -> bool:
        """Whether the session belongs to *host*, whatever the port."""
        return self._heard_at is not None and host == self._host

    def admit(self, peer: Address, channel: int, *, now: Micros, datagrams: int = 1) -> Admission:
        """So many datagrams came from *peer* on *channel*."""
        heard_at = self._heard_at
        known = self._addresses.get(channel)
        if known == peer and heard_at is not None:
            self._heard_at = now
            return Admission.KNOWN
        if not self._could_be(peer):
            return self._stranger(peer, datagrams)
        if heard_at is None:
            self._host = peer.host
            self._addresses = {channel: peer}
            self._heard_at = now
            return Admission.FIRST
        if known is None:
            self._addresses[channel] = peer
            self._heard_at = now
            return Admission.KNOWN
        if not self._may_move(heard_at, now):
            return self._stranger(peer, datagrams)
        # Whichever channel speaks first brings the news; the other's old address is void as well.
        self._addresses = {channel: peer}
        self._heard_at = now
        return Admission.MOVED

    def would_admit(self, peer: Address, channel: int, *, now: Micros) -> bool:
        """What `admit` would say, without a consequence."""
        known = self._addresses.get(channel)
        if known == peer:
            return True
        if not self._could_be(peer):
            return False
        heard_at = self._heard_at
        return heard_at is None or known is None or self._may_move(heard_at, now)

    def _could_be(self, peer: Address) -> bool:
        if self._host is not None and peer.host != self._host:
            return False
        return self._port is None or peer.port == self._port

    def _may_move(self, heard_at: Micros, now: Micros) -> bool:
        return self._rebind_silence is not None and now - heard_at >= self._rebind_silence

    def next_timeout(self) -> Micros | None:
        """When the peer will be lost if it stays silent."""
        return None if self._heard_at is None else self._heard_at + self._timeout

    def expire(self, now: Micros) -> Micros | None:
        """For how long the peer has been silent, if that is too long: then it is lost, and the door is open."""
        if self._heard_at is None or now - self._heard_at < self._timeout:
            return None
        silent_for = now - self._heard_at
        self.release()
        return silent_for

    def release(self) -> None:
        """The peer is gone; the next valid source may take its place (where we call, only the same host)."""
        self._heard_at = None
        self._addresses = {}
        if not self._pinned:
            self._host = None

    def _stranger(self, peer: Address, datagrams: int) -> Admission:
        self.strangers_ignored += datagrams
        if peer in self._strangers:
            return Admission.KNOWN_STRANGER
        if len(self._strangers) >= _REMEMBERED_STRANGERS:
            return Admission.KNOWN_STRANGER
        self._strangers.add(peer)
        return Admission.STRANGER
