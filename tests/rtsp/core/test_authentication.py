from __future__ import annotations

import pytest

from terzetto.rtsp.core.client_auth import ClientAuthenticator, Credentials, Verdict
from terzetto.rtsp.core.digest import digest_response
from terzetto.rtsp.core.guess_brake import GuessBrake
from terzetto.rtsp.core.server_auth import Claim, Scheme, ServerAuthenticator
from terzetto.rtsp.wire.headers.authenticate import Algorithm
from terzetto.rtsp.wire.message import Request, Response

MINUTE = 60_000_000
URL = "rtsp://myhost/mypath?key=val/trackID=3"


class Entropy:
    def __init__(self) -> None:
        self.drawn = 0

    def __call__(self, size: int) -> bytes:
        self.drawn += 1
        return self.drawn.to_bytes(size, "big")


@pytest.mark.parametrize(
    ("algorithm", "expected"),
    [
        (None, "ba6e9cccbfeb38db775378a0a9067ba5"),
        (Algorithm.MD5, "ba6e9cccbfeb38db775378a0a9067ba5"),
        (Algorithm.SHA_256, "e298296ce35c9ab79699c8f3f9508944c1be9395e892f8205b6d66f1b8e663ee"),
    ],
)
def test_digests_of_other_implementations(algorithm: Algorithm | None, expected: str) -> None:
    nonce = "f49ac6dd0ba708d4becddc9692d1f2ce"
    assert expected == digest_response(
        algorithm=algorithm,
        username="myuser",
        password="mypass",
        realm="myrealm",
        nonce=nonce,
        method="SETUP",
        uri=URL,
    )


