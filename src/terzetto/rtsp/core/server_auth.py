"""A server's side of authentication: challenges, nonces that go stale, and proofs checked in constant time.

Looking a password up may take a while and belongs to the application, so checking has two halves: `examine` says
who a request claims to be, and the `Claim` it returns checks a password against the proof.
"""

from __future__ import annotations

from enum import Flag, auto
from typing import Final

from attrs import frozen

from terzetto.errors import MalformedPacket
from terzetto.primitives.datagrams import EntropySource
from terzetto.primitives.time import MICROS_PER_SECOND, Micros
from terzetto.rtsp.core.digest import digest_response, equal_text
from terzetto.rtsp.wire.headers.authenticate import Algorithm, BasicChallenge, Challenge, DigestChallenge
from terzetto.rtsp.wire.headers.authorization import (
    BasicAuthorization,
    DigestAuthorization,
    parse_authorization,
)
from terzetto.rtsp.wire.message import Request, Response
from terzetto.rtsp.wire.status import Status

__all__ = ["Claim", "Scheme", "ServerAuthenticator"]

_NONCE_LIFE: Final = 300 * MICROS_PER_SECOND


class Scheme(Flag):
    """Ways of authentication that a server offers."""

    BASIC = auto()
    DIGEST_MD5 = auto()
    DIGEST_SHA_256 = auto()


@frozen
class Claim:
    """Who a request says it comes from, and the proof, not yet checked."""

    username: str
    _authorization: BasicAuthorization | DigestAuthorization
    _method: str

    def matches(self, password: str) -> bool:
        """Whether the proof was made with *password*; an empty user name matches nothing."""
        proof = self._authorization
        if not self.username:
            return False
        if isinstance(proof, BasicAuthorization):
            return equal_text(proof.password, password)
        expected = digest_response(
            algorithm=proof.algorithm,
            username=proof.username,
            password=password,
            realm=proof.realm,
            nonce=proof.nonce,
            method=self._method,
            uri=proof.uri,
            qop=proof.qop,
            cnonce=proof.cnonce or "",
            nonce_count=proof.nonce_count or "",
        )
        return equal_text(expected, proof.response.lower())


class ServerAuthenticator:
    """Challenges and checks the requests of one connection."""

    def __init__(self, realm: str, schemes: Scheme, entropy: EntropySource) -> None:
        self._realm = realm
        self._schemes = schemes
        self._entropy = entropy
        self._nonce = ""
        self._issued: Micros = 0
        self._previous_nonce = ""

    def examine(self, request: Request, *, base: str | None = None, now: Micros) -> Claim | Response:
        """Who *request* claims to be from, or the 401 that asks for it.

        *base* is the URL of the session's streams: some players hash it, rather than the URL of one media, in
        SETUP.
        """
        header = request.fields.get("Authorization")
        if header is None:
            return self.challenge(now=now)
        try:
            authorization = parse_authorization(header)
        except MalformedPacket:
            return self.challenge(now=now)
        if isinstance(authorization, BasicAuthorization):
            if Scheme.BASIC not in self._schemes:
                return self.challenge(now=now)
            return Claim(authorization.username, authorization, request.method)
        if not self._accepts(authorization) or not _covers(authorization.uri, request, base):
            return self.challenge(now=now)
        if authorization.nonce != self._nonce or now - self._issued > _NONCE_LIFE:
            is_stale = authorization.nonce in (self._nonce, self._previous_nonce) and bool(
                authorization.nonce
            )
            return self.challenge(now=now, stale=is_stale)
        return Claim(authorization.username, authorization, request.method)

    def challenge(self, *, now: Micros, stale: bool = False) -> Response:
        """A 401 with a challenge for each scheme."""
        if not self._nonce or now - self._issued > _NONCE_LIFE:
            self._previous_nonce = self._nonce
            self._nonce = self._entropy(16).hex()
            self._issued = now
        response = Response(Status.UNAUTHORIZED)
        for challenge in self._challenges(stale):
            response.fields.add("WWW-Authenticate", str(challenge))
        return response

    def _challenges(self, stale: bool) -> list[Challenge]:
        challenges: list[Challenge] = []
        # Old clients take the first they see and know no more than MD5, so that comes first.
        if Scheme.DIGEST_MD5 in self._schemes:
            challenges.append(DigestChallenge(realm=self._realm, nonce=self._nonce, stale=stale))
        if Scheme.DIGEST_SHA_256 in self._schemes:
            challenges.append(
                DigestChallenge(
                    realm=self._realm, nonce=self._nonce, algorithm=Algorithm.SHA_256, stale=stale
                )
            )
        if Scheme.BASIC in self._schemes:
            challenges.append(BasicChallenge(realm=self._realm))
        return challenges

    def _accepts(self, authorization: DigestAuthorization) -> bool:
        scheme = (
            Scheme.DIGEST_SHA_256
            if authorization.algorithm in (Algorithm.SHA_256, Algorithm.SHA_256_SESS)
            else Scheme.DIGEST_MD5
        )
        return (
            scheme in self._schemes
            and authorization.realm == self._realm
            and authorization.qop in (None, "auth")
        )


def _covers(uri: str, request: Request, base: str | None) -> bool:
    """Whether the proof is about this request: its URL, its path and query, or for SETUP the base."""
    target = request.target
    allowed = {target, _path_of(target)}
    if request.method == "SETUP" and base is not None:
        allowed |= {base, base.rstrip("/"), base.rstrip("/") + "/"}
    return uri in allowed


def _path_of(target: str) -> str:
    _, separator, rest = target.partition("://")
    slash = rest.find("/")
    return rest[slash:] if separator and slash >= 0 else target
