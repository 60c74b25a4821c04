"""What users may choose about DTLS."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from enum import Enum
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import attrs

from terzetto.errors import InvalidOption, UnsupportedOperation
from terzetto.net.tls import normal_fingerprint

__all__ = ["CipherSuite", "DtlsOptions", "PemSource", "read_pem"]

PemSource: TypeAlias = "bytes | str | os.PathLike[str]"
"""PEM text itself (bytes), or the path of a file that holds it."""


class CipherSuite(Enum):
    """The suites that VSF TR-06-2 section 6.2 asks for; the values are OpenSSL's names."""

    ECDHE_ECDSA_AES128_GCM_SHA256 = "ECDHE-ECDSA-AES128-GCM-SHA256"
    ECDHE_RSA_AES128_GCM_SHA256 = "ECDHE-RSA-AES128-GCM-SHA256"
    ECDHE_ECDSA_AES256_GCM_SHA384 = "ECDHE-ECDSA-AES256-GCM-SHA384"
    ECDHE_RSA_AES256_GCM_SHA384 = "ECDHE-RSA-AES256-GCM-SHA384"
    RSA_NULL_SHA256 = "NULL-SHA256"
    """Authentication only: everybody on the path reads the media. With it a single forged datagram ends an
    association, since OpenSSL does not forgive a wrong MAC in this suite as it does in the others."""


_ENCRYPTING: Final = tuple(suite for suite in CipherSuite if suite is not CipherSuite.RSA_NULL_SHA256)

# What one record adds at most: its header, then explicit nonce and tag of GCM, or the MAC of the suite without
# encryption.
RECORD_HEADER_SIZE: Final = 13
_GCM_OVERHEAD: Final = 24
_NULL_OVERHEAD: Final = 32

# Smaller than any path that IP promises, and OpenSSL refuses to cut handshakes much finer.
_LEAST_MTU: Final = 296
_MOST_MTU: Final = 16384


def _positive(_instance: object, attribute: attrs.Attribute[Any], value: float) -> None:
    if not 0 < value < float("inf"):
        raise InvalidOption(f"{attribute.name} is {value}, but must be more than 0")


def _fingerprints(value: tuple[str, ...] | list[str] | str) -> tuple[str, ...]:
    return tuple(normal_fingerprint(each) for each in ([value] if isinstance(value, str) else value))


def _suites(value: Iterable[CipherSuite]) -> tuple[CipherSuite, ...]:
    return tuple(value)


@attrs.frozen(kw_only=True)
class DtlsOptions:
    """How to prove who we are, whom to believe, and how much strangers may cost.

    Who calls and who listens is decided where an endpoint is wrapped, and has nothing to do with who sends media.
    """

    certificate: PemSource | None = None
    """Ours, followed by intermediate ones where there are any. A listening end must have one."""
    private_key: PemSource | None = attrs.field(default=None, repr=False)
    """The key of ``certificate``; None when the same file or text holds both."""
    private_key_password: str | None = attrs.field(default=None, repr=False)
    ca: PemSource | None = None
    """The authorities to believe; None is the system's."""
    verify: Literal["server", "mutual", "none"] = attrs.field(default="server")
    """Whose certificate must be good: the listening end's, both ends', or nobody's.

    With ``"none"`` whoever sits on the path can pretend to be the peer."""
    fingerprints: tuple[str, ...] = attrs.field(default=(), converter=_fingerprints)
    """SHA-256 of the certificates to believe: exactly these, whoever signed them and until whenever; ``ca`` and the
    name are not asked then."""
    server_name: str | None = None
    """The host name or IP address that the listening end's certificate must be for; None is the address called."""
    cipher_suites: tuple[CipherSuite, ...] = attrs.field(default=_ENCRYPTING, converter=_suites)
    """The suites to offer or accept, the best first; leave out what you do not want."""
    psk_identities: Mapping[str, bytes] | None = attrs.field(default=None, repr=False)
    """Not available: pyOpenSSL does not offer OpenSSL's pre-shared keys. Setting it says so."""
    mtu: int = attrs.field(default=1472)
    """The longest datagram to send: what is left of 1500 bytes behind IPv4 and UDP."""
    retransmit_after: float = attrs.field(default=0.5, validator=_positive)
    """Seconds until an unanswered flight of a handshake is sent again; doubles each time, up to 8 times as long."""
    handshake_timeout: float = attrs.field(default=10.0, validator=_positive)
    """Seconds that a handshake may take."""
    idle_timeout: float = attrs.field(default=60.0, validator=_positive)
    """Seconds of silence after which a peer is taken to be gone."""
    max_handshakes: int = attrs.field(default=64, validator=_positive)
    """Handshakes that may be going on at once at a listening end; one host may hold a quarter of them."""
    max_sessions: int = attrs.field(default=256, validator=_positive)
    """Peers that a listening end may have at once."""

    @psk_identities.validator
    def _no_psk(self, _attribute: attrs.Attribute[object], value: object) -> None:
        if value is not None:
            raise UnsupportedOperation(
                "DTLS with pre-shared keys is not available, pyOpenSSL does not offer it",
                hint="pin the fingerprints of self-signed certificates instead",
            )

    @verify.validator
    def _known_verify(self, _attribute: attrs.Attribute[str], value: str) -> None:
        if value not in ("server", "mutual", "none"):
            raise InvalidOption(f"verify is {value!r}, but must be 'server', 'mutual' or 'none'")

    @cipher_suites.validator
    def _some_suites(self, _attribute: attrs.Attribute[object], value: tuple[CipherSuite, ...]) -> None:
        if not value or not all(isinstance(suite, CipherSuite) for suite in value):
            raise InvalidOption("cipher_suites must name at least one CipherSuite")

    @mtu.validator
    def _bearable_mtu(self, _attribute: attrs.Attribute[int], value: int) -> None:
        if not _LEAST_MTU <= value <= _MOST_MTU:
            raise InvalidOption(f"mtu is {value}, but must lie between {_LEAST_MTU} and {_MOST_MTU}")

    def __attrs_post_init__(self) -> None:
        if self.verify == "none" and self.fingerprints:
            raise InvalidOption("fingerprints are given, but verify='none' would not look at them")
        if self.private_key is not None and self.certificate is None:
            raise InvalidOption("private_key is given without its certificate")

    @property
    def payload_limit(self) -> int:
        """The longest datagram that can be carried within ``mtu``, whichever suite is agreed on."""
        worst = _NULL_OVERHEAD if CipherSuite.RSA_NULL_SHA256 in self.cipher_suites else _GCM_OVERHEAD
        return self.mtu - RECORD_HEADER_SIZE - worst


def read_pem(name: str, source: PemSource) -> bytes:
    """The PEM text of option *name*."""
    if isinstance(source, bytes):
        return source
    try:
        return Path(source).read_bytes()
    except OSError as exc:
        raise InvalidOption(f"{name} cannot be read: {exc}") from exc
