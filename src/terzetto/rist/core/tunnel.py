"""The tunnel to one peer: GRE's sequence and revision, and the keys of both directions.

It lives as long as its peer is the same; another peer, or the same one after it was lost, gets another tunnel with
nonces of its own, since sequences begin again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from terzetto.primitives.datagrams import Buffer, EntropySource
from terzetto.primitives.time import Micros
from terzetto.rist.core.gre_session import GreSession, Opening
from terzetto.rist.core.psk_receiver import PskReceiver
from terzetto.rist.core.psk_sender import PskSender
from terzetto.rist.core.tunnel_settings import TunnelSettings
from terzetto.rist.wire.buffer_negotiation import BufferNegotiation
from terzetto.rist.wire.gre import EAPOL, NEWEST_VERSION, GreRun, encode_run
from terzetto.rist.wire.keepalive import LIBRIST_CAPABILITIES, MAC_SIZE, Capability, Keepalive
from terzetto.rist.wire.vsf import TunnelContent, wrapping

__all__ = ["Tunnel"]

_LONGEST_MS: Final = 0xFFFF
_MS: Final = 1000


class Tunnel:
    """What is between us and one peer."""

    def __init__(self, settings: TunnelSettings, *, entropy: EntropySource, now: Micros) -> None:
        self._settings = settings
        self._entropy = entropy
        self.gre = GreSession(is_caller=settings.is_caller, is_media_sender=settings.is_media_sender, now=now)
        self.cipher: PskSender | None = None
        self.decipher = PskReceiver(settings.secret, now=now)
        if settings.secret is not None:
            self.encipher_with(settings.secret)
        # An identity rather than an address: locally administered, and no group.
        drawn = entropy(MAC_SIZE)
        self._mac = bytes((drawn[0] & 0xFC | 0x02,)) + drawn[1:]
        self.switch_when_proved: bytes | None = None
        """A passphrase to encipher with as soon as the peer has shown that it has it."""

    # -- keys ----------------------------------------------------------------------------------------------------

    @property
    def is_keyed(self) -> bool:
        """Whether neither direction is in the clear."""
        return self.cipher is not None and self.decipher.is_keyed

    def encipher_with(self, passphrase: bytes) -> None:
        """Encipher what leaves from now on."""
        if self.cipher is None:
            self.cipher = PskSender(
                passphrase,
                key_size=self._settings.key_size,
                rotation=self._settings.rotation,
                entropy=self._entropy,
            )
        else:
            self.cipher.change_passphrase(passphrase)

    # -- out -----------------------------------------------------------------------------------------------------

    def lead(self, content: TunnelContent) -> tuple[int, bytes]:
        """GRE's protocol type for *content*, and what goes between header and content."""
        return wrapping(content, self.gre.version(enciphered=self.cipher is not None))

    def wrap(
        self, payloads: Sequence[Buffer], protocol_type: int, *, version: int | None = None
    ) -> list[Buffer]:
        """Datagrams of *payloads*, enciphered if there is a key."""
        first = self.gre.take_sequences(len(payloads))
        cipher = self.cipher
        if version is None:
            version = self.gre.version(enciphered=cipher is not None)
        if cipher is None:
            return encode_run(payloads, protocol_type=protocol_type, version=version, first_sequence=first)
        sealed = cipher.seal_run(payloads, first_sequence=first)
        return encode_run(
            sealed,
            protocol_type=protocol_type,
            version=max(version, 1),
            first_sequence=first,
            nonce=cipher.nonce,
            wide_key=cipher.wide_key,
        )

    def wrap_login(self, frames: Sequence[bytes]) -> list[Buffer]:
        """Datagrams of EAPOL frames, which travel in the clear."""
        return encode_run(
            frames,
            protocol_type=EAPOL,
            version=self.gre.version(enciphered=False),
            first_sequence=self.gre.take_sequences(len(frames)),
        )

    def wrap_openings(self, openings: Sequence[Opening], *, disconnect: bool = False) -> list[Buffer]:
        """Datagrams of keepalives and buffer negotiations."""
        datagrams: list[Buffer] = []
        for content, version in openings:
            if content is TunnelContent.BUFFER_NEGOTIATION:
                datagrams += self.wrap_negotiation()
                continue
            if self.cipher is not None:
                version = max(version, 1)
            protocol_type, lead = wrapping(content, version)
            datagrams += self.wrap(
                [lead + self.keepalive(disconnect=disconnect).encode()], protocol_type, version=version
            )
        return datagrams

    def wrap_negotiation(self, said: BufferNegotiation | None = None) -> list[Buffer]:
        """Datagrams that say *said*, or how long we can repeat; revision 2 alone has a word for it."""
        if said is None:
            longest = self._settings.longest_buffer // _MS if self._settings.is_media_sender else 0
            said = BufferNegotiation(sender_max_ms=min(longest, _LONGEST_MS))
        protocol_type, lead = wrapping(TunnelContent.BUFFER_NEGOTIATION, NEWEST_VERSION)
        return self.wrap([lead + said.encode()], protocol_type, version=NEWEST_VERSION)

    def keepalive(self, *, disconnect: bool) -> Keepalive:
        """What a keepalive of ours says."""
        advanced = self._settings.advanced_capabilities
        capabilities = LIBRIST_CAPABILITIES | advanced
        if self._settings.splits:
            capabilities |= Capability.LOAD_SHARING
        if disconnect:
            capabilities |= Capability.DISCONNECT
        if self._settings.secret is not None or self._settings.session_keys:
            capabilities |= Capability.PASSPHRASE_CHANGE
        return Keepalive(self._mac, capabilities, has_word=bool(advanced))

    # -- in ------------------------------------------------------------------------------------------------------

    def open(self, run: GreRun, *, now: Micros) -> list[Buffer]:
        """The payloads of *run* that may be looked at, in the clear."""
        decipher = self.decipher
        if run.nonce is None and not decipher.is_keyed:
            return run.payloads
        opened = decipher.open_run(run, now=now)
        waiting = self.switch_when_proved
        if opened and waiting is not None and decipher.passphrase_in_use == waiting:
            self.switch_when_proved = None
            self.encipher_with(waiting)
        return opened

    @property
    def dropped(self) -> Counter[str]:
        """Packets that could not be deciphered, by reason."""
        return self.decipher.dropped
