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
    decode_srp,
    encode_srp,
)

SALT = bytes(range(0x20, 0x40))


def test_a_challenge_in_the_form_of_every_implementation() -> None:
    body = b"\0\0" + b"\0\x20" + SALT + b"\0\0"
    assert Challenge.decode(body) == Challenge(SALT)
    assert Challenge(SALT).encode() == body


def test_a_challenge_in_the_form_of_the_specification() -> None:
    assert Challenge.decode(b"\0" + b"\x20" + SALT + b"\0") == Challenge(SALT)
    named = b"\x06server" + b"\x20" + SALT + b"\x01\x02" + b"\xff" * 128
    assert Challenge.decode(named) == Challenge(SALT, b"\x02", b"\xff" * 128, b"server")


@given(
    st.builds(
        Challenge,
        st.binary(min_size=1, max_size=64),
        st.just(b"\x02"),
        st.binary(min_size=1, max_size=300),
        st.binary(max_size=30),
    )
    | st.binary(min_size=1, max_size=64).map(Challenge)
)
def test_every_challenge_survives_the_wire(challenge: Challenge) -> None:
    assert Challenge.decode(challenge.encode()) == challenge


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\0",
        b"\0\0\0\0\0\0",
        b"\0\0\0\x20short",
        b"\xff\xff",
        b"\0\0\0\x01s\0\x01\x02",
        b"\0\0\0\x01s\0\x00N",
    ],
)
def test_a_challenge_that_makes_no_sense_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedPacket):
        Challenge.decode(body)


@given(st.binary(max_size=80))
def test_strange_bytes_are_understood_or_malformed(data: bytes) -> None:
    for decode in (decode_srp, Challenge.decode, Validator.decode, PassphraseAnswer.decode):
        try:
            decode(data)
        except MalformedPacket:
            continue


@given(st.sampled_from(SrpSubtype), st.binary(max_size=20))
def test_every_subtype_survives_the_wire(subtype: SrpSubtype, body: bytes) -> None:
    assert decode_srp(encode_srp(subtype, body)) == (subtype, body)


@pytest.mark.parametrize("data", [b"", b"\x04", b"\x11"])
def test_other_subtypes_are_malformed(data: bytes) -> None:
    with pytest.raises(MalformedPacket):
        decode_srp(data)


@pytest.mark.parametrize("use_session_key", [False, True])
def test_a_validator_carries_its_flag_and_proof(use_session_key: bool) -> None:
    validator = Validator(bytes(32), use_session_key)
    assert validator.encode() == bytes((0, 0, 0, use_session_key)) + bytes(32)
    assert Validator.decode(validator.encode()) == validator
    with pytest.raises(MalformedPacket):
        Validator.decode(validator.encode()[:-1])


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (PassphraseAnswer(use_session_key=True), "80"),
        (PassphraseAnswer(b"\xaa\xbb"), "40aabb"),
        (PassphraseAnswer(b"\xaa\xbb", wide_key=False), "00aabb"),
    ],
)
def test_a_passphrase_answer_names_the_session_key_or_carries_a_passphrase(
    answer: PassphraseAnswer, text: str
) -> None:
    assert answer.encode().hex() == text
    assert PassphraseAnswer.decode(bytes.fromhex(text)) == answer


@pytest.mark.parametrize("text", ["", "40", "00"])
def test_an_answer_without_a_passphrase_is_malformed(text: str) -> None:
    with pytest.raises(MalformedPacket):
        PassphraseAnswer.decode(bytes.fromhex(text))
