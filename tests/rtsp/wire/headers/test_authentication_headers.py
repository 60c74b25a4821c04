from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terzetto.errors import MalformedPacket
from terzetto.rtsp.wire.headers.authenticate import (
    Algorithm,
    BasicChallenge,
    Challenge,
    DigestChallenge,
    parse_challenges,
)
from terzetto.rtsp.wire.headers.authorization import (
    BasicAuthorization,
    DigestAuthorization,
    parse_authorization,
)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (['Basic realm="4419b63f5e51"'], [BasicChallenge(realm="4419b63f5e51")]),
        (["basic REALM=x"], [BasicChallenge(realm="x")]),
        (
            ['Digest realm="IPCAM", nonce="8b84a3b7", stale="FALSE"'],
            [DigestChallenge(realm="IPCAM", nonce="8b84a3b7")],
        ),
        (
            ['Digest realm="r",nonce="n",opaque="o",stale=true,algorithm=SHA-256,qop="auth,auth-int"'],
            [
                DigestChallenge(
                    realm="r", nonce="n", opaque="o", stale=True, algorithm=Algorithm.SHA_256, qop_auth=True
                )
            ],
        ),
        (['Digest realm="r" nonce="n n"'], [DigestChallenge(realm="r", nonce="n n")]),
        (
            ['Digest realm="a,b", nonce="n", Basic realm="c"'],
            [DigestChallenge(realm="a,b", nonce="n"), BasicChallenge(realm="c")],
        ),
        (['Digest realm="r\\"s", nonce="n"'], [DigestChallenge(realm='r"s', nonce="n")]),
        (
            ["Digest algorithm=MD5-sess, realm=r, nonce=n"],
            [DigestChallenge(realm="r", nonce="n", algorithm=Algorithm.MD5_SESS)],
        ),
        (["Negotiate", 'Bearer realm="x"', 'Digest realm="r"', 'Digest nonce="n"', "Basic"], []),
        (['Digest realm="r", nonce="n", algorithm="SHA-512"'], []),
        (['Digest realm="r'], []),
    ],
)
def test_challenges(values: list[str], expected: list[Challenge]) -> None:
    assert parse_challenges(values) == expected


@pytest.mark.parametrize(
    "challenge",
    [
        BasicChallenge(realm='with "quotes"'),
        DigestChallenge(
            realm="a, b", nonce="n", stale=True, algorithm=Algorithm.SHA_256, opaque="", qop_auth=True
        ),
    ],
)
def test_challenges_survive(challenge: Challenge) -> None:
    assert parse_challenges([str(challenge)]) == [challenge]


@given(st.lists(st.text(max_size=60), max_size=3))
def test_no_challenge_of_a_stranger_raises(values: list[str]) -> None:
    parse_challenges(values + [f"Digest {value}" for value in values])


def test_basic_keeps_colons_in_the_password() -> None:
    authorization = parse_authorization(str(BasicAuthorization(username="u", password="a:b:c")))
    assert authorization == BasicAuthorization(username="u", password="a:b:c")
    assert "a:b" not in repr(authorization)


def test_digest_survives() -> None:
    authorization = DigestAuthorization(
        username='u"1',
        realm="r, s",
        nonce="n",
        uri="rtsp://h/p?a=b,c",
        response="00ff",
        opaque="o",
        algorithm=Algorithm.MD5,
        qop="auth",
        cnonce="c",
        nonce_count="00000001",
    )
    assert parse_authorization(str(authorization)) == authorization


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Basic",
        "Basic !!!",
        "Basic dXNlcg==",
        "Bearer x",
        'Digest username="u"',
        "Digest",
        'Digest username="u", realm="r", nonce="n", uri="x", response="y", algorithm=CRC',
    ],
)
def test_what_is_no_authorization(text: str) -> None:
    with pytest.raises(MalformedPacket):
        parse_authorization(text)


@given(st.text(max_size=80))
def test_anything_parses_or_is_malformed(text: str) -> None:
    for candidate in (text, f"Digest {text}", f"Basic {text}"):
        with suppress(MalformedPacket):
            parse_authorization(candidate)
