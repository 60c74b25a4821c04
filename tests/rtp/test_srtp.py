"""SRTP and SRTCP: vectors from a capture, libsrtp's opinion, and what strangers may try."""

from __future__ import annotations

from dataclasses import dataclass

import pylibsrtp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from terzetto.errors import InvalidOption, MalformedPacket
from terzetto.rtp.header import HeaderExtension, RtpPacket
from terzetto.rtp.srtp import SOURCE_LIMIT, SrtpReceiver, SrtpSender
from terzetto.rtp.srtp_keys import MasterKey, SrtpProfile, derive_session_keys

AES_CM = SrtpProfile.AES_CM_128_HMAC_SHA1_80
PROFILES = list(SrtpProfile)

# A gst-rtsp-server's keys, and its first packet and report.
CAPTURED = MasterKey.from_bytes(
    AES_CM, bytes.fromhex("cdf31857a41d974c530502405c1f336218f9413bd1b77d20334954afe268")
)
CAPTURED_RTP = bytes.fromhex(
    "80806ffbfa9550c25468803de02a23c3cabc335be250c2fd51283002f5f75e4631b8d08176cf3efac2c3e864ea6d0b8787334b4ae389ee24"
    "959e088a76697093a6859be089b40fcef643ab1274d0b8d704640973cce15da3a9377719a5ec716666aa589137fcec7a11d00a1675affbca"
    "75ed26e356a024dbe04dc62eb56eca704ccdec1c81821a752dd341d7b191d529d01096e0a72c1b58488819ea6138b6ce6c16628c30319348"
    "6d2102d942426b12605a0ad6c7e1"
)
CAPTURED_RTCP = bytes.fromhex(
    "80c800065468803d3b3892bbc4f03d3bb03ea2629501d6361c6232e048d5d5ec9e0142148847036e2e72b807fd9c749a6ee5a950c379c522"
    "ae15777307feb40f32530bbf84a2280206f18b945a3b1f0180000001e802facb2a02c4b4c19c"
)
PLAIN_RTCP = bytes.fromhex(
    "80c800065468803deeab6aeeb10d0678fa95a8150000008d0000582081ca000c5468803d011c757365723335393137333832333840686f73"
    "742d366464386339303206094753747265616d6572000000"
)


def master(profile: SrtpProfile, *, mki: bytes = b"", first: int = 1) -> MasterKey:
    data = bytes((first + index) % 256 for index in range(profile.key_size + profile.salt_size))
    return MasterKey.from_bytes(profile, data, mki)


def rtp(sequence: int, ssrc: int = 0x1234, payload: bytes = b"media") -> bytes:
    return RtpPacket(96, sequence & 0xFFFF, 90_000, ssrc, payload).encode()


def test_session_keys_are_those_of_the_capture() -> None:
    media, reports = derive_session_keys(CAPTURED)
    assert media.cipher.hex() == "bd7ebc6cbf1283004b70d3b77fa158ce"
    assert media.authentication.hex() == "4b6aabe90afad0a4554a7dcee971e63b7351dc68"
    assert media.salt.hex() == "2db7557830eab6f671c0a7c1248c"
    assert reports.cipher.hex() == "a0c160a81def204bc6fb7360ec60d086"
    assert reports.authentication.hex() == "4f2b45b9dca9c399070365574fd2ae0e6f679ea8"
    assert reports.salt.hex() == "5fce5ede5427455f8f8a22197ffb"


def test_captured_packets_open_and_seal_to_the_same_bytes() -> None:
    receiver = SrtpReceiver(CAPTURED)
    plain = receiver.unprotect(CAPTURED_RTP)
    assert plain == CAPTURED_RTP[:12] + b"\xff" * 160
    assert receiver.unprotect_rtcp(CAPTURED_RTCP) == PLAIN_RTCP
    sender = SrtpSender(CAPTURED)
    assert sender.protect(plain) == CAPTURED_RTP
    assert sender.protect_rtcp(PLAIN_RTCP) == CAPTURED_RTCP
    assert not receiver.dropped


@dataclass
class Libsrtp:
    """libsrtp, which is what everybody else uses."""

    sender: pylibsrtp.Session
    receiver: pylibsrtp.Session

    @classmethod
    def under(cls, key: MasterKey) -> Libsrtp:
        profile = getattr(pylibsrtp.Policy, f"SRTP_PROFILE_{LIBSRTP_NAMES[key.profile]}")

        def session(direction: int) -> pylibsrtp.Session:
            return pylibsrtp.Session(
                pylibsrtp.Policy(key=key.to_bytes(), ssrc_type=direction, srtp_profile=profile)
            )

        return cls(session(pylibsrtp.Policy.SSRC_ANY_OUTBOUND), session(pylibsrtp.Policy.SSRC_ANY_INBOUND))


