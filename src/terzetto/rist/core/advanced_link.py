"""What is between us and one peer of the Advanced profile: what it can do, the keys, and control messages on their way.

It lives as long as its peer is the same, beside the tunnel of the Main profile whose passphrases and login it shares.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from terzetto.errors import MalformedPacket
from terzetto.primitives.datagrams import Buffer, EntropySource
from terzetto.primitives.time import MICROS_PER_SECOND, Micros
from terzetto.rist.core.advanced_hearing import ControlHearing
from terzetto.rist.core.advanced_media import media_packets
from terzetto.rist.core.advanced_opener import AdvancedOpener
from terzetto.rist.core.advanced_pieces import decompress
from terzetto.rist.core.advanced_sealer import AdvancedSealer
from terzetto.rist.core.advanced_settings import AdvancedSettings
from terzetto.rist.core.counters import AdvancedCounters
from terzetto.rist.core.tunnel_guest import TunnelGuest
from terzetto.rist.quirks import LIBRIST_QUIRKS, Quirk, Quirks
from terzetto.rist.wire.advanced_control import ControlIndex, encode_control
from terzetto.rist.wire.advanced_header import AdvancedHeader, AdvancedRun, Compression, Flag, PayloadType
from terzetto.rist.wire.keepalive import Capability

__all__ = ["AdvancedLink"]

_WHOLE: Final = Flag.FIRST | Flag.LAST

# A control message in fragments: parities and attributes may be that long.
_LONGEST_CONTROL: Final = 65_536
_MOST_FRAGMENTS: Final = 64

_UNSUPPORTED_INTERVAL: Final[Micros] = MICROS_PER_SECOND

# For how long we speak in the Advanced form to who has not: the longest round trip that anybody is taken to have, and
# half of the usual recovery buffer, so that what nobody heard until then can still be repeated in the Main form.
_PATIENCE: Final[Micros] = MICROS_PER_SECOND // 2
_NO_QUIRKS: Final[Quirks] = frozenset()


class AdvancedLink:
    """One peer, for as long as its tunnel lasts."""

    def __init__(
        self,
        settings: AdvancedSettings,
        guest: TunnelGuest,
        *,
        counters: AdvancedCounters,
        entropy: EntropySource,
        now: Micros,
    ) -> None:
        self._settings = settings
        self._counters = counters
        self.guest = guest
        self.capabilities = Capability(0)
        """What the peer has said that it can."""
        self.is_active = settings.at_once or not settings.substrate
        """Whether what we send is in the Advanced profile's form."""
        self.heard_tunnel = False
        """Whether the peer speaks the Main profile beside it."""
        self.logs_in_by_control = False
        self._may_fall_back = settings.substrate and not settings.at_once and not settings.tunnel.is_silent
        self._is_answered = False
        self._gave_up = False
        self._give_up_at: Micros | None = None
        self._enciphers_control = False
        self._speaks_as_librist = False
        key_size = settings.tunnel.key_size
        self._protected, self._unprotected = (
            AdvancedSealer(
                mode=settings.mode,
                key_size=key_size,
                rotation=settings.tunnel.rotation,
                has_mac_key=settings.quirks is not None and Quirk.MAC_KEY in settings.quirks,
                entropy=entropy,
            )
            for _ in range(2)
        )
        self._protected.apart_from, self._unprotected.apart_from = self._unprotected, self._protected
        self.opener = AdvancedOpener(guest.tunnel.decipher, mode=settings.mode, key_bits=key_size, now=now)
        self.dropped: Counter[str] = self.opener.dropped
        self._control_sequence = int.from_bytes(entropy(4), "big")
        self._parts: list[Buffer] = []
        self._parts_of: tuple[int, int] = (0, 0)
        self._next_unsupported = now

    # -- the peer ------------------------------------------------------------------------------------------------

    @property
    def quirks(self) -> Quirks:
        """How to speak to it."""
        if self._settings.quirks is not None:
            return self._settings.quirks
        return LIBRIST_QUIRKS if self._speaks_as_librist else _NO_QUIRKS

    def hear_capabilities(self, capabilities: Capability, *, as_librist: bool) -> bool:
        """A keepalive that may be believed; whether it makes us go over to the Advanced form."""
        if Capability.ADVANCED not in capabilities:
            return False
        self.capabilities = capabilities
        self._speaks_as_librist |= as_librist
        if self._gave_up:
            return False
        was_active, self.is_active = self.is_active, True
        return not was_active

    def hear_answer(self) -> bool:
        """Something came in the Advanced form, so that ours arrives as well; whether that makes us go over again."""
        self._is_answered = True
        self._give_up_at = None
        gave_up, self._gave_up = self._gave_up, False
        if not gave_up or Capability.ADVANCED not in self.capabilities:
            return False
        was_active, self.is_active = self.is_active, True
        return not was_active

    def expect_answer(self, now: Micros) -> None:
        """We speak in the Advanced form; some answer in it should come."""
        if self._may_fall_back and not self._is_answered and self._give_up_at is None:
            self._give_up_at = now + _PATIENCE

    def give_up(self, now: Micros) -> bool:
        """Whether the answer has failed to come; then it is the Main form again, until there is one."""
        if self._give_up_at is None or now < self._give_up_at:
            return False
        self._give_up_at = None
        self._gave_up = True
        self.is_active = False
        self._counters.fallbacks += 1
        return True

    def next_timeout(self) -> Micros | None:
        """When to call `give_up`."""
        return self._give_up_at

    @property
    def reads_control(self) -> bool:
        """Whether the peer can be expected to read our control messages.

        With a secret ours are enciphered, which libRIST cannot read; who can also does it.
        """
        return (
            self.guest.tunnel.cipher is None or self._enciphers_control or Quirk.CLEAR_CONTROL in self.quirks
        )

    def may(self, capability: Capability) -> bool:
        """Whether the peer has that; where nobody waits for its word, it is trusted to."""
        return capability in self.capabilities or (self._settings.at_once and not self.capabilities)

    # -- out -----------------------------------------------------------------------------------------------------

    @property
    def rotations(self) -> int:
        """New nonces of the media since the first."""
        return self._protected.rotations

    @property
    def announced(self) -> tuple[bytes, ...]:
        """Nonces that will be used next."""
        return tuple(
            each.announced for each in (self._protected, self._unprotected) if each.nonce and each.announced
        )

    def media(
        self,
        payloads: Sequence[Buffer],
        *,
        first_sequence: int,
        timestamp: int,
        flow_id: int,
        is_retransmission: bool,
    ) -> list[Buffer]:
        """Datagrams of the protected flow."""
        quirks = self.quirks
        label = self._settings.flow_id
        return media_packets(
            payloads,
            first_sequence=first_sequence,
            timestamp=timestamp << 16 & 0xFFFF_FFFF if Quirk.CLOCK in quirks else timestamp,
            ssrc=flow_id,
            is_retransmission=is_retransmission,
            with_descriptor=Quirk.NO_DESCRIPTOR not in quirks,
            flow_id=b"" if label is None else label.to_bytes(4, "big"),
            sealer=self._sealer(self._protected),
        )

    def control(self, index: int, body: Buffer, *, ssrc: int, now: Micros) -> list[Buffer]:
        """Datagrams of one control message, of the unprotected flow; more than one where it is long."""
        message = encode_control(index, body)
        sealer = None
        if index != ControlIndex.LOGIN and Quirk.CLEAR_CONTROL not in self.quirks:
            sealer = self._sealer(self._unprotected)
        datagrams = self.unprotected(message, PayloadType.CONTROL, ssrc=ssrc, now=now, sealer=sealer)
        self._counters.control_sent += len(datagrams)
        return datagrams

    def beside(self, payload: Buffer, kind: PayloadType, *, ssrc: int, now: Micros) -> list[Buffer]:
        """Datagrams of something that is sent beside the flow, once."""
        sealer = self._sealer(self._unprotected)
        return self.unprotected(payload, kind, ssrc=ssrc, now=now, sealer=sealer)

    def unprotected(
        self, payload: Buffer, kind: PayloadType, *, ssrc: int, now: Micros, sealer: AdvancedSealer | None
    ) -> list[Buffer]:
        """Packets of the odd SSRC."""
        size = self._settings.longest_fragment
        parts = [payload[start : start + size] for start in range(0, max(len(payload), 1), size)]
        front: list[bytes] = []
        for index in range(len(parts)):
            flags = Flag.EXPEDITE if kind == PayloadType.CONTROL else Flag(0)
            flags |= Flag.FIRST if index == 0 else Flag(0)
            flags |= Flag.LAST if index == len(parts) - 1 else Flag(0)
            header = AdvancedHeader(
                sequence=self._control_sequence & 0xFFFF_FFFF,
                timestamp=now & 0xFFFF_FFFF,
                ssrc=ssrc | 1,
                kind=kind,
                flags=flags,
                psk=0 if sealer is None else sealer.mode,
            )
            front.append(header.encode()[:16])
            self._control_sequence += 1
        if sealer is None:
            return [head + part for head, part in zip(front, parts, strict=True)]
        return sealer.seal_run(front, parts)

    def _sealer(self, sealer: AdvancedSealer) -> AdvancedSealer | None:
        """It, with the tunnel's passphrase; None where nothing is enciphered."""
        cipher = self.guest.tunnel.cipher
        if cipher is None:
            return None
        sealer.use(cipher.passphrase, cipher.slot)
        return sealer

    def unsupported_due(self, now: Micros) -> bool:
        """Whether a message that nobody knows may be answered: once a second."""
        if now < self._next_unsupported:
            return False
        self._next_unsupported = now + _UNSUPPORTED_INTERVAL
        return True

    # -- in ------------------------------------------------------------------------------------------------------

    def trusts(self, run: AdvancedRun) -> bool:
        """Whether control packets can be believed to be the peer's."""
        if run.header.psk or not self.guest.tunnel.decipher.is_keyed:
            return True
        return self.guest.is_settled and Quirk.CLEAR_CONTROL in self.quirks

    def hear_control(
        self, run: AdvancedRun, bodies: Sequence[Buffer], hearing: ControlHearing, *, is_trusted: bool
    ) -> None:
        """Take in a run of control packets."""
        self._enciphers_control |= bool(run.header.psk)
        self._counters.control_received += len(bodies)
        word = run.word
        compressed = run.header.compression == Compression.LZ4
        for sequence, body in zip(run.sequences, bodies, strict=True):
            payload: Buffer | None = body
            if word & _WHOLE != _WHOLE:
                payload = self._join(word, run.header.ssrc, sequence, body)
            if payload is None:
                continue
            if compressed:
                try:
                    payload = decompress(payload, limit=_LONGEST_CONTROL)
                except MalformedPacket as malformed:
                    self.dropped[malformed.reason] += 1
                    continue
            hearing.hear(payload, run.header.ssrc, is_trusted=is_trusted)

    def _join(self, word: int, ssrc: int, sequence: int, body: Buffer) -> Buffer | None:
        """Fragments that follow one another; the whole when the last is here."""
        if word & Flag.FIRST:
            self._parts = []
        elif not self._parts or self._parts_of != (ssrc, sequence):
            self.dropped["fragment of a control message that is not whole"] += 1
            self._parts = []
            return None
        self._parts.append(bytes(body))
        self._parts_of = (ssrc, sequence + 1 & 0xFFFF_FFFF)
        if len(self._parts) > _MOST_FRAGMENTS or sum(map(len, self._parts)) > _LONGEST_CONTROL:
            self._parts = []
            return None
        if not word & Flag.LAST:
            return None
        whole, self._parts = b"".join(self._parts), []
        return whole
