"""Keys against libsrt's own sessions, and the machine's turns."""

from __future__ import annotations

import random

import pytest

from terzetto.srt.core.cipher import make_cipher
from terzetto.srt.core.key_exchange import EVEN, ODD, KeyExchange
from terzetto.srt.wire.extensions import Extensions
from terzetto.srt.wire.handshake import Handshake
from terzetto.srt.wire.key_material import CipherKind, KeyMaterial, KmState
from tests.srt.gcm_vectors import GCM_VECTORS
from tests.srt.vectors import VECTORS

PASSPHRASE = "VectorPass-0123"
ALL = frozenset(CipherKind)


def exchange(
    passphrase: str = PASSPHRASE, *, refresh_after: int = 1 << 24, announce_ahead: int = 1000
) -> KeyExchange:
    entropy = random.Random(1).randbytes
    return KeyExchange(
        passphrase, refresh_after=refresh_after, announce_ahead=announce_ahead, entropy=entropy
    )


def material_of(name: str) -> bytes:
    return Extensions.decode(Handshake.decode(VECTORS[name][16:]).blocks).key_material


def plain(number: int) -> bytes:
    return b"SRT-VECTOR-%04d-" % number * 4


@pytest.mark.parametrize(
    ("handshake", "packet", "number"),
    [
        ("aes128 conclusion request", "aes128 data packet 0", 0),
        ("aes256 conclusion request", "aes256 data packet 0", 0),
        ("gcm128 conclusion request", "gcm128 data packet 0", 0),
        ("gcm128 conclusion request", "gcm128 data packet 1", 1),
        ("gcm256 conclusion request", "gcm256 data packet 0", 0),
    ],
)
def test_captured_packets_open_under_keys_from_their_handshake(
    handshake: str, packet: str, number: int
) -> None:
    keys = exchange()
    assert keys.accept_offer(material_of(handshake), allowed=ALL) is KmState.SECURED
    data = VECTORS[packet]
    sequence = int.from_bytes(data[:4], "big")
    assert keys.receiving is not None
    assert keys.sending is not None
    cipher = keys.receiving.cipher_at(EVEN, sequence)
    assert cipher is not None
    assert cipher.open(sequence, memoryview(data)) == plain(number)
    assert keys.sending.cipher.seal(sequence, data[:16], plain(number)) == data[16:]
    assert keys.sending.material == material_of(handshake)


@pytest.mark.parametrize("who", ["we call", "we are called"])
@pytest.mark.parametrize("what", ["send", "receive"])
def test_gcm_as_libsrt_and_we_spoke_it_is_spoken_still(who: str, what: str) -> None:
    def blocks(name: str) -> Extensions:
        return Extensions.decode(Handshake.decode(GCM_VECTORS[f"{who} and {what}: {name}"][16:]).blocks)

    offered = blocks("conclusion request").key_material
    assert blocks("conclusion response").key_material == offered
    keys = exchange()
    assert keys.accept_offer(offered, allowed=frozenset({CipherKind.AES_GCM})) is KmState.SECURED
    assert keys.sending is not None
    assert keys.receiving is not None
    assert keys.sending.material == offered
    for number in range(2):
        data = GCM_VECTORS[f"{who} and {what}: data packet {number}"]
        sequence = int.from_bytes(data[:4], "big")
        cipher = keys.receiving.cipher_at(EVEN, sequence)
        assert cipher is not None
        assert cipher.open(sequence, data) == plain(number)
        assert keys.sending.cipher.seal(sequence, data[:16], plain(number)) == data[16:]
        repeated = bytearray(data)
        repeated[4] |= 0x04
        assert cipher.open(sequence, bytes(repeated)) == plain(number)


def test_a_captured_refresh_is_followed() -> None:
    keys = exchange()
    assert keys.accept_offer(material_of("refresh conclusion request"), allowed=ALL) is KmState.SECURED
    first = 0x7C555EFC
    assert keys.refresh_received(VECTORS["refresh ext kmreq 1"][16:], highest=first + 29, now=0)
    data = VECTORS["refresh 41st data packet first with the odd key"]
    sequence = int.from_bytes(data[:4], "big")
    assert keys.receiving is not None
    even = keys.receiving.cipher_at(EVEN, first + 39)
    odd = keys.receiving.cipher_at(ODD, sequence)
    assert odd is not None
    assert odd.open(sequence, data) == plain(40)
    # The second refresh renews the even key; packets from before the odd one's turn still mean the first.
    assert keys.refresh_received(VECTORS["refresh ext kmreq 2"][16:], highest=sequence + 30, now=0)
    assert keys.receiving.cipher_at(EVEN, sequence - 1) is even
    renewed = keys.receiving.cipher_at(EVEN, sequence + 40)
    assert renewed is not None
    assert renewed is not even


def test_sealed_headers_are_authenticated_and_the_retransmission_bit_is_not() -> None:
    keys = exchange()
    keys.accept_offer(material_of("gcm128 conclusion request"), allowed=ALL)
    data = bytearray(VECTORS["gcm128 data packet 0"])
    sequence = int.from_bytes(data[:4], "big")
    assert keys.receiving is not None
    cipher = keys.receiving.cipher
    assert cipher is not None
    data[4] |= 0x04
    assert cipher.open(sequence, bytes(data)) == plain(0)
    data[11] ^= 1
    assert cipher.open(sequence, bytes(data)) is None
    assert cipher.open(sequence, bytes(data[:31])) is None


