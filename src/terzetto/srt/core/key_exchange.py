"""How keys come to the peer, change, and go.

The passphrase makes a key-encrypting key (KEK) with a salt; under it the stream's own keys (SEK) travel in
key material messages. There are two slots, even and odd, and packets say which one they were encrypted
under, so the next key can be announced while the present one is in use::

    packets under a key:   0 ......... refresh-announce ....... refresh ....... refresh+announce
                                       the next key is sent     it is used      the old one is forgotten

Both directions begin with the initiator's key. Later each side refreshes what it sends with, on its own. Peers of
before 1.3.0 know only the latter: each direction has its keys from whoever sends, and the first is told as any other.
"""

from __future__ import annotations

from typing import Final

from terzetto.crypto.key_wrap import unwrap_key, wrap_key
from terzetto.crypto.pbkdf2 import derive_key
from terzetto.errors import MalformedPacket
from terzetto.primitives.datagrams import EntropySource
from terzetto.primitives.time import MICROS_PER_SECOND, Micros
from terzetto.srt.core.cipher import PacketCipher, make_cipher
from terzetto.srt.wire.key_material import SALT_SIZE, CipherKind, KeyMaterial, KmState

__all__ = ["EVEN", "ODD", "KeyExchange", "ReceivingKeys", "SendingKeys"]

EVEN: Final = 1
ODD: Final = 2

_ITERATIONS: Final = 2048
_PBKDF2_SALT: Final = 8

_STATUS_SIZE: Final = 4

_FAST_RETRIES: Final = 10
_STRAYS: Final = 16


def _derive_kek(passphrase: str, salt: bytes, key_size: int) -> bytes:
    return derive_key(
        passphrase.encode(), salt[-_PBKDF2_SALT:], iterations=_ITERATIONS, length=key_size, hash_name="sha1"
    )


class SendingKeys:
    """The keys we encrypt with: the active one, perhaps the next, and when to change."""

    __slots__ = (
        "_announce_after",
        "_began_at",
        "_confirmed",
        "_entropy",
        "_kek",
        "_keys",
        "_kind",
        "_pending",
        "_refresh_after",
        "_retries",
        "_retry_at",
        "_salt",
        "active",
        "cipher",
        "used",
    )

    def __init__(
        self,
        kind: CipherKind,
        *,
        key: bytes,
        kek: bytes,
        salt: bytes,
        slot: int,
        refresh_after: int,
        announce_ahead: int,
        entropy: EntropySource,
    ) -> None:
        self._kind = kind
        self._kek = kek
        self._salt = salt
        self._keys = {slot: key}
        self._entropy = entropy
        self._refresh_after = refresh_after
        self._announce_after = refresh_after - announce_ahead
        self._pending = b""
        self._confirmed = True
        self._retries = 0
        self._retry_at: Micros | None = None
        self._began_at = 0
        self.active = slot
        self.cipher = make_cipher(kind, key, salt)
        self.used = 0
        """Packets encrypted under the active key."""

    @property
    def material(self) -> bytes:
        """The message that carries what we have."""
        slots = sorted(self._keys)
        return KeyMaterial(
            keys=sum(slots),
            cipher=self._kind,
            salt=self._salt,
            key_size=len(self._keys[self.active]),
            wrapped=wrap_key(self._kek, b"".join(self._keys[slot] for slot in slots)),
        ).encode()

    @property
    def key_size(self) -> int:
        """Bytes of the key."""
        return len(self._keys[self.active])

    @property
    def kind(self) -> CipherKind:
        """The cipher."""
        return self._kind

    @property
    def retry_at(self) -> Micros | None:
        """When to call `announcement` though nothing was sent."""
        return self._retry_at

    def count(self, packets: int, *, oldest: int, end: int) -> bool:
        """*packets* were encrypted, up to position *end*; whether the active key changed.

        *oldest* is the first position that may still be repeated. While one is left from under the key before
        this, its slot is not given away, or the peer could not read that repeat.
        """
        self.used += packets
        if self.used < self._announce_after or oldest < self._began_at:
            return False
        other = EVEN + ODD - self.active
        if not self._pending:
            self._keys[other] = self._entropy(len(self._keys[self.active]))
            self._pending = self.material
            self._confirmed = False
            self._retries = 0
            self._retry_at = 0
        if self.used < self._refresh_after or not self._confirmed:
            # A peer that has not confirmed the next key could not read a packet under it; the old one will
            # do.
            return False
        self.active = other
        self.cipher = make_cipher(self._kind, self._keys[other], self._salt)
        self._pending = b""
        self._began_at = end
        self.used = 0
        return True

    def announcement(self, *, retry_after: Micros, now: Micros) -> bytes | None:
        """The next key's message, when it is time to send it (again)."""
        if self._retry_at is None or now < self._retry_at:
            return None
        self._retries += 1
        self._retry_at = now + (retry_after if self._retries < _FAST_RETRIES else MICROS_PER_SECOND)
        return self._pending

    def announce_first(self) -> None:
        """The peer has not even the key that we begin with: `announcement` has it from now on."""
        self._pending = self.material
        self._confirmed = False
        self._retry_at = 0

    @property
    def is_confirmed(self) -> bool:
        """Whether the peer has every key that we have."""
        return self._confirmed

    def confirmed(self, material: bytes) -> bool:
        """The peer echoed a message; whether that was news."""
        if self._confirmed or material != self._pending:
            return False
        self._confirmed = True
        self._retry_at = None
        if len(self._keys) == 1:
            self._pending = b""  # it was the first, so there is none to change to
        return True

    def stop_announcing(self) -> None:
        """The peer has said that it cannot use what we announce."""
        self._retry_at = None


