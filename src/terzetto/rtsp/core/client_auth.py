"""A client's side of authentication: choose a challenge, answer it on every request, know when to give up.

The strongest scheme offered wins: SHA-256, MD5, Basic. The same nonce refused twice means wrong credentials; a new
or stale nonce is answered again, because some servers change it with every request. Basic over a connection that is
not encrypted shows the password to everybody on the way, so it is used only where the server offers nothing else
and the options allow it.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Final

from attrs import field, frozen

from terzetto.primitives.datagrams import EntropySource
from terzetto.rtsp.core.digest import digest_response
from terzetto.rtsp.wire.headers.authenticate import (
    Algorithm,
    BasicChallenge,
    Challenge,
    DigestChallenge,
    parse_challenges,
)
from terzetto.rtsp.wire.headers.authorization import BasicAuthorization, DigestAuthorization
from terzetto.rtsp.wire.message import Request

__all__ = ["ClientAuthenticator", "Credentials", "Verdict"]

_STRENGTH: Final = {
    Algorithm.SHA_256_SESS: 4,
    Algorithm.SHA_256: 3,
    Algorithm.MD5_SESS: 2,
    Algorithm.MD5: 1,
    None: 1,
}


@frozen
class Credentials:
    """Who we say we are."""

    username: str
    password: str = field(repr=False)


class Verdict(Enum):
    """What a 401 asks of us."""

    RETRY = "retry"
    NO_CREDENTIALS = "the server asks for a user name and password, and none were given"
    WRONG_CREDENTIALS = "the server does not accept the user name and password"
    NO_COMMON_SCHEME = "the server offers no way of authentication that we may use"


class ClientAuthenticator:
    """Answers challenges with *credentials*, for one server."""

    def __init__(
        self, credentials: Credentials | None, entropy: EntropySource, *, allow_basic: bool = True
    ) -> None:
        self._credentials = credentials
        self._entropy = entropy
        self._allow_basic = allow_basic
        self._challenge: Challenge | None = None
        self._nonce_count = 0

    @property
    def challenge(self) -> Challenge | None:
        """The challenge being answered."""
        return self._challenge

    def handle_refusal(self, values: Sequence[str], *, was_authorized: bool) -> Verdict:
        """A 401 came with these ``WWW-Authenticate`` headers."""
        if self._credentials is None:
            return Verdict.NO_CREDENTIALS
        challenge = self._choose(parse_challenges(values))
        if challenge is None:
            return Verdict.NO_COMMON_SCHEME
        before, self._challenge = self._challenge, challenge
        self._nonce_count = 0
        if not was_authorized or before is None:
            return Verdict.RETRY
        if isinstance(challenge, BasicChallenge) or isinstance(before, BasicChallenge):
            return Verdict.WRONG_CREDENTIALS
        if challenge.stale or challenge.nonce != before.nonce:
            return Verdict.RETRY
        return Verdict.WRONG_CREDENTIALS

    def authorize(self, request: Request) -> bool:
        """Put our answer into *request*, once there was a challenge; whether we did."""
        challenge, credentials = self._challenge, self._credentials
        if challenge is None or credentials is None:
            return False
        if isinstance(challenge, BasicChallenge):
            basic = BasicAuthorization(username=credentials.username, password=credentials.password)
            request.fields["Authorization"] = str(basic)
            return True
        request.fields["Authorization"] = str(self._digest(challenge, credentials, request))
        return True

    def _digest(
        self, challenge: DigestChallenge, credentials: Credentials, request: Request
    ) -> DigestAuthorization:
        qop = "auth" if challenge.qop_auth else None
        is_session = challenge.algorithm is not None and challenge.algorithm.is_session
        cnonce = self._entropy(16).hex() if qop or is_session else ""
        self._nonce_count += 1
        nonce_count = f"{self._nonce_count:08x}"
        response = digest_response(
            algorithm=challenge.algorithm,
            username=credentials.username,
            password=credentials.password,
            realm=challenge.realm,
            nonce=challenge.nonce,
            method=request.method,
            uri=request.target,
            qop=qop,
            cnonce=cnonce,
            nonce_count=nonce_count,
        )
        return DigestAuthorization(
            username=credentials.username,
            realm=challenge.realm,
            nonce=challenge.nonce,
            uri=request.target,
            response=response,
            opaque=challenge.opaque,
            algorithm=challenge.algorithm,
            qop=qop,
            cnonce=cnonce or None,
            nonce_count=nonce_count if qop else None,
        )

    def _choose(self, challenges: Sequence[Challenge]) -> Challenge | None:
        digests = [each for each in challenges if isinstance(each, DigestChallenge)]
        if digests:
            return max(digests, key=lambda each: _STRENGTH[each.algorithm])
        if isinstance(self._challenge, DigestChallenge):
            # A server that asked for a digest and now asks for the password itself is not the same server.
            return None
        return challenges[0] if challenges and self._allow_basic else None
