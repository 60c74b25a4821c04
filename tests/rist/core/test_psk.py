from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terzetto.crypto.aes_ctr import AesCtr
from terzetto.crypto.pbkdf2 import derive_key
from terzetto.errors import InvalidOption
from terzetto.primitives.datagrams import Buffer
from terzetto.rist.core.psk_keys import PskKey, slot_of
from terzetto.rist.core.psk_receiver import (
    ClearTextRefused,
    PassphraseMissing,
    PassphraseProved,
    PassphraseWrong,
    PskReceiver,
)
from terzetto.rist.core.psk_sender import PskSender
from terzetto.rist.wire.gre import IPV4, REDUCED, VSF, GreRun, decode_run, encode_run
from terzetto.rist.wire.keepalive import Keepalive

SECRET = b"SecretKey"

# Whole packets of libRIST and what is in them.
LIBRIST = {
    "0.2.7, AES-128, report": (
        (
            "300888b66707573d000000005d6db4e89957fb2c8798e1b90c7ec480e36f02bd3c159bfb53e4dc99517928c2f6dab40c"
            "30f19fded41c9d83781f91f73dfa00e5"
        ),
        "4709373a89917f0a666f6b8b476a982c",
        (
            "800007b180c8000681658912eeab6a80c94b87f5d97699a2000000000000000081ca000481658912010674786e616d65"
            "00000000"
        ),
    ),
    "0.2.7, AES-128, media": (
        (
            "300888b66707573d0000002013bdfa77af5e0951b6828605d9d5bb01b157e2e1b4ce88b966d3a18722749bad7465bbe4"
            "493ec13587fe"
        ),
        "4709373a89917f0a666f6b8b476a982c",
        "800107b080210000d9788d9d8165891247000010524953542d746573742d7061796c6f61642d30303030",
    ),
    "0.2.7, AES-256, report": (
        (
            "304888b66f33069b000000006dc5e89256b476b0f7eb4f444acacdd5df26bf7f6ccd7da59c1f2ed3a34578bc0b3d5208"
            "76ef4746ef420b0ab79c5bc8c7316cab"
        ),
        "954869eca5bc94e8f1647fa317196b62bcdfa64c148380c6a76881d32336a194",
        (
            "800007b180c80006da1f9238eeab6a80e5d8a261d976c0d8000000000000000081ca0004da1f9238010674786e616d65"
            "00000000"
        ),
    ),
    "0.2.12, revision 2, AES-128, keepalive": (
        "3010cce080c4ba710000000000595b6a99837315366d0176",
        "bf6896cb68a657e8973a39b53a55e861",
        "00008000060f744395c02520",
    ),
    "0.2.12, revision 2, AES-128, media": (
        (
            "3010cce080c4ba71000000365f7702ee413d4d04cf5e2b42d96a7d2174a9a84b99ff3c85dc764ddb8ea096ca17839e47"
            "941b23dd6783a9c1859c"
        ),
        "bf6896cb68a657e8973a39b53a55e861",
        "00000000800107b080210000da93eb1abdf4467c47000010524953542d746573742d7061796c6f61642d30303030",
    ),
}


class Nonces:
    """An entropy source that counts."""

    def __init__(self, first: int = 0x01020304) -> None:
        self.next = first

    def __call__(self, size: int) -> bytes:
        drawn, self.next = self.next, self.next + 1
        return drawn.to_bytes(size, "big")


def media(count: int = 1, first: int = 0) -> list[Buffer]:
    """VSF data with recognisable payloads."""
    return [bytes.fromhex("00000000 800107b0 80210000") + bytes((first + n,)) * 50 for n in range(count)]


def old_media(count: int = 1, *, port: int = 0x1234) -> list[Buffer]:
    """The same of revision 1, with a payload that is no transport stream and a port that nobody knows."""
    return [
        b"\x80\x01" + port.to_bytes(2, "big") + b"\x80\x60" + bytes(10) + bytes((n,)) * 50
        for n in range(count)
    ]


