"""What one end of a tunnel is told once: its secret, its ports, and how it logs in."""

from __future__ import annotations

from typing import Final

import attrs

from terzetto.primitives.datagrams import EntropySource
from terzetto.primitives.time import Micros
from terzetto.rist.core.guess_limiter import GuessLimiter
from terzetto.rist.core.psk_sender import KeySize
from terzetto.rist.core.srp_authenticatee import SrpAuthenticatee
from terzetto.rist.core.srp_authenticator import SrpAuthenticator
from terzetto.rist.core.srp_dialects import SrpDialects
from terzetto.rist.core.srp_users import SrpUsers
from terzetto.rist.wire.gre import LARGEST_HEADER
from terzetto.rist.wire.keepalive import Capability
from terzetto.rist.wire.virtual_ports import DEFAULT_MEDIA_PORT, PORTS_SIZE
from terzetto.rist.wire.vsf import VSF_SIZE
from terzetto.rtp.header import FIXED_HEADER_SIZE

__all__ = ["Credentials", "TunnelSettings"]

_EXTENSION_SIZE: Final = 8
_PARITY_SIZE: Final = 16

# libRIST's first sender has its media there.
_DEFAULT_SOURCE: Final = 0x8001

_IP_AND_UDP: Final = {4: 28, 6: 48}
_NOTHING: Final = Capability(0)


@attrs.frozen(kw_only=True)
class Credentials:
    """How one end logs in (a caller), or lets others in (a listener)."""

    username: str = ""
    password: str = attrs.field(default="", repr=False)
    users: SrpUsers | None = None
    limiter: GuessLimiter | None = None
    dialects: SrpDialects = attrs.field(factory=SrpDialects)


@attrs.frozen(kw_only=True)
class TunnelSettings:
    """Everything that is not the peer's doing."""

    is_caller: bool
    is_media_sender: bool
    secret: bytes | None = attrs.field(default=None, repr=False)
    key_size: KeySize = 256
    rotation: int = 0
    session_keys: bool = False
    """Encipher with the key of the login, where there is no secret."""
    credentials: Credentials | None = None
    authorize: bool = False
    """The application is asked about every peer."""
    media_port: int = DEFAULT_MEDIA_PORT
    source_port: int = _DEFAULT_SOURCE
    delete_null_packets: bool = False
    extend_sequence: bool = False
    mtu: int = 1500
    overhead: int = 0
    """Bytes that something around the tunnel adds to each datagram."""
    family: int = 4
    has_parities: bool = False
    """There is forward error correction."""
    parities_on_ports: bool = False
    """Its parities leave beside the tunnel."""
    splits: bool = False
    """Our payloads travel as two packets each, and we say so."""
    longest_buffer: Micros = 0
    advanced_capabilities: Capability = _NOTHING
    """What keepalives announce of the Advanced profile, once in their flags and once as libRIST looks for it."""
    is_silent: bool = False
    """There is no return channel: a receiver says nothing at all."""

    def with_secret(self, secret: bytes) -> TunnelSettings:
        """The same with another secret."""
        return attrs.evolve(self, secret=secret)

    @property
    def longest_payload(self) -> int:
        """Bytes of media that fit into a packet of ``mtu`` bytes with every header before them."""
        headers = (
            self.overhead
            + _IP_AND_UDP[self.family]
            + LARGEST_HEADER
            + VSF_SIZE
            + PORTS_SIZE
            + FIXED_HEADER_SIZE
        )
        if self.secret is None and not self.session_keys:
            headers -= 4
        # A parity has a header more than what it protects, but never the extension, which no sum includes.
        longer = max(_EXTENSION_SIZE * self.has_extension, _PARITY_SIZE * self.has_parities)
        return self.mtu - headers - longer

    @property
    def has_extension(self) -> bool:
        """Whether media is sent with RIST's header extension."""
        return self.delete_null_packets or self.extend_sequence

    def make_login(
        self, host: str, *, entropy: EntropySource, now: Micros
    ) -> SrpAuthenticatee | SrpAuthenticator | None:
        """The login of a new peer at *host*."""
        credentials = self.credentials
        if credentials is None:
            return None
        if self.is_caller:
            return SrpAuthenticatee(
                credentials.username,
                credentials.password,
                entropy=entropy,
                now=now,
                dialects=credentials.dialects,
                offer_session_key=self.session_keys,
                ask_passphrase=self.session_keys,
                passphrase=self.secret,
            )
        assert credentials.users is not None
        assert credentials.limiter is not None
        return SrpAuthenticator(
            credentials.users,
            host=host,
            limiter=credentials.limiter,
            entropy=entropy,
            now=now,
            dialects=credentials.dialects,
            use_session_key=self.session_keys,
            passphrase=self.secret,
            authorize=self.authorize,
        )
