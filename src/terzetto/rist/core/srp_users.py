"""Where an authenticator finds its users' verifiers: by name and by the age of the peer.

An unknown name must look like a known one until the proof fails, or a stranger could ask for names one by one. So it
gets a salt that depends on the name alone, and a verifier that nobody has a password for.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Final, NamedTuple, TypeAlias

from terzetto.crypto.srp import UNPADDED, ZERO_STATE, SrpDialect
from terzetto.crypto.srp_group import DEFAULT_GROUP
from terzetto.crypto.verifier import UserRecord
from terzetto.primitives.datagrams import EntropySource
from terzetto.rist.core.srp_dialects import SrpDialects
from terzetto.rist.wire.eapol import CURRENT_VERSION, LEGACY_VERSION

__all__ = ["Credentials", "FindUser", "SrpUsers"]

FindUser: TypeAlias = Callable[[str, int], UserRecord | None]
"""The record of a user name and hash version, such as `VerifierFile.find`."""

_SECRET_SIZE: Final = 32


class Credentials(NamedTuple):
    """What one login is held against."""

    version: int
    """Of EAPOL; may be older than the peer's, where that is what its record is for."""
    dialect: SrpDialect
    also: tuple[SrpDialect, ...]
    """Dialects whose proofs can be told without another round."""
    salt: bytes
    verifier: int
    is_known: bool


class SrpUsers:
    """The users of a listener; shared by its authenticators."""

    def __init__(self, find: FindUser, *, entropy: EntropySource) -> None:
        self._find = find
        self._secret = entropy(_SECRET_SIZE)

    def credentials(
        self, username_untrusted: bytes, version: int, dialects: SrpDialects, failures: int
    ) -> Credentials | None:
        """What to hold a peer of that EAPOL version against; None where its version is not spoken."""
        name = _decoded(username_untrusted)
        records = {number: self._find(name, number) for number in (0, 1)} if name is not None else {}
        old, new = records.get(0), records.get(1)
        if version >= CURRENT_VERSION and new is None and old is not None:
            # Only the verifier of an old tool: newer peers speak version 2 when asked to.
            version = LEGACY_VERSION
        dialect = dialects.for_server(version, failures)
        if dialect is None:
            return None
        version = min(version, CURRENT_VERSION)
        record = (old or new) if dialect is ZERO_STATE else (new or old)
        if record is None:
            return Credentials(version, dialect, (), *self._decoy(username_untrusted), is_known=False)
        # An old record says nothing of the build that wrote it, and the proof's digest is free to be tried.
        also = (UNPADDED, ZERO_STATE) if version < CURRENT_VERSION else ()
        return Credentials(version, dialect, also, record.salt, record.verifier, is_known=True)

    def _decoy(self, username: bytes) -> tuple[bytes, int]:
        salt = hmac.digest(self._secret, b"salt" + username, "sha256")
        verifier = b"".join(
            hmac.digest(self._secret, bytes((part,)) + username, "sha256")
            for part in range(DEFAULT_GROUP.size // 32)
        )
        return salt, int.from_bytes(verifier, "big") % DEFAULT_GROUP.modulus or 1


def _decoded(username: bytes) -> str | None:
    try:
        return username.decode()
    except UnicodeDecodeError:
        return None
