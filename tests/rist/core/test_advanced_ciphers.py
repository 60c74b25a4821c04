from __future__ import annotations

import hashlib
import hmac

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

from terzetto.crypto.pbkdf2 import derive_key
from terzetto.primitives.datagrams import Buffer
from terzetto.rist.core.advanced_ciphers import SEALED, cipher_of_key, make_cipher
from terzetto.rist.core.advanced_sealer import AdvancedSealer
from terzetto.rist.wire.advanced_header import AdvancedHeader, PskMode

NONCE = bytes.fromhex("52495354")
HEAD = AdvancedHeader(0x12345678, 1_000_000, 0xAABBCC00).encode()
BODY = b"Advanced Profile AES-CTR-HMAC golden plaintext!!"
MODES = [PskMode.CTR, PskMode.HMAC, PskMode.CTR_HMAC, PskMode.GCM, PskMode.CHACHA20]


def ctr(key: bytes, iv: int, body: bytes) -> bytes:
    return Cipher(AES(key), CTR(iv.to_bytes(4, "big") + bytes(12))).encryptor().update(body)


def expected(mode: PskMode, key: bytes, iv: int) -> bytes:
    """A packet made of TR-06-3, section 8, with nothing of ours: where each field goes, and what is hashed."""
    word = iv.to_bytes(4, "big")
    if mode == PskMode.CTR:
        return HEAD + NONCE + word + ctr(key, iv, BODY)
    tail = NONCE if mode == PskMode.HMAC else NONCE + word
    zeroed = HEAD + bytes(16) + tail
    if mode in (PskMode.GCM, PskMode.CHACHA20):
        aead = AESGCM(key) if mode == PskMode.GCM else ChaCha20Poly1305(key)
        sealed = aead.encrypt(NONCE + word + bytes(4), BODY, zeroed)
        return HEAD + sealed[-16:] + tail + sealed[:-16]
    body = BODY if mode == PskMode.HMAC else ctr(key, iv, BODY)
    return HEAD + hmac.digest(key, zeroed + body, "sha256")[:16] + tail + body


@pytest.mark.parametrize("mode", MODES)
def test_packets_are_enciphered_as_the_specification_says(mode: PskMode) -> None:
    key = hashlib.sha256(b"key").digest()
    cipher = cipher_of_key(mode, key, NONCE)
    datagram = cipher.seal(HEAD, 7, BODY)
    assert datagram == expected(mode, key, 7)
    clear_size = len(datagram) - len(BODY)
    assert cipher.open(datagram, clear_size, 7) == BODY
    assert cipher.open(memoryview(datagram), clear_size, 7) == BODY


def test_the_counter_and_the_hash_of_a_known_packet() -> None:
    # As another implementation's primitive has it: key 00 to 0f, IV 1, the hash over a header and the ciphertext.
    key = bytes(range(16))
    ciphertext = bytes.fromhex(
        "d46795c34a394e801cc80682987281fbde5bd7beabb25238d431051d917aff280fe59892ba9fc38b539128bdafdfcead"
    )
    datagram = cipher_of_key(PskMode.CTR, key, NONCE).seal(b"", 1, BODY)
    assert datagram[8:] == ciphertext
    assert hmac.digest(key, b"rist-adv-aad-header" + ciphertext, "sha256")[:16] == bytes.fromhex(
        "2b4c358f0f14d0878731d04fd884980d"
    )


