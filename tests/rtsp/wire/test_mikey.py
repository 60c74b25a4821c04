from __future__ import annotations

from base64 import b64decode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terzetto.errors import MalformedPacket
from terzetto.rtp.srtp_keys import MasterKey, SrtpProfile
from terzetto.rtsp.wire.headers.key_mgmt import (
    KeyMgmt,
    format_key_mgmt_attribute,
    parse_key_mgmt_attribute,
)
from terzetto.rtsp.wire.mikey import CryptoSession, Mikey
from terzetto.rtsp.wire.sdp.crypto import Crypto

# What a gst-rtsp-server says in its description, and its client in a SETUP.
SERVERS = (
    "mikey AQAFAGYLzA0BAABUaIA9AAAAAAsA7qtq693umaYKEEFpfL37dZT96l8u4uS5EL8BAAAAFQABAQEBEAIBAQMBCgcBAQgBAQoBAQAAACIAIAAe"
    "zfMYV6Qdl0xTBQJAXB8zYhj5QTvRt30gM0lUr+JoAA=="
)
CLIENTS = (
    'prot=mikey;uri="rtsp://127.0.0.1:8554/savp/stream=0";data="AQAFAKbqPgQBAABfBY2YAAAAAAsA7qtq697pJPIKEIzN3fLQwmn00jk9'
    '2uGEjC0BAAAAFQABAQEBEAIBAQMBCgcBAQgBAQoBAQAAACIAIAAeeIhb2b3eazS3DzCuPLE+ONUQL/3HhAQicGRCuROVAA=="'
)
KEY = bytes.fromhex("cdf31857a41d974c530502405c1f336218f9413bd1b77d20334954afe268")
AES_CM = SrtpProfile.AES_CM_128_HMAC_SHA1_80


def test_what_gstreamer_says_is_understood() -> None:
    mikey = parse_key_mgmt_attribute(SERVERS)
    assert mikey.key == MasterKey.from_bytes(AES_CM, KEY)
    assert mikey.sessions == (CryptoSession(0x5468803D),)
    assert mikey.rollovers == {0x5468803D: 0}
    assert mikey.bundle == 0x660BCC0D
    assert mikey.time == 0xEEAB6AEBDDEE99A6
    assert mikey.nonce.hex() == "41697cbdfb7594fdea5f2ee2e4b910bf"
    header = KeyMgmt.parse(CLIENTS)
    assert header.uri == "rtsp://127.0.0.1:8554/savp/stream=0"
    assert header.mikey.sessions == (CryptoSession(0x5F058D98),)


def test_we_say_the_same_but_for_a_length_that_gstreamer_gets_wrong() -> None:
    theirs = b64decode(SERVERS.split()[1])
    # Its key of the authentication has ten bytes, it says: that is the tag, whose length it does not say at all.
    ours = parse_key_mgmt_attribute(SERVERS).encode()
    policy = bytes.fromhex("00010101011002010103010a0701010801010a0101")
    assert policy in theirs
    before, _, after = theirs.partition(bytes((1, 0, 0, 0, 0x15)) + policy)
    corrected = bytes.fromhex("0001010101100201010301140701010801010a01010b010a")
    assert ours == before + bytes((1, 0, 0, 0, len(corrected))) + corrected + after


@pytest.mark.parametrize("profile", list(SrtpProfile))
@pytest.mark.parametrize("mki", [b"", b"\x01\x02\x03\x04"])
def test_every_profile_survives_the_wire(profile: SrtpProfile, mki: bytes) -> None:
    key = MasterKey(profile, bytes(range(profile.key_size)), bytes(profile.salt_size), mki)
    mikey = Mikey(
        key=key,
        sessions=(CryptoSession(0), CryptoSession(7, 3)),
        bundle=5,
        time=6,
        nonce=b"n" * 16,
    )
    assert Mikey.decode(mikey.encode()) == mikey
    assert Mikey.decode(mikey.encode() + b"\0") == mikey
    assert mikey.rollovers == {7: 3}
    assert parse_key_mgmt_attribute(format_key_mgmt_attribute(mikey)) == mikey
    header = KeyMgmt(mikey, 'rtsp://host/a"b')
    assert KeyMgmt.parse(str(header)) == header
    assert Crypto.parse(str(Crypto(key, 3))) == Crypto(key, 3)


def test_payloads_come_in_any_order() -> None:
    kemac = bytes((5, 0)) + bytes((0, 0x22, 0, 0x20, 0, 30)) + KEY + b"\0"
    header = bytes((1, 0, 1, 0)) + bytes(4) + bytes((0, 0))
    mikey = Mikey.decode(header + kemac + bytes((0, 0)) + bytes(8))
    assert mikey.key == MasterKey.from_bytes(AES_CM, KEY)
    assert mikey.rollovers == {}