LIBSRTP_NAMES = {
    SrtpProfile.AES_CM_128_HMAC_SHA1_80: "AES128_CM_SHA1_80",
    SrtpProfile.AES_CM_128_HMAC_SHA1_32: "AES128_CM_SHA1_32",
    SrtpProfile.AEAD_AES_128_GCM: "AEAD_AES_128_GCM",
    SrtpProfile.AEAD_AES_256_GCM: "AEAD_AES_256_GCM",
}


@pytest.mark.parametrize("profile", LIBSRTP_NAMES)
def test_libsrtp_and_we_understand_each_other_across_a_wrap(profile: SrtpProfile) -> None:
    key = master(profile)
    theirs = Libsrtp.under(key)
    sender, receiver = SrtpSender(key), SrtpReceiver(key)
    extension = HeaderExtension(0xBEDE, b"\x10\x01\x00\x00")
    for number in range(0xFFF0, 0x10020):
        packet = RtpPacket(
            96, number & 0xFFFF, number, 7, bytes(number % 50), csrcs=(1, 2), extension=extension
        ).encode()
        sealed = sender.protect(packet)
        assert theirs.receiver.unprotect(sealed) == packet
        assert theirs.sender.protect(packet) == sealed
        assert receiver.unprotect(sealed) == packet
    report = PLAIN_RTCP
    assert theirs.receiver.unprotect_rtcp(sender.protect_rtcp(report)) == report
    assert receiver.unprotect_rtcp(theirs.sender.protect_rtcp(report)) == report


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("mki", [b"", b"\x01", b"\xde\xad\xbe\xef"])
def test_a_round_trip_with_or_without_a_key_identifier(profile: SrtpProfile, mki: bytes) -> None:
    key = master(profile, mki=mki)
    sender, receiver = SrtpSender(key), SrtpReceiver(key)
    sealed = sender.protect(rtp(1))
    assert len(sealed) == len(rtp(1)) + profile.rtp_tag_size + len(mki)
    assert receiver.unprotect(sealed) == rtp(1)
    assert receiver.unprotect_rtcp(sender.protect_rtcp(PLAIN_RTCP)) == PLAIN_RTCP


@pytest.mark.parametrize("profile", PROFILES)
def test_every_changed_byte_and_every_cut_is_noticed(profile: SrtpProfile) -> None:
    key = master(profile, mki=b"K")
    sender, receiver = SrtpSender(key), SrtpReceiver(key)
    media, report = sender.protect(rtp(1)), sender.protect_rtcp(PLAIN_RTCP)
    for sealed, unprotect in ((media, receiver.unprotect), (report, receiver.unprotect_rtcp)):
        for at in range(len(sealed)):
            changed = bytearray(sealed)
            changed[at] ^= 0x01
            assert unprotect(bytes(changed)) is None
            assert unprotect(sealed[:at]) is None
        assert unprotect(sealed) is not None


def test_nothing_is_opened_twice_however_late() -> None:
    key = master(AES_CM)
    sender, receiver = SrtpSender(key), SrtpReceiver(key)
    sealed = [sender.protect(rtp(number)) for number in range(2000)]
    for number in (0, 3, 1, 2, 1999, 1500):
        assert receiver.unprotect(sealed[number]) == rtp(number)
    for number in (0, 1, 2, 3, 1999, 1500, 900):
        assert receiver.unprotect(sealed[number]) is None
    assert receiver.dropped == {"SRTP packet was here before": 7}
    report = sender.protect_rtcp(PLAIN_RTCP)
    assert receiver.unprotect_rtcp(report) == PLAIN_RTCP
    assert receiver.unprotect_rtcp(report) is None
    assert receiver.dropped["SRTCP packet was here before"] == 1


def test_who_joins_late_needs_the_rollover_counter() -> None:
    key = master(AES_CM)
    sender = SrtpSender(key)
    for number in range(0, 3 * 0x10000, 0x4000):
        sender.protect(rtp(number))
    assert sender.rollover_of(0x1234) == 2
    sealed = sender.protect(rtp(2 * 0x10000 + 0xC001))
    assert SrtpReceiver(key).unprotect(sealed) is None
    assert SrtpReceiver(key, rollovers={0x1234: 2}).unprotect(sealed) == rtp(0xC001)
    heir = SrtpSender(key, rollovers={0x1234: 2})
    assert heir.protect(rtp(0xC001)) == sealed
    assert heir.rollover_of(0x9999) == 0