class Tunnel:
    """A sender and what its runs look like at the other end."""

    def __init__(
        self, passphrase: bytes = SECRET, *, wide: bool = True, rotation: int = 0, first: int = 0
    ) -> None:
        self.sender = PskSender(
            passphrase, key_size=256 if wide else 128, rotation=rotation, entropy=Nonces()
        )
        self.sequence = first

    def send(self, payloads: list[Buffer], protocol_type: int = VSF) -> GreRun:
        sealed = self.sender.seal_run(payloads, first_sequence=self.sequence)
        wire = encode_run(
            sealed,
            protocol_type=protocol_type,
            version=2 if protocol_type == VSF else 1,
            first_sequence=self.sequence,
            nonce=self.sender.nonce,
            wide_key=self.sender.wide_key,
        )
        self.sequence += len(payloads)
        (run,) = decode_run(wire, Counter())
        return run


def run_of(datagram: bytes) -> GreRun:
    (run,) = decode_run([datagram], Counter())
    return run


@pytest.mark.parametrize("name", LIBRIST)
def test_packets_of_librist_are_deciphered_and_made(name: str) -> None:
    text, key, plain = LIBRIST[name]
    packet = bytes.fromhex(text)
    run = run_of(packet)
    assert run.nonce is not None
    assert derive_key(SECRET, run.nonce, iterations=1024, length=len(key) // 2).hex() == key
    receiver = PskReceiver(SECRET, now=0)
    assert receiver.open_run(run, now=0) == [bytes.fromhex(plain)]
    assert receiver.poll_news() == [PassphraseProved(run.nonce)]
    sealed = PskKey(SECRET, run.nonce, wide=run.wide_key).apply(run.sequences, [bytes.fromhex(plain)])
    assert sealed == run.payloads


@pytest.mark.parametrize(
    ("wide", "ciphertext"),
    [
        (
            False,
            "f5883ed25bbc57d8a9bbb46bff8bae35d5d6ee5a1f7453b4e8bddf96e962fce2b7c5dd350c40b4ee9ec04565e1657a19",
        ),
        (
            True,
            "a9d99869d41be7d0c8528f49613572a97658cccac65cb2f15bb8fa6d82dca66dc2aa610fc2c3a34b84c67262d3a2dd1e",
        ),
    ],
)
def test_the_counter_is_the_sequence_and_twelve_zeros(wide: bool, ciphertext: str) -> None:
    key = PskKey(b"ristgo-test-passphrase", bytes.fromhex("12345678"), wide=wide)
    assert key.apply([0x0A0B0C0D], [bytes(range(48))])[0].hex() == ciphertext


def test_the_counter_of_2020_is_the_sequence_in_its_last_bytes_and_only_read_on_demand() -> None:
    key = PskKey(SECRET, b"abcd", wide=False)
    (old,) = key.apply([1], [media()[0]], old_counter=True)
    raw = AesCtr(derive_key(SECRET, b"abcd", iterations=1024, length=16))
    assert old == raw.apply(bytes(12) + b"\0\0\0\1", media()[0])
    run = GreRun(VSF, 0, b"abcd", False, [1], [old])
    receiver = PskReceiver(SECRET, now=0)
    assert receiver.open_run(run, now=0) == []
    assert receiver.dropped == {"enciphered in the insecure way of 2020": 1}
    assert PskReceiver(SECRET, now=0, allow_old_counter=True).open_run(run, now=0) == media()


# -- sender ------------------------------------------------------------------------------------------------------


def test_a_nonce_serves_as_many_packets_as_the_user_wants() -> None:
    tunnel = Tunnel(rotation=10)
    nonces = [tunnel.send(media(4)).nonce for _ in range(5)]
    assert nonces[0] == nonces[1] != nonces[2] == nonces[3] != nonces[4]
    assert tunnel.sender.rotations == 2
    assert (
        tunnel.send(media(30)).nonce not in nonces
    )  # longer than a rotation: still one nonce, and a fresh one


def test_a_nonce_ends_before_the_sequence_has_gone_round() -> None:
    tunnel = Tunnel(first=5)
    first = tunnel.send(media(1))
    tunnel.sequence = (1 << 32) + 3
    still = tunnel.send(media(2))
    assert still.sequences == [3, 4]
    assert still.nonce == first.nonce
    after = tunnel.send(media(1))
    assert after.sequences == [5]
    assert after.nonce != first.nonce


def test_the_highest_bit_of_the_nonce_names_the_passphrase() -> None:
    tunnel = Tunnel()
    slots = []
    for passphrase in (b"second", b"third"):
        slots.append(slot_of(tunnel.send(media()).nonce or b""))
        tunnel.sender.change_passphrase(passphrase)
    slots.append(slot_of(tunnel.send(media()).nonce or b""))
    assert slots == [0, 1, 0]


def test_a_nonce_is_never_zero_nor_drawn_twice_in_a_row() -> None:
    drawn = iter([bytes(4), b"\x80\0\0\0", b"\0\0\0\1", b"\x80\0\0\1", b"\0\0\0\2"])
    sender = PskSender(SECRET, key_size=128, rotation=1, entropy=lambda _size: next(drawn))
    sender.seal_run([b"x"], first_sequence=0)
    assert sender.nonce == b"\0\0\0\1"
    sender.seal_run([b"x"], first_sequence=1)
    assert sender.nonce == b"\0\0\0\2"


@pytest.mark.parametrize("passphrase", [b"", b"x" * 128])
def test_a_passphrase_that_no_peer_can_have_is_refused_without_showing_it(passphrase: bytes) -> None:
    with pytest.raises(InvalidOption, match="secret is") as raised:
        PskSender(passphrase, key_size=128, entropy=Nonces())
    assert "xxx" not in str(raised.value)
    with pytest.raises(InvalidOption):
        PskReceiver(passphrase, now=0)


# -- receiver ----------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(1, 20), min_size=1, max_size=8), st.booleans(), st.integers(0, 5))
def test_everything_sealed_is_opened_through_every_rotation(
    counts: list[int], wide: bool, rotation: int
) -> None:
    tunnel, receiver = Tunnel(wide=wide, rotation=rotation), PskReceiver(SECRET, now=0)
    for count in counts:
        assert receiver.open_run(tunnel.send(media(count)), now=0) == media(count)
    assert not receiver.dropped


def test_a_passphrase_changes_in_the_middle_of_a_stream_without_loss() -> None:
    tunnel, receiver = Tunnel(), PskReceiver(SECRET, now=0)
    before = tunnel.send(media(3))
    late = tunnel.send(media(2, first=3))
    assert receiver.open_run(before, now=0) == media(3)
    receiver.install_passphrase(b"another")
    assert receiver.open_run(tunnel.send(media(2)), now=0) == media(2)  # the old one is still good
    tunnel.sender.change_passphrase(b"another")
    assert receiver.open_run(tunnel.send(media(4)), now=0) == media(4)
    assert receiver.open_run(late, now=0) == media(2, first=3)  # overtaken by the change
    receiver.install_passphrase(b"third")
    tunnel.sender.change_passphrase(b"third")
    assert receiver.open_run(tunnel.send(media(1)), now=0) == media(1)
    assert not receiver.dropped


def test_an_old_sender_whose_nonces_name_passphrases_at_random_is_understood() -> None:
    receiver = PskReceiver(b"even", now=0)
    receiver.install_passphrase(b"odd")
    for nonce in (b"\x00abc", b"\x80abc", b"\xffabc"):
        for passphrase in (b"even", b"odd"):
            salted = nonce + passphrase[:1]
            run_nonce = salted[:1] + salted[2:]
            sealed = PskKey(passphrase, run_nonce, wide=False).apply([1], media())
            assert receiver.open_run(GreRun(VSF, 2, run_nonce, False, [1], list(sealed)), now=0) == media()


def test_both_key_sizes_are_read_from_one_peer() -> None:
    receiver = PskReceiver(SECRET, now=0)
    assert receiver.open_run(Tunnel(wide=False).send(media()), now=0) == media()
    assert receiver.open_run(Tunnel(wide=True).send(media()), now=0) == media()


@pytest.mark.parametrize("protocol_type", [VSF, REDUCED])
def test_a_wrong_passphrase_lets_nothing_out_and_is_said_once(protocol_type: int) -> None:
    tunnel, receiver = Tunnel(b"theirs"), PskReceiver(b"ours", now=0)
    for _ in range(40):
        payloads = media(2) if protocol_type == VSF else old_media(2)
        assert receiver.open_run(tunnel.send(payloads, protocol_type), now=0) == []
    assert receiver.poll_news() == [PassphraseWrong()]
    assert receiver.dropped["enciphered with another secret"] > 0
    assert receiver.dropped.total() == 80


def test_the_right_passphrase_mends_it() -> None:
    tunnel, receiver = Tunnel(b"theirs"), PskReceiver(b"ours", now=0)
    receiver.open_run(tunnel.send(media(10)), now=0)
    receiver.open_run(tunnel.send(media(10)), now=0)
    assert receiver.poll_news() == [PassphraseWrong()]
    receiver.install_passphrase(b"theirs")
    assert receiver.open_run(tunnel.send(media(3)), now=0) == media(3)
    assert [type(news) for news in receiver.poll_news()] == [PassphraseProved]


def test_a_peer_that_restarts_with_another_passphrase_is_noticed() -> None:
    receiver = PskReceiver(SECRET, now=0)
    assert receiver.open_run(Tunnel().send(media()), now=0) == media()
    receiver.poll_news()
    stranger = Tunnel(b"other")
    stranger.sender._entropy = Nonces(0x0A0A0A0A)
    assert receiver.open_run(stranger.send(media(10)), now=0) == []
    assert receiver.poll_news() == [PassphraseWrong()]


def test_clear_text_on_a_session_with_a_secret_is_refused_and_said_once() -> None:
    receiver = PskReceiver(SECRET, now=0)
    run = GreRun(VSF, 2, None, False, [1, 2], media(2))
    assert receiver.open_run(run, now=0) == []
    assert receiver.open_run(run, now=0) == []
    assert receiver.poll_news() == [ClearTextRefused()]
    assert receiver.dropped == {"clear text on a session with a secret": 4}


def test_without_a_secret_clear_text_passes_and_ciphertext_does_not() -> None:
    receiver = PskReceiver(None, now=0)
    assert not receiver.is_keyed
    assert receiver.open_run(GreRun(VSF, 2, None, False, [1], media()), now=0) == media()
    assert receiver.open_run(Tunnel().send(media(3)), now=0) == []
    assert receiver.poll_news() == [PassphraseMissing()]
    receiver.install_passphrase(SECRET)  # as a login brings it
    assert receiver.open_run(Tunnel().send(media(3)), now=0) == media(3)


def test_a_zero_nonce_or_a_missing_sequence_does_not_get_around_the_secret() -> None:
    receiver = PskReceiver(SECRET, now=0)
    assert receiver.open_run(GreRun(VSF, 2, bytes(4), False, [1], media()), now=0) == []
    assert receiver.open_run(GreRun(VSF, 2, b"abcd", False, [], media()), now=0) == []
    assert receiver.dropped == {"nonce is zero": 1, "enciphered without a sequence": 1}


def test_a_recorded_packet_is_not_played_again() -> None:
    tunnel, receiver = Tunnel(), PskReceiver(SECRET, now=0)
    runs = [tunnel.send(media(4)) for _ in range(3)]
    assert receiver.open_run(runs[1], now=0) == media(4)
    assert receiver.open_run(runs[0], now=0) == media(4)
    assert receiver.open_run(runs[2], now=0) == media(4)
    for run in runs:
        assert receiver.open_run(run, now=0) == []
    assert receiver.dropped == {"replayed": 12}


def test_a_tampered_header_inside_is_dropped_alone() -> None:
    tunnel, receiver = Tunnel(), PskReceiver(SECRET, now=0)
    receiver.open_run(tunnel.send(media()), now=0)
    run = tunnel.send(media(3))
    spoiled = bytearray(run.payloads[1])
    spoiled[1] ^= 0x40
    run.payloads[1] = bytes(spoiled)
    assert receiver.open_run(run, now=0) == [media(3)[0], media(3)[2]]
    assert receiver.dropped == {"deciphered to nonsense": 1}


def test_a_forged_packet_does_not_close_the_window_before_the_stream() -> None:
    tunnel, receiver = Tunnel(), PskReceiver(SECRET, now=0)
    first = tunnel.send(media())
    receiver.open_run(first, now=0)
    forged = first._replace(sequences=[first.sequences[0] + 1_000_000], payloads=[bytes(60)])
    assert receiver.open_run(forged, now=0) == []
    forged_oob = forged._replace(protocol_type=IPV4)
    assert receiver.open_run(forged_oob, now=0) == []
    assert receiver.dropped == {"deciphered to nonsense": 1, "sequence leaps without proof": 1}
    assert receiver.open_run(tunnel.send(media(2)), now=0) == media(2)


def test_derivations_are_granted_at_a_rate_and_proved_keys_survive_a_flood_of_nonces() -> None:
    tunnel, receiver = Tunnel(), PskReceiver(SECRET, now=0)
    receiver.open_run(tunnel.send(media()), now=0)
    for number in range(100):
        run = GreRun(VSF, 2, bytes((number, 1, 1, 1)), True, [1], [bytes(50)])
        receiver.open_run(run, now=0)
    assert receiver.dropped["too many new nonces"] > 50
    assert receiver.open_run(tunnel.send(media(2)), now=0) == media(2)
    # A second later there is room again for a nonce of the true sender.
    tunnel.sender.change_passphrase(SECRET)
    assert receiver.open_run(tunnel.send(media(2)), now=1_000_000) == media(2)


def test_an_announced_nonce_has_its_key_in_time() -> None:
    receiver = PskReceiver(SECRET, now=0)
    receiver.prepare(b"\x01\x02\x03\x04", wide_key=True, now=0)
    for number in range(40):  # whatever is left of the allowance is used up
        receiver.prepare(bytes((9, 9, 9, number)), wide_key=True, now=0)
    receiver.prepare(bytes(4), wide_key=True, now=0)
    fresh = PskReceiver(SECRET, now=0)
    fresh.prepare(b"\x01\x02\x03\x04", wide_key=True, now=0)
    assert fresh.open_run(Tunnel().send(media()), now=0) == media()


def test_old_framing_on_an_unknown_port_waits_for_proof_and_then_needs_none_for_the_next_nonce() -> None:
    tunnel, receiver = Tunnel(wide=False), PskReceiver(SECRET, now=0)
    assert receiver.open_run(tunnel.send(old_media(2), REDUCED), now=0) == []
    assert receiver.dropped == {"enciphered with a key not proved yet": 2}
    report = bytes.fromhex("8000 1235 80c9000140d93ec4 81ca000440d93ec4010672786e616d6500000000")
    assert receiver.open_run(tunnel.send([report], REDUCED), now=0) == [report]
    assert receiver.open_run(tunnel.send(old_media(2), REDUCED), now=0) == old_media(2)
    tunnel.sender.change_passphrase(SECRET)
    assert receiver.open_run(tunnel.send(old_media(3), REDUCED), now=0) == old_media(3)


def test_a_transport_stream_and_an_ip_packet_are_proof_in_themselves() -> None:
    stream = bytes.fromhex("8001 1234 8021") + bytes(10) + (b"\x47" + bytes(187)) * 7
    assert PskReceiver(SECRET, now=0).open_run(Tunnel().send([stream], REDUCED), now=0) == [stream]
    packet = b"\x45\0\0\x20" + bytes(28)
    assert PskReceiver(SECRET, now=0).open_run(Tunnel().send([packet], IPV4), now=0) == [packet]


def test_a_keepalive_of_old_framing_proves_nothing_but_passes_under_a_proved_key() -> None:
    tunnel, receiver = Tunnel(), PskReceiver(SECRET, now=0)
    keepalive = Keepalive.decode(bytes.fromhex("060f744395c02520")).encode()
    assert receiver.open_run(tunnel.send([keepalive], 0x88B5), now=0) == []
    receiver.open_run(tunnel.send(media()), now=0)
    assert receiver.open_run(tunnel.send([keepalive], 0x88B5), now=0) == [keepalive]


@given(
    st.integers(0, 0xFFFF),
    st.integers(0, 2),
    st.binary(min_size=4, max_size=4),
    st.lists(st.tuples(st.integers(0, 0xFFFFFFFF), st.binary(max_size=40)), min_size=1, max_size=4),
)
def test_strange_ciphertext_is_refused_not_raised(
    protocol_type: int, version: int, nonce: bytes, packets: list[tuple[int, bytes]]
) -> None:
    receiver = PskReceiver(SECRET, now=0, allow_old_counter=True)
    run = GreRun(protocol_type, version, nonce, True, [s for s, _ in packets], [p for _, p in packets])
    for now in range(3):
        assert receiver.open_run(run, now=now) == []
    assert receiver.dropped.total() == 3 * len(packets)