def test_the_hash_may_have_a_key_of_its_own() -> None:
    key = bytes(range(16))
    plain = cipher_of_key(PskMode.CTR, key, NONCE).seal(HEAD, 1, BODY)
    tail = plain[len(HEAD) :]
    own = hmac.digest(key, b"rist-adv-aes-ctr-hmac-auth-key", "sha256")
    cipher = cipher_of_key(PskMode.CTR_HMAC, key, NONCE, has_mac_key=True)
    datagram = cipher.seal(HEAD, 1, BODY)
    assert datagram == HEAD + hmac.digest(own, HEAD + bytes(16) + tail, "sha256")[:16] + tail
    assert cipher.open(datagram, len(datagram) - len(BODY), 1) == BODY
    # Of the other modes none has it.
    for mode in (PskMode.HMAC, PskMode.GCM):
        assert cipher_of_key(mode, key, NONCE, has_mac_key=True).seal(HEAD, 1, BODY) == expected(mode, key, 1)


def test_the_keys_are_those_of_the_specifications_appendix() -> None:
    passphrase = b"Reliable Internet Stream Transport"
    key = bytes.fromhex("1c2b0cfc90ae2638fea78c7fb297704718bff7f4052743001a9b7ebb51cc9f1c")
    assert derive_key(passphrase, NONCE, iterations=1024, length=32) == key
    for bits in (128, 256):
        made = make_cipher(PskMode.CTR, passphrase, NONCE, key_bits=bits)
        assert made.seal(HEAD, 1, BODY) == expected(PskMode.CTR, key[: bits // 8], 1)
    # ChaCha20 has one size of key, whatever is configured.
    made = make_cipher(PskMode.CHACHA20, passphrase, NONCE, key_bits=128)
    assert made.seal(HEAD, 1, BODY) == expected(PskMode.CHACHA20, key, 1)


@pytest.mark.parametrize("mode", sorted(SEALED))
def test_a_sealed_packet_cannot_be_altered_anywhere(mode: PskMode) -> None:
    cipher = cipher_of_key(mode, bytes(32), NONCE)
    datagram = cipher.seal(HEAD, 7, BODY)
    clear_size = len(datagram) - len(BODY)
    for at in range(len(datagram)):
        altered = bytearray(datagram)
        altered[at] ^= 1
        if mode == PskMode.HMAC or not clear_size - 8 <= at < clear_size:
            assert cipher.open(bytes(altered), clear_size, 7) is None
    if mode != PskMode.HMAC:
        assert cipher.open(datagram, clear_size, 8) is None or mode == PskMode.CTR_HMAC


def counting(start: int = 0) -> object:
    state = [start]

    def entropy(size: int) -> bytes:
        state[0] += 1
        return state[0].to_bytes(size, "big")

    return entropy


def sealed(sealer: AdvancedSealer, count: int) -> list[Buffer]:
    return sealer.seal_run([HEAD] * count, [BODY] * count)


def test_no_nonce_and_iv_serve_twice() -> None:
    entropy = counting()
    one = AdvancedSealer(mode=PskMode.GCM, key_size=256, rotation=10, entropy=entropy)  # type: ignore[arg-type]
    other = AdvancedSealer(mode=PskMode.GCM, key_size=256, entropy=entropy)  # type: ignore[arg-type]
    one.apart_from, other.apart_from = other, one
    pairs = set()
    for sealer in (one, other):
        sealer.use(b"hush", 0)
    for number in range(40):
        for sealer in (one, other):
            for datagram in sealed(sealer, 3):
                header = AdvancedHeader.decode(
                    AdvancedHeader(0, 0, 0, psk=PskMode.GCM).encode()[:16] + bytes(datagram[16:])
                )
                pairs.add((header.nonce, header.iv))
        if number == 20:
            one.use(b"another", 1)
    assert len(pairs) == 40 * 3 * 2
    assert one.rotations > 10
    assert other.rotations == 0


def test_the_next_nonce_is_known_before_it_is_used() -> None:
    sealer = AdvancedSealer(mode=PskMode.CTR, key_size=128, rotation=5, entropy=counting())  # type: ignore[arg-type]
    sealer.use(b"hush", 0)
    sealed(sealer, 5)
    announced = sealer.announced
    assert announced not in (b"", sealer.nonce)
    sealed(sealer, 1)
    assert sealer.nonce == announced
