"""AES key wrap (RFC 3394): keys travel under another key, with an integrity check of eight bytes."""

from __future__ import annotations

from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

__all__ = ["WRAP_OVERHEAD", "unwrap_key", "wrap_key"]

WRAP_OVERHEAD = 8


def wrap_key(wrapping_key: bytes, key: bytes) -> bytes:
    """*key* (16 bytes or more, a multiple of 8) wrapped under *wrapping_key*, eight bytes longer."""
    return aes_key_wrap(wrapping_key, key)


def unwrap_key(wrapping_key: bytes, wrapped: bytes) -> bytes | None:
    """The key, or None when *wrapping_key* is not the one that wrapped it or a bit was altered."""
    try:
        return aes_key_unwrap(wrapping_key, wrapped)
    except (InvalidUnwrap, ValueError):
        return None