def test_a_salt_may_stand_behind_its_key() -> None:
    kemac = bytes((0, 0, 0, 0x24)) + bytes((0, 0x30, 0, 16)) + KEY[:16] + bytes((0, 14)) + KEY[16:] + b"\0"
    assert Mikey.decode(bytes((1, 0, 1, 0)) + bytes(6) + kemac).key == MasterKey.from_bytes(AES_CM, KEY)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ((0, 2), "version"),
        ((1, 1), "version"),
        ((9, 1), "version"),
        ((8, 65), "too many"),
        ((2, 99), "unknown type 99"),
    ],
)
def test_what_is_odd_is_named(change: tuple[int, int], reason: str) -> None:
    data = bytearray(parse_key_mgmt_attribute(SERVERS).encode())
    data[change[0]] = change[1]
    with pytest.raises(MalformedPacket, match=reason):
        Mikey.decode(bytes(data))


def test_every_cut_is_noticed() -> None:
    data = parse_key_mgmt_attribute(SERVERS).encode()
    for end in range(len(data)):
        with pytest.raises(MalformedPacket):
            Mikey.decode(data[:end])
    with pytest.raises(MalformedPacket, match="goes on"):
        Mikey.decode(data + b"xx")
    with pytest.raises(MalformedPacket, match="too long"):
        Mikey.decode(data + bytes(9000))


def test_protection_is_not_negotiable() -> None:
    data = parse_key_mgmt_attribute(SERVERS).encode()
    for parameter in (7, 8, 10):
        with pytest.raises(MalformedPacket, match="without"):
            Mikey.decode(data.replace(bytes((parameter, 1, 1)), bytes((parameter, 1, 0))))


@given(st.binary(max_size=200))
def test_hostile_bytes_fail_in_one_way(data: bytes) -> None:
    for attempt in (data, b"\1\0\1\0" + data, parse_key_mgmt_attribute(SERVERS).encode()[:20] + data):
        try:
            Mikey.decode(attempt)
        except MalformedPacket:
            pass


@pytest.mark.parametrize(
    "text", ["", "prot=mikey", "prot=other;data=AAAA", 'prot=mikey;data="!!"', "mikey", 'prot=mikey;data="']
)
def test_headers_that_make_no_sense(text: str) -> None:
    with pytest.raises(MalformedPacket):
        KeyMgmt.parse(text)
    with pytest.raises(MalformedPacket):
        parse_key_mgmt_attribute(text)


@pytest.mark.parametrize(
    ("text", "mki"),
    [
        ("1 AES_CM_128_HMAC_SHA1_80 inline:{key}", b""),
        ("1 aes_cm_128_hmac_sha1_80 INLINE:{key}|2^31", b""),
        ("1 AES_CM_128_HMAC_SHA1_80 inline:{key}|2^31|1:4", b"\0\0\0\1"),
        ("1 AES_CM_128_HMAC_SHA1_80 inline:{key}|1:1;inline:{key}|2:1 KDR=0", b"\1"),
    ],
)
def test_keys_in_descriptions(text: str, mki: bytes) -> None:
    key = "zfMYV6Qdl0xTBQJAXB8zYhj5QTvRt30gM0lUr+Jo"
    assert Crypto.parse(text.format(key=key)).key == MasterKey.from_bytes(AES_CM, KEY, mki)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1 AES_CM_128_HMAC_SHA1_80",
        "x AES_CM_128_HMAC_SHA1_80 inline:AAAA",
        "1 NULL_SUITE inline:AAAA",
        "1 AES_CM_128_HMAC_SHA1_80 inline:AAAA",
        "1 AES_CM_128_HMAC_SHA1_80 inline:!!",
        "1 AES_CM_128_HMAC_SHA1_80 other:zfMYV6Qdl0xTBQJAXB8zYhj5QTvRt30gM0lUr+Jo",
        "1 AES_CM_128_HMAC_SHA1_80 inline:zfMYV6Qdl0xTBQJAXB8zYhj5QTvRt30gM0lUr+Jo UNENCRYPTED_SRTP",
        "1 AES_CM_128_HMAC_SHA1_80 inline:zfMYV6Qdl0xTBQJAXB8zYhj5QTvRt30gM0lUr+Jo|999:1",
        "1 AES_CM_128_HMAC_SHA1_80 inline:zfMYV6Qdl0xTBQJAXB8zYhj5QTvRt30gM0lUr+Jo|x:1",
    ],
)
def test_keys_in_descriptions_that_make_no_sense(text: str) -> None:
    with pytest.raises(MalformedPacket):
        Crypto.parse(text)


@given(st.text(max_size=80))
def test_hostile_attributes_fail_in_one_way(text: str) -> None:
    for attempt in (text, f"1 AES_CM_128_HMAC_SHA1_80 inline:{text}"):
        try:
            Crypto.parse(attempt)
        except MalformedPacket:
            pass
