"""Which revision of GRE to speak to a peer, and what to open with before it has spoken.

libRIST 0.2.7 speaks revisions 0 and 1 and ignores 2 without a word; later ones understand all and answer in the
newest they have seen. So a caller opens with keepalives of revision 2, in case, and of revision 1, and goes on in
revision 1 until revision 2 comes back; a listener answers in what it was spoken to. Nobody goes back: a lower revision
later is an old packet that was overtaken, or somebody else's.

In the clear 0.2.7 speaks revision 0 and reads 1 as well; it is answered in its own, with a sequence. Enciphered packets
are never of revision 0, whose counter block is unsafe: 0.2.7 itself enciphers in revision 1.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from terzetto.primitives.time import MICROS_PER_SECOND, Micros
from terzetto.rist.wire.gre import NEWEST_VERSION
from terzetto.rist.wire.vsf import TunnelContent

__all__ = ["GreSession", "Opening"]

_OPENING_COPIES: Final = 3
_CALLERS_FIRST: Final = 1
_KEEPALIVE_INTERVAL: Final[Micros] = MICROS_PER_SECOND
_FAREWELLS: Final = 3

# While the peer has not shown revision 2, this often a keepalive goes out in it, in case the first were lost.
_PROBE_EVERY: Final = 2


class Opening(NamedTuple):
    """Something to send at once: what, and in which revision."""

    content: TunnelContent
    version: int


class GreSession:
    """The revision spoken with one peer, its sequence, and when keepalives are due.

    Sequences count up uncut over everything that leaves, so that a cipher can tell when they have gone round.
    """

    def __init__(
        self, *, is_caller: bool, is_media_sender: bool, now: Micros, newest: int = NEWEST_VERSION
    ) -> None:
        self._is_caller = is_caller
        self._is_media_sender = is_media_sender
        self._newest = newest
        self._heard = -1
        self._sequence = 0
        self._next_keepalive = now
        self._keepalives = 0
        self._opened = False

    # -- revision ------------------------------------------------------------------------------------------------

    @property
    def heard(self) -> int | None:
        """The newest revision that the peer has shown, None before it has."""
        return None if self._heard < 0 else self._heard

    def note_heard(self, version: int) -> bool:
        """A good packet of that revision came; whether we change to it.

        Only packets that were deciphered, where there is a secret, or that come from the session's own address
        should get here: the revision goes up only.
        """
        version = min(version, self._newest)
        if version <= self._heard:
            return False
        before = self.version(enciphered=False)
        self._heard = version
        return self.version(enciphered=False) != before

    def version(self, *, enciphered: bool) -> int:
        """The revision to send in."""
        spoken = self._heard if self._heard >= 0 else min(_CALLERS_FIRST, self._newest)
        return max(spoken, 1) if enciphered else spoken

    # -- sequence ------------------------------------------------------------------------------------------------

    def take_sequences(self, count: int) -> int:
        """The first of *count* sequences for packets that leave now."""
        first = self._sequence
        self._sequence += count
        return first

    # -- keepalives ----------------------------------------------------------------------------------------------

    def opening(self, *, now: Micros) -> list[Opening]:
        """What to send before anything else: a caller at once, a listener when it has heard its peer."""
        if self._opened or not (self._is_caller or self._heard >= 0):
            return []
        self._opened = True
        self._next_keepalive = now + _KEEPALIVE_INTERVAL
        versions = self._keepalive_versions() if self._is_caller else [self.version(enciphered=False)]
        opening = [
            Opening(TunnelContent.KEEPALIVE, version) for version in versions for _ in range(_OPENING_COPIES)
        ]
        if self._is_media_sender and max(versions) >= 2:
            opening += [Opening(TunnelContent.BUFFER_NEGOTIATION, max(versions))] * _OPENING_COPIES
        return opening

    def farewell(self) -> list[Opening]:
        """Keepalives to say goodbye with, their disconnect bit to be set by who makes them."""
        if self._heard < 0 and not self._opened:
            return []
        return [Opening(TunnelContent.KEEPALIVE, max(1, self.version(enciphered=False)))] * _FAREWELLS

    def next_timeout(self) -> Micros | None:
        """When a keepalive is due; a listener owes none before it has heard its peer."""
        return self._next_keepalive if self._opened or self._is_caller else None

    def due(self, *, now: Micros) -> list[Opening]:
        """The keepalives that are due: one, or one of each revision while it is not known what the peer reads."""
        if not self._opened:
            return self.opening(now=now)
        if now < self._next_keepalive:
            return []
        self._next_keepalive = now + _KEEPALIVE_INTERVAL
        self._keepalives += 1
        version = max(1, self.version(enciphered=False))
        versions = [version]
        if version < self._newest and self._keepalives % _PROBE_EVERY == 0:
            versions.append(self._newest)
        return [Opening(TunnelContent.KEEPALIVE, version) for version in versions]

    def _keepalive_versions(self) -> list[int]:
        return [version for version in (2, 1) if version <= self._newest] or [self._newest]