@pytest.mark.parametrize(
    ("initiator", "responder", "answer", "initiators", "responders"),
    [
        ("", "", KmState.UNSECURED, (KmState.UNSECURED,) * 2, (KmState.UNSECURED,) * 2),
        (PASSPHRASE, PASSPHRASE, KmState.SECURED, (KmState.SECURED,) * 2, (KmState.SECURED,) * 2),
        (PASSPHRASE, "another secret", KmState.BADSECRET, (KmState.BADSECRET,) * 2, (KmState.BADSECRET,) * 2),
        (
            PASSPHRASE,
            "",
            KmState.NOSECRET,
            (KmState.NOSECRET, KmState.UNSECURED),
            (KmState.UNSECURED, KmState.NOSECRET),
        ),
        (
            "",
            PASSPHRASE,
            KmState.UNSECURED,
            (KmState.UNSECURED, KmState.NOSECRET),
            (KmState.NOSECRET, KmState.UNSECURED),
        ),
    ],
)
def test_states_after_a_handshake_are_those_of_the_table(
    initiator: str,
    responder: str,
    answer: KmState,
    initiators: tuple[KmState, KmState],
    responders: tuple[KmState, KmState],
) -> None:
    one, other = exchange(initiator), exchange(responder)
    offer = one.make_offer(CipherKind.AES_CTR, 16) if initiator else b""
    said = other.accept_offer(offer, allowed=ALL) if offer else other.no_offer()
    assert said is answer
    status = None if said is KmState.SECURED or not (initiator or responder) else said
    one.conclude(offer if said is KmState.SECURED else b"", status)
    assert (one.sending_state, one.receiving_state) == initiators
    assert (other.sending_state, other.receiving_state) == responders


def test_a_cipher_that_is_not_allowed_is_a_wrong_mode() -> None:
    one, other = exchange(), exchange()
    offer = one.make_offer(CipherKind.AES_GCM, 32)
    assert other.accept_offer(offer, allowed=frozenset({CipherKind.AES_CTR})) is KmState.BADCRYPTOMODE


def test_a_key_is_announced_confirmed_used_and_never_twice() -> None:
    keys = exchange(refresh_after=100, announce_ahead=30)
    keys.make_offer(CipherKind.AES_CTR, 16)
    sending = keys.sending
    assert sending is not None
    assert not sending.count(69, oldest=69, end=69)
    assert sending.announcement(retry_after=10, now=0) is None
    sending.count(1, oldest=70, end=70)
    message = sending.announcement(retry_after=10, now=0)
    assert message is not None
    assert KeyMaterial.decode(message).keys == EVEN + ODD
    assert sending.announcement(retry_after=10, now=9) is None
    assert sending.announcement(retry_after=10, now=10) == message
    assert not sending.count(60, oldest=130, end=130), "unconfirmed, the old key stays in use"
    assert not sending.confirmed(message[:-1] + b"\0")
    assert sending.confirmed(message)
    assert not sending.confirmed(message)
    assert sending.count(1, oldest=131, end=131)
    assert sending.active == ODD
    assert sending.announcement(retry_after=10, now=10**9) is None


def test_the_old_slot_is_kept_while_its_packets_may_be_repeated() -> None:
    keys = exchange(refresh_after=10, announce_ahead=4)
    keys.make_offer(CipherKind.AES_CTR, 16)
    sending = keys.sending
    assert sending is not None
    sending.count(6, oldest=0, end=6)
    message = sending.announcement(retry_after=10, now=0)
    assert message is not None
    sending.confirmed(message)
    assert sending.count(4, oldest=0, end=10)
    sending.count(8, oldest=9, end=18)
    assert sending.announcement(retry_after=10, now=100) is None, (
        "packet 9 may still be repeated under the even key"
    )
    sending.count(1, oldest=10, end=19)
    assert sending.announcement(retry_after=10, now=100) is not None


@pytest.mark.parametrize("change", ["cipher", "length", "passphrase", "garbage", "too long"])
def test_a_refresh_that_would_change_the_rules_changes_nothing(change: str) -> None:
    keys = exchange()
    keys.accept_offer(material_of("refresh conclusion request"), allowed=ALL)
    stranger = exchange("another secret" if change == "passphrase" else PASSPHRASE)
    kind = CipherKind.AES_GCM if change == "cipher" else CipherKind.AES_CTR
    message = stranger.make_offer(kind, 32 if change == "length" else 16)
    if change == "garbage":
        message = b"\x12\x20\x29" + bytes(53)
    if change == "too long":
        message += bytes(60)
    assert not keys.refresh_received(message, highest=0, now=0)
    assert keys.receiving_state is KmState.SECURED
    assert keys.receiving is not None
    assert keys.receiving.cipher is not None


def test_a_connection_without_keys_takes_none() -> None:
    keys = exchange("")
    assert not keys.refresh_received(VECTORS["refresh ext kmreq 1"][16:], highest=0, now=0)
    assert keys.receiving is None


def test_the_initialisation_vector_is_the_documented_one() -> None:
    salt = bytes.fromhex("7691644547b23bc3a2754d5306f04fcb")
    key = bytes.fromhex("84efd13b19c8f7a12738b15892091629")
    data = VECTORS["refresh 41st data packet first with the odd key"]
    assert make_cipher(CipherKind.AES_CTR, key, salt).open(0x7C555F24, data) == plain(40)