class ReceivingKeys:
    """The keys we decrypt with.

    A slot is used again while packets under its former key may still come, repeated. Which of the two a
    packet means follows from its position, because keys take turns: see `cipher_at`.
    """

    __slots__ = (
        "_began_at",
        "_ciphers",
        "_former",
        "_is_fresh",
        "_kek",
        "_key_size",
        "_keys",
        "_kind",
        "_knows_active",
        "_last_accepted",
        "_refused_until",
        "_salt",
        "_unknown",
        "active",
    )

    def __init__(self, kind: CipherKind, *, keys: dict[int, bytes], kek: bytes, salt: bytes) -> None:
        self._kind = kind
        self._kek = kek
        self._salt = salt
        self._keys = dict(keys)
        self._key_size = len(next(iter(keys.values())))
        self._last_accepted = b""
        self._refused_until: Micros = 0
        self._ciphers = {slot: make_cipher(kind, key, salt) for slot, key in keys.items()}
        self._former: dict[int, tuple[PacketCipher, int]] = {}
        self._is_fresh = {slot: slot != min(keys) for slot in keys}
        self._began_at = 0
        self._knows_active = True
        self._unknown = 0
        self.active = min(keys)
        """The slot whose turn it is."""

    @property
    def cipher(self) -> PacketCipher | None:
        """The cipher of the active slot, for packets in order; None when its key has not reached us."""
        return self._ciphers.get(self.active) if self._knows_active else None

    def cipher_at(self, slot: int, position: int) -> PacketCipher | None:
        """The cipher for a packet, or None when its key has not reached us."""
        cipher = self._ciphers.get(slot)
        former = self._former.get(slot)
        if former is not None and position <= former[1]:
            return former[0]
        if slot == self.active:
            self._began_at = min(self._began_at, position)
            self._unknown = 0
            return cipher if self._knows_active else None
        if position < self._began_at:
            return cipher
        if cipher is not None and self._is_fresh.get(slot):
            self._take_turn(slot, position, is_known=True)
            return cipher
        # The turn goes to a key we have not been told; under the one we have it would be garbage. A few
        # strays that somebody injected do not change whose turn it is.
        self._unknown += 1
        if self._unknown >= _STRAYS:
            self._take_turn(slot, position, is_known=False)
        return None

    def _take_turn(self, slot: int, position: int, *, is_known: bool) -> None:
        self.active = slot
        self._began_at = position
        self._is_fresh[slot] = False
        self._knows_active = is_known
        self._unknown = 0

    def _install(self, slot: int, key: bytes, salt: bytes, highest: int) -> None:
        former = self._ciphers.get(slot)
        if former is not None:
            self._former[slot] = (former, highest if slot == self.active else self._began_at - 1)
        self._keys[slot] = key
        self._ciphers[slot] = make_cipher(self._kind, key, salt)
        self._is_fresh[slot] = slot != self.active
        self._knows_active = self._knows_active or slot == self.active

    def refresh(self, body: bytes, passphrase: str, *, highest: int, now: Micros) -> bool:
        """The peer announces keys in an established connection; whether they are ours from now on.

        Cipher and key length stay what they were: a message that would change them is forged or confused.
        """
        if body == self._last_accepted:
            return True
        try:
            material = KeyMaterial.decode(body)
        except MalformedPacket:
            return False
        if material.cipher is not self._kind or material.key_size != self._key_size:
            return False
        kek = self._kek
        if material.salt != self._salt:
            # Deriving costs a millisecond; a stranger must not make us do it at will.
            if now < self._refused_until:
                return False
            self._refused_until = now + MICROS_PER_SECOND
            kek = _derive_kek(passphrase, material.salt, material.key_size)
        keys = unwrap_keys(material, kek)
        if keys is None:
            return False
        self._kek = kek
        self._salt = material.salt
        for slot, key in keys.items():
            if self._keys.get(slot) != key:
                self._install(slot, key, material.salt, highest)
        self._last_accepted = body
        return True


