from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terzetto.errors import MalformedPacket
from terzetto.rist.wire.eap_srp import (
    Challenge,
    PassphraseAnswer,
    SrpSubtype,
    Validator,
    encode_srp,
)
from terzetto.rist.wire.eapol import EapCode, EapolFrame, EapolType, EapPacket, EapType
from tests.strategies import u8

REQUEST, RESPONSE, SUCCESS = EapCode.REQUEST, EapCode.RESPONSE, EapCode.SUCCESS
SALT, PROOF, KEY = bytes(range(32)), bytes(range(32, 64)), bytes(range(1, 256)) + b"\x01"


def eap(
    version: int, code: EapCode, identifier: int, kind: EapType | None = None, data: bytes = b""
) -> EapolFrame:
    return EapolFrame(version, EapolType.EAP, EapPacket(code, identifier, kind, data))


def srp(version: int, code: EapCode, identifier: int, subtype: int, body: bytes = b"") -> EapolFrame:
    return eap(version, code, identifier, EapType.SRP, encode_srp(SrpSubtype(subtype), body))


# A login as libRIST 0.2.7 (version 2) and 0.2.12 (version 3) hold it, and samples of single frames.
GOLDEN = {
    "2 start": ("02010000", EapolFrame(2, EapolType.START)),
    "2 identity request": ("02000005 01a30005 01", eap(2, REQUEST, 0xA3, EapType.IDENTITY)),
    "2 identity response": (
        "02000009 02a30009 01 72697374",
        eap(2, RESPONSE, 0xA3, EapType.IDENTITY, b"rist"),
    ),
    "2 challenge": (
        f"0200002c 01a4002c 13 01 0000 0020 {SALT.hex()} 0000",
        srp(2, REQUEST, 0xA4, 1, Challenge(SALT).encode()),
    ),
    "2 client key": (f"02000106 02a40106 13 01 {KEY.hex()}", srp(2, RESPONSE, 0xA4, 1, KEY)),
    "2 server key": (f"02000106 01a50106 13 02 {KEY.hex()}", srp(2, REQUEST, 0xA5, 2, KEY)),
    "2 client validator": (
        f"0200002a 02a5002a 13 02 00000000 {PROOF.hex()}",
        srp(2, RESPONSE, 0xA5, 2, Validator(PROOF).encode()),
    ),
    "2 server validator": (
        f"0200002a 01a6002a 13 03 00000000 {PROOF.hex()}",
        srp(2, REQUEST, 0xA6, 3, Validator(PROOF).encode()),
    ),
    "2 answer to the validator": ("02000006 02a60006 13 03", srp(2, RESPONSE, 0xA6, 3)),
    "2 success": ("02000004 03a70004", eap(2, SUCCESS, 0xA7)),
    "3 server validator with U": (
        f"0300002a 01f8002a 13 03 00000001 {PROOF.hex()}",
        srp(3, REQUEST, 0xF8, 3, Validator(PROOF, use_session_key=True).encode()),
    ),
    "3 success with two zeros": ("03000006 03f80006 0000", eap(3, SUCCESS, 0xF8, None, b"\0\0")),
    "3 passphrase request": ("03000006 01c10006 13 10", srp(3, REQUEST, 0xC1, 0x10)),
    "3 passphrase response": (
        "03000007 02c10007 13 10 80",
        srp(3, RESPONSE, 0xC1, 0x10, PassphraseAnswer(use_session_key=True).encode()),
    ),
    "3 success for the passphrase": ("03000004 03c10004", eap(3, SUCCESS, 0xC1)),
    "identity request": ("03000005 01110005 01", eap(3, REQUEST, 0x11, EapType.IDENTITY)),
    "identity response": ("03000009 02110009 01 72697374", eap(3, RESPONSE, 0x11, EapType.IDENTITY, b"rist")),
    "challenge": (
        "03000010 01220010 1301 0000 0004 aabbccdd 0000",
        srp(3, REQUEST, 0x22, 1, Challenge(b"\xaa\xbb\xcc\xdd").encode()),
    ),
    "success": ("03000004 03240004", eap(3, SUCCESS, 0x24)),
    "logoff": ("03020000", EapolFrame(3, EapolType.LOGOFF)),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_frames_of_librist(name: str) -> None:
    text, frame = GOLDEN[name]
    assert EapolFrame.decode(bytes.fromhex(text)) == frame
    assert frame.encode() == bytes.fromhex(text)


def test_a_start_that_claims_a_body_it_does_not_have_is_a_start() -> None:
    assert EapolFrame.decode(bytes.fromhex("03010004")) == EapolFrame(3, EapolType.START)


def test_bytes_after_the_frame_are_ignored() -> None:
    assert EapolFrame.decode(bytes.fromhex("03000004 03240004 ffff")) == eap(3, SUCCESS, 0x24)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "EAPOL header is truncated"),
        ("030000", "EAPOL header is truncated"),
        ("03030000", "unknown EAPOL type"),
        ("03000000", "EAP header is truncated"),
        ("03000005 03240004", "EAPOL length is wrong"),
        ("03000004 03240003", "EAP length is wrong"),
        ("03000004 03240005", "EAP length is wrong"),
        ("03000004 05240004", "unknown EAP code"),
        ("03000004 01240004", "EAP packet has no type"),
        ("03000005 01240005 02", "unknown EAP type"),
    ],
)
def test_a_broken_frame_is_malformed(text: str, reason: str) -> None:
    with pytest.raises(MalformedPacket) as raised:
        EapolFrame.decode(bytes.fromhex(text))
    assert raised.value.reason == reason


@given(st.binary(max_size=60))
def test_strange_bytes_are_understood_or_malformed(data: bytes) -> None:
    try:
        frame = EapolFrame.decode(data)
    except MalformedPacket:
        return
    assert EapolFrame.decode(frame.encode()) == frame


@given(u8, st.sampled_from([REQUEST, RESPONSE]), u8, st.sampled_from(EapType), st.binary(max_size=300))
def test_every_packet_survives_the_wire(
    version: int, code: EapCode, identifier: int, kind: EapType, data: bytes
) -> None:
    frame = eap(version, code, identifier, kind, data)
    assert EapolFrame.decode(frame.encode()) == frame