@settings(max_examples=25)
@given(st.integers(0xFF00, 0xFFFF), st.lists(st.integers(0, 30), min_size=300, max_size=300))
def test_everything_is_opened_in_whatever_order_it_comes_around_a_wrap(start: int, delays: list[int]) -> None:
    key = master(AES_CM)
    sender, receiver = SrtpSender(key), SrtpReceiver(key)
    sealed = [sender.protect(rtp(start + number)) for number in range(300)]
    assert receiver.unprotect(sealed[0]) == rtp(start)
    for number in sorted(range(1, 300), key=lambda number: number + delays[number]):
        assert receiver.unprotect(sealed[number]) == rtp(start + number)


def test_keys_change_while_packets_of_the_old_one_are_under_way() -> None:
    old, new = master(AES_CM, mki=b"1"), master(AES_CM, mki=b"2", first=99)
    before, after = SrtpSender(old), SrtpSender(new)
    receiver = SrtpReceiver(old)
    assert receiver.unprotect(before.protect(rtp(1))) == rtp(1)
    receiver.add_key(new)
    assert receiver.unprotect(after.protect(rtp(3))) == rtp(3)
    assert receiver.unprotect(before.protect(rtp(2))) == rtp(2)
    receiver.add_key(new)  # told twice
    assert receiver.unprotect(after.protect(rtp(3))) is None
    for first in range(120, 120 + SrtpReceiver.KEY_LIMIT):
        receiver.add_key(master(AES_CM, first=first))
    assert receiver.unprotect(after.protect(rtp(4))) is None


def test_strangers_and_encoders_without_end_hold_no_more_than_their_share() -> None:
    key = master(AES_CM)
    sender, receiver = SrtpSender(key), SrtpReceiver(key)
    for ssrc in range(SOURCE_LIMIT + 3):
        receiver.unprotect(rtp(1, ssrc) + bytes(10))  # forged: leaves nothing behind
    opened = [receiver.unprotect(sender.protect(rtp(1, ssrc))) for ssrc in range(SOURCE_LIMIT + 3)]
    assert sum(plain is not None for plain in opened) == SOURCE_LIMIT
    assert receiver.dropped["more SRTP sources than may hold state"] == 3


@given(st.binary(max_size=80))
def test_hostile_bytes_are_dropped_and_counted(data: bytes) -> None:
    for profile in (AES_CM, SrtpProfile.AEAD_AES_128_GCM):
        receiver = SrtpReceiver(master(profile))
        assert receiver.unprotect(data) is None
        assert receiver.unprotect_rtcp(data) is None
        assert receiver.dropped.total() == 2


def test_what_is_no_packet_cannot_be_sealed() -> None:
    sender = SrtpSender(master(AES_CM))
    for data in (b"", bytes(12), rtp(1)[:11], b"\x90" + bytes(11), b"\x8f" + bytes(20)):
        with pytest.raises(MalformedPacket):
            sender.protect(data)
    with pytest.raises(MalformedPacket):
        sender.protect_rtcp(bytes(7))


def test_a_key_that_is_used_up_is_not_used_again() -> None:
    sender = SrtpSender(master(AES_CM), rollovers={0x1234: 0xFFFF_FFFF})
    sender.protect(rtp(0xFFFF))
    with pytest.raises(InvalidOption, match="used up"):
        sender.protect(rtp(0))


def test_keys_of_a_wrong_size_are_refused_and_never_shown() -> None:
    with pytest.raises(InvalidOption, match="15 bytes and its salt 14, must have 16 and 14"):
        MasterKey(AES_CM, bytes(15), bytes(14))
    with pytest.raises(InvalidOption, match="MKI has 129 bytes"):
        master(AES_CM, mki=bytes(129))
    assert "cdf31857" not in repr(CAPTURED)
    assert str(CAPTURED.key) not in repr(CAPTURED)


def test_numbers_are_counted_on_where_nothing_was_sealed() -> None:
    key = master(AES_CM)
    skipping, steady = SrtpSender(key), SrtpSender(key)
    for number in range(0, 200_000, 1000):
        sealed = steady.protect(rtp(number))
        if number % 90_000:
            skipping.advance(0x1234, number & 0xFFFF)
        else:
            assert skipping.protect(rtp(number)) == sealed
    assert skipping.rollover_of(0x1234) == steady.rollover_of(0x1234) == 3