def unwrap_keys(material: KeyMaterial, kek: bytes) -> dict[int, bytes] | None:
    """The keys in a message by slot, or None when the passphrase is another."""
    plain = unwrap_key(kek, material.wrapped)
    if plain is None:
        return None
    if material.keys != EVEN + ODD:
        return {material.keys: plain}
    return {EVEN: plain[: material.key_size], ODD: plain[material.key_size :]}


class KeyExchange:
    """One connection's keys in both directions, and how they stand."""

    __slots__ = (
        "_entropy",
        "_passphrase",
        "_refresh",
        "_refused_until",
        "offer",
        "receiving",
        "receiving_state",
        "sending",
        "sending_state",
    )

    def __init__(
        self, passphrase: str, *, refresh_after: int, announce_ahead: int, entropy: EntropySource
    ) -> None:
        self._passphrase = passphrase
        self._refresh = (refresh_after, announce_ahead)
        self._entropy = entropy
        self._refused_until: Micros = 0
        self.offer = b""
        self.sending: SendingKeys | None = None
        self.receiving: ReceivingKeys | None = None
        start = KmState.SECURING if passphrase else KmState.UNSECURED
        self.sending_state = start
        self.receiving_state = start

    @property
    def is_secured(self) -> bool:
        """Whether what we receive must be encrypted, also while its key has yet to come."""
        return self.receiving_state in (KmState.SECURED, KmState.SECURING)

    @property
    def is_awaiting(self) -> bool:
        """Whether the key of what we receive has yet to come."""
        return self.receiving is None and self.receiving_state is KmState.SECURING

    @property
    def kind(self) -> CipherKind | None:
        """The cipher of what we send, None in the clear."""
        return None if self.sending is None else self.sending.kind

    def make_offer(self, kind: CipherKind, key_size: int) -> bytes:
        """An initiator's first message."""
        salt = self._entropy(SALT_SIZE)
        key = self._entropy(key_size)
        kek = _derive_kek(self._passphrase, salt, key_size)
        self._send_with(kind, {EVEN: key}, kek, salt)
        self.receiving = ReceivingKeys(kind, keys={EVEN: key}, kek=kek, salt=salt)
        assert self.sending is not None
        self.offer = self.sending.material
        return self.offer

    def begin_one_way(self, key_size: int, *, is_enforced: bool) -> None:
        """Each side is to tell the keys of what it sends, once it sends; ours are made, and nobody has them yet."""
        if self._passphrase:
            self.make_offer(CipherKind.AES_CTR, key_size)
            self.receiving = None
            self._settle(KmState.SECURING, KmState.SECURING if is_enforced else KmState.UNSECURED)

    def take_one_way(self, body: bytes, *, highest: int, now: Micros) -> bytes | None:
        """The sender tells its key: what to answer, or None.

        Deriving costs a millisecond, so after a wrong one nothing is read for a second.
        """
        if self.receiving is not None:
            return body if self.refresh_received(body, highest=highest, now=now) else None
        if now < self._refused_until:
            return None
        state = self._accept(body, frozenset({CipherKind.AES_CTR}), is_both_ways=False)
        if state is KmState.SECURED:
            return body
        self._refused_until = now + MICROS_PER_SECOND
        return state.encode()

    def answered_one_way(self, body: bytes) -> KmState | None:
        """The receiver answers what we told: how that leaves us, or None when it is no answer to that."""
        if self.sending is None or self.sending.is_confirmed or self.sending_state is not KmState.SECURING:
            return None
        if self.sending.confirmed(body):
            self.sending_state = KmState.SECURED
            return KmState.SECURED
        if len(body) != _STATUS_SIZE:
            return None
        state = KmState.decode(body)
        if state in (KmState.SECURING, KmState.SECURED):
            return None  # it was not ready for what we told: we tell it again
        self.sending.stop_announcing()
        self.sending_state = KmState.NOSECRET if state is KmState.UNSECURED else state
        return self.sending_state

    def accept_offer(self, body: bytes, *, allowed: frozenset[CipherKind]) -> KmState:
        """A responder reads the initiator's message: the state to answer with, or `MalformedPacket`."""
        return self._accept(body, allowed, is_both_ways=True)

    def _accept(self, body: bytes, allowed: frozenset[CipherKind], *, is_both_ways: bool) -> KmState:
        material = KeyMaterial.decode(body)
        state, keys, kek = self._judge(material, allowed)
        if is_both_ways:
            sending = KmState.UNSECURED if state is KmState.NOSECRET else state
            self._settle(sending, state)
        else:
            self.receiving_state = state
        if keys is not None:
            self.receiving = ReceivingKeys(material.cipher, keys=keys, kek=kek, salt=material.salt)
            if is_both_ways:
                self._send_with(material.cipher, keys, kek, material.salt)
        return state

    def _judge(
        self, material: KeyMaterial, allowed: frozenset[CipherKind]
    ) -> tuple[KmState, dict[int, bytes] | None, bytes]:
        if not self._passphrase:
            return KmState.NOSECRET, None, b""
        if material.cipher not in allowed:
            return KmState.BADCRYPTOMODE, None, b""
        kek = _derive_kek(self._passphrase, material.salt, material.key_size)
        keys = unwrap_keys(material, kek)
        return (KmState.BADSECRET if keys is None else KmState.SECURED), keys, kek

    def no_offer(self) -> KmState:
        """A responder got no message: the state to answer with."""
        if self._passphrase:
            self._settle(KmState.NOSECRET, KmState.UNSECURED)
        return KmState.UNSECURED

    def conclude(self, material: bytes, status: KmState | None) -> KmState:
        """An initiator reads the answer to its message, or the lack of one."""
        if not self._passphrase:
            if status is not None:
                # The peer has a passphrase and we have none; what it encrypts we could not read.
                self._settle(KmState.UNSECURED, KmState.NOSECRET)
            return KmState.UNSECURED if status is None else KmState.NOSECRET
        if material == self.offer:
            self._settle(KmState.SECURED, KmState.SECURED)
            return KmState.SECURED
        if status in (KmState.NOSECRET, None):
            self._settle(KmState.NOSECRET, KmState.UNSECURED)
            return KmState.NOSECRET
        failed = KmState.BADCRYPTOMODE if status is KmState.BADCRYPTOMODE else KmState.BADSECRET
        self._settle(failed, failed)
        self.receiving = None
        return failed

    def refresh_received(self, body: bytes, *, highest: int, now: Micros) -> bool:
        """A key message came, after packets up to *highest*; whether to confirm it by echoing."""
        if self.receiving is None or self.receiving_state is not KmState.SECURED:
            return False
        return self.receiving.refresh(body, self._passphrase, highest=highest, now=now)

    def _send_with(self, kind: CipherKind, keys: dict[int, bytes], kek: bytes, salt: bytes) -> None:
        slot = min(keys)
        refresh_after, announce_ahead = self._refresh
        self.sending = SendingKeys(
            kind,
            key=keys[slot],
            kek=kek,
            salt=salt,
            slot=slot,
            refresh_after=refresh_after,
            announce_ahead=announce_ahead,
            entropy=self._entropy,
        )

    def _settle(self, sending: KmState, receiving: KmState) -> None:
        self.sending_state = sending
        self.receiving_state = receiving
