"""A cipher key from a passphrase: PBKDF2-HMAC (RFC 8018) with the parameters our protocols fix.

========= ======== ========== ===================== =========================== =============
protocol  hash     iterations salt                  length                      cost, roughly
========= ======== ========== ===================== =========================== =============
RIST PSK  SHA-256  1024       the 4-byte nonce      16 or 32                    0.5 ms
SRT       SHA-1    2048       last 8 bytes of salt  16, 24 or 32 (the KEK)      1 ms
========= ======== ========== ===================== =========================== =============

Derivation is dear by design, so a protocol that lets a stranger ask for one (RIST does: a new nonce is enough)
must bound how many it grants.
"""

from __future__ import annotations

import hashlib
from typing import Literal

__all__ = ["derive_key"]


def derive_key(
    passphrase: bytes,
    salt: bytes,
    *,
    iterations: int,
    length: int,
    hash_name: Literal["sha1", "sha256"] = "sha256",
) -> bytes:
    """*length* bytes of key for *passphrase* and *salt*."""
    return hashlib.pbkdf2_hmac(hash_name, passphrase, salt, iterations, length)