def test_the_example_of_rfc_7616_with_qop() -> None:
    for algorithm, expected in (
        (Algorithm.MD5, "8ca523f5e9506fed4657c9700eebdbec"),
        (Algorithm.SHA_256, "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ):
        assert expected == digest_response(
            algorithm=algorithm,
            username="Mufasa",
            password="Circle of Life",
            realm="http-auth@example.org",
            nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
            method="GET",
            uri="/dir/index.html",
            qop="auth",
            cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
            nonce_count="00000001",
        )


def conversation(
    schemes: Scheme, password: str = "secret"
) -> tuple[ServerAuthenticator, ClientAuthenticator]:
    server = ServerAuthenticator("realm", schemes, Entropy())
    return server, ClientAuthenticator(Credentials("me", password), Entropy())


def ask(server: ServerAuthenticator, client: ClientAuthenticator, *, now: int = 0) -> Claim | Response:
    request = Request("DESCRIBE", URL)
    client.authorize(request)
    return server.examine(request, now=now)


@pytest.mark.parametrize("schemes", [*Scheme, Scheme.DIGEST_MD5 | Scheme.DIGEST_SHA_256 | Scheme.BASIC])
def test_client_and_server_agree_by_every_scheme(schemes: Scheme) -> None:
    server, client = conversation(schemes)
    refused = ask(server, client)
    assert isinstance(refused, Response)
    assert (
        client.handle_refusal(refused.fields.get_all("WWW-Authenticate"), was_authorized=False)
        is Verdict.RETRY
    )
    claim = ask(server, client)
    assert isinstance(claim, Claim)
    assert claim.username == "me"
    assert claim.matches("secret")
    assert not claim.matches("Secret")


def test_the_strongest_scheme_wins() -> None:
    server, client = conversation(Scheme.DIGEST_MD5 | Scheme.DIGEST_SHA_256 | Scheme.BASIC)
    refused = ask(server, client)
    assert isinstance(refused, Response)
    client.handle_refusal(refused.fields.get_all("WWW-Authenticate"), was_authorized=False)
    request = Request("DESCRIBE", URL)
    client.authorize(request)
    assert 'algorithm="SHA-256"' in request.fields["Authorization"]
    assert "secret" not in request.fields["Authorization"]


def test_a_server_that_asked_for_a_digest_is_never_told_the_password() -> None:
    _, client = conversation(Scheme.DIGEST_MD5)
    client.handle_refusal(['Digest realm="r", nonce="n"'], was_authorized=False)
    assert client.handle_refusal(['Basic realm="r"'], was_authorized=True) is Verdict.NO_COMMON_SCHEME


def test_the_same_nonce_refused_twice_means_a_wrong_password() -> None:
    _, client = conversation(Scheme.DIGEST_MD5)
    challenge = ['Digest realm="r", nonce="n"']
    assert client.handle_refusal(challenge, was_authorized=False) is Verdict.RETRY
    assert client.handle_refusal(challenge, was_authorized=True) is Verdict.WRONG_CREDENTIALS


def test_a_stale_or_changed_nonce_is_answered_again() -> None:
    _, client = conversation(Scheme.DIGEST_MD5)
    client.handle_refusal(['Digest realm="r", nonce="1"'], was_authorized=False)
    assert client.handle_refusal(['Digest realm="r", nonce="2"'], was_authorized=True) is Verdict.RETRY
    stale = ['Digest realm="r", nonce="2", stale="TRUE"']
    assert client.handle_refusal(stale, was_authorized=True) is Verdict.RETRY


def test_without_credentials_or_common_scheme_nothing_is_tried() -> None:
    nobody = ClientAuthenticator(None, Entropy())
    assert nobody.handle_refusal(['Basic realm="r"'], was_authorized=False) is Verdict.NO_CREDENTIALS
    careful = ClientAuthenticator(Credentials("me", "x"), Entropy(), allow_basic=False)
    assert careful.handle_refusal(['Basic realm="r"'], was_authorized=False) is Verdict.NO_COMMON_SCHEME


def test_an_old_nonce_is_stale_rather_than_wrong() -> None:
    server, client = conversation(Scheme.DIGEST_MD5)
    refused = ask(server, client)
    assert isinstance(refused, Response)
    client.handle_refusal(refused.fields.get_all("WWW-Authenticate"), was_authorized=False)
    late = ask(server, client, now=10 * MINUTE)
    assert isinstance(late, Response)
    [challenge] = late.fields.get_all("WWW-Authenticate")
    assert 'stale="TRUE"' in challenge
    assert client.handle_refusal([challenge], was_authorized=True) is Verdict.RETRY
    assert isinstance(ask(server, client, now=10 * MINUTE), Claim)


def test_a_nonce_lasts_for_minutes_only() -> None:
    server, _ = conversation(Scheme.DIGEST_MD5)
    [first, second, third] = [
        server.challenge(now=moment).fields["WWW-Authenticate"] for moment in (0, MINUTE, 10 * MINUTE)
    ]
    assert first == second
    assert first != third


def digest_for(uri: str, method: str, nonce: str) -> Request:
    response = digest_response(
        algorithm=None, username="me", password="secret", realm="realm", nonce=nonce, method=method, uri=uri
    )
    request = Request(method, "rtsp://h/p/trackID=0")
    request.fields["Authorization"] = (
        f'Digest username="me", realm="realm", nonce="{nonce}", uri="{uri}", response="{response}"'
    )
    return request


@pytest.mark.parametrize(
    ("uri", "method", "accepted"),
    [
        ("rtsp://h/p/trackID=0", "SETUP", True),
        ("/p/trackID=0", "SETUP", True),
        ("rtsp://h/p", "SETUP", True),
        ("rtsp://h/p/", "SETUP", True),
        ("rtsp://h/p", "PLAY", False),
        ("rtsp://h/other", "SETUP", False),
    ],
)
def test_the_url_that_was_hashed_must_be_the_request_s(uri: str, method: str, accepted: bool) -> None:
    server = ServerAuthenticator("realm", Scheme.DIGEST_MD5, Entropy())
    server.challenge(now=0)
    claim = server.examine(digest_for(uri, method, (1).to_bytes(16, "big").hex()), base="rtsp://h/p", now=0)
    assert isinstance(claim, Claim) is accepted
    assert not isinstance(claim, Claim) or claim.matches("secret")


def test_an_empty_user_matches_nothing() -> None:
    server = ServerAuthenticator("realm", Scheme.BASIC, Entropy())
    request = Request("DESCRIBE", URL, {"Authorization": "Basic Og=="})
    claim = server.examine(request, now=0)
    assert isinstance(claim, Claim)
    assert not claim.matches("")


@pytest.mark.parametrize("header", ["Basic Og==", "Bearer x", "Digest nonsense", ""])
def test_a_scheme_that_is_not_offered_is_challenged(header: str) -> None:
    server = ServerAuthenticator("realm", Scheme.DIGEST_MD5, Entropy())
    assert isinstance(server.examine(Request("DESCRIBE", URL, {"Authorization": header}), now=0), Response)


def test_guessing_gets_slower_is_forgotten_and_forgiven() -> None:
    brake = GuessBrake()
    delays = [brake.failed("10.0.0.1", now=turn) for turn in range(8)]
    assert delays == sorted(delays)
    assert delays[0] == 250_000
    assert delays[-1] == 8_000_000
    assert brake.failed("10.0.0.2", now=0) == 250_000
    assert brake.failed("10.0.0.1", now=10 * MINUTE) == 250_000
    brake.failed("10.0.0.1", now=10 * MINUTE)
    brake.succeeded("10.0.0.1")
    assert brake.failed("10.0.0.1", now=10 * MINUTE) == 250_000
