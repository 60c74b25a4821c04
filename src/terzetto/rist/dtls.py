"""DTLS around a RIST tunnel: who we are, whom to believe, and which suites to speak.

``dtls=1`` in a URL, and with it ``dtls-certificate``, ``dtls-private-key``, ``dtls-ca``, ``dtls-verify``,
``dtls-fingerprints``, ``dtls-server-name`` and ``dtls-cipher-suites``. The end that calls is DTLS's client, whichever
way the media goes.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import attrs

from terzetto.errors import InvalidOption

__all__ = ["CIPHER_SUITES", "DtlsVerify", "RistDtls"]

DtlsVerify: TypeAlias = Literal["server", "mutual", "none"]

CIPHER_SUITES: Final = (
    "ECDHE_ECDSA_AES128_GCM_SHA256",
    "ECDHE_RSA_AES128_GCM_SHA256",
    "ECDHE_ECDSA_AES256_GCM_SHA384",
    "ECDHE_RSA_AES256_GCM_SHA384",
    "RSA_NULL_SHA256",
)
"""Those of VSF TR-06-2 section 6.2; the last one authenticates and does not encrypt."""


def _words(value: str | tuple[str, ...] | list[str]) -> tuple[str, ...]:
    """One text with commas, or several texts."""
    parts = value.split(",") if isinstance(value, str) else value
    return tuple(part.strip() for part in parts if part.strip())


@attrs.frozen(kw_only=True)
class RistDtls:
    """How to speak DTLS 1.2; needs the extra ``dtls``. Certificates and keys are paths, or PEM as bytes."""

    certificate: str | bytes | None = None
    """Ours, followed by intermediate ones where there are any. A listening end must have one."""
    private_key: str | bytes | None = attrs.field(default=None, repr=False)
    """The key of ``certificate``; None when the same file holds both."""
    ca: str | bytes | None = None
    """The authorities to believe; None is the system's."""
    verify: DtlsVerify = "server"
    """Whose certificate must be good: the listening end's, both ends', or nobody's."""
    fingerprints: tuple[str, ...] = attrs.field(default=(), converter=_words)
    """SHA-256 of the certificates to believe, exactly these; in text, commas part them."""
    server_name: str | None = None
    """The name that the listening end's certificate must be for; None is the host called."""
    cipher_suites: tuple[str, ...] = attrs.field(default=CIPHER_SUITES[:-1], converter=_words)
    """The suites to offer or accept, the best first (`CIPHER_SUITES`); leave out what you do not want."""

    def __attrs_post_init__(self) -> None:
        if self.verify not in ("server", "mutual", "none"):
            raise InvalidOption(f"dtls verify is {self.verify!r}, must be 'server', 'mutual' or 'none'")
        unknown = [name for name in self.cipher_suites if name not in CIPHER_SUITES]
        if unknown or not self.cipher_suites:
            raise InvalidOption(
                f"cipher_suites has {unknown[0] if unknown else 'nothing in it'}",
                hint=f"there are {', '.join(CIPHER_SUITES)}",
            )
