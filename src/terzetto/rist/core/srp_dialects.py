"""Which dialects of SRP a side is ready to speak, and in which order it tries them.

The version byte of EAPOL tells 0.2.7 and before (2) from later peers (3), but nothing tells who pads and who does
not: the first login of the wrong kind fails as if the password were wrong. So a failed login is tried again in the
other dialect. Client and server must not take turns in step, or two that began apart would miss each other for ever:
the client goes first, second, second; the server first, second, first.
"""

from __future__ import annotations

from typing import Final

import attrs

from terzetto.crypto.srp import PADDED, UNPADDED, ZERO_STATE, SrpDialect
from terzetto.rist.wire.eapol import CURRENT_VERSION

__all__ = ["ATTEMPTS", "SrpDialects"]

ATTEMPTS: Final = 3
"""Failures in a row before a rest; as many as libRIST grants."""

_CLIENT_TURNS: Final = (0, 1, 1)
_SERVER_TURNS: Final = (0, 1)


@attrs.frozen
class SrpDialects:
    """The dialects for each EAPOL version, preferred ones first; none where a version is not spoken."""

    current: tuple[SrpDialect, ...] = (PADDED, UNPADDED)
    legacy: tuple[SrpDialect, ...] = (ZERO_STATE, UNPADDED)

    def of(self, version: int) -> tuple[SrpDialect, ...]:
        """Those for a version."""
        return self.current if version >= CURRENT_VERSION else self.legacy

    def for_client(self, version: int, failures: int) -> SrpDialect | None:
        """What a client speaks after that many failures."""
        return _turn(self.of(version), _CLIENT_TURNS, failures)

    def for_server(self, version: int, failures: int) -> SrpDialect | None:
        """What a server speaks after that many failures."""
        return _turn(self.of(version), _SERVER_TURNS, failures)

    def preferring(self, dialect: SrpDialect) -> SrpDialects:
        """The same with *dialect*, which a peer was found to speak, in front."""
        return SrpDialects(_with_first(self.current, dialect), _with_first(self.legacy, dialect))


def _turn(dialects: tuple[SrpDialect, ...], turns: tuple[int, ...], failures: int) -> SrpDialect | None:
    if not dialects:
        return None
    return dialects[turns[failures % len(turns)] % len(dialects)]


def _with_first(dialects: tuple[SrpDialect, ...], first: SrpDialect) -> tuple[SrpDialect, ...]:
    if first not in dialects:
        return dialects
    return (first, *(other for other in dialects if other is not first))
