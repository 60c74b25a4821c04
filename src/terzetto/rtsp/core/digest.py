"""The arithmetic of Digest authentication (RFC 2069, RFC 2617, RFC 7616)."""

from __future__ import annotations

import hashlib
from hmac import compare_digest

from terzetto.rtsp.wire.headers.authenticate import Algorithm

__all__ = ["digest_response", "equal_text"]


def _hash(algorithm: Algorithm | None, text: str) -> str:
    data = text.encode("utf-8", "surrogateescape")
    if algorithm in (Algorithm.SHA_256, Algorithm.SHA_256_SESS):
        return hashlib.sha256(data).hexdigest()
    # MD5 is what cameras speak; whoever wants better offers SHA-256 or TLS.
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def digest_response(
    *,
    algorithm: Algorithm | None,
    username: str,
    password: str,
    realm: str,
    nonce: str,
    method: str,
    uri: str,
    qop: str | None = None,
    cnonce: str = "",
    nonce_count: str = "",
) -> str:
    """The proof: without *qop* the form of RFC 2069, which is what nearly everybody in RTSP means."""
    secret = _hash(algorithm, f"{username}:{realm}:{password}")
    if algorithm is not None and algorithm.is_session:
        secret = _hash(algorithm, f"{secret}:{nonce}:{cnonce}")
    what = _hash(algorithm, f"{method}:{uri}")
    middle = f"{nonce}:{nonce_count}:{cnonce}:{qop}" if qop else nonce
    return _hash(algorithm, f"{secret}:{middle}:{what}")


def equal_text(one: str, other: str) -> bool:
    """Whether two secrets are equal, in a time that does not tell where they differ."""
    return compare_digest(one.encode("utf-8", "surrogateescape"), other.encode("utf-8", "surrogateescape"))
