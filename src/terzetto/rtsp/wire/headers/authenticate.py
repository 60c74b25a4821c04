"""WWW-Authenticate: how a server wants to be told who asks (RFC 7617, RFC 2069, RFC 7616).

Several challenges come as several headers, or behind one another in one. Schemes we do not know are stepped over.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import Enum
from typing import Final

from attrs import frozen

from terzetto.errors import MalformedPacket
from terzetto.rtsp.wire.headers.parameters import format_quoted, parse_parameters, split_outside_quotes

__all__ = ["Algorithm", "BasicChallenge", "Challenge", "DigestChallenge", "parse_challenges"]


class Algorithm(Enum):
    """The hash of a digest; the values are what the wire says."""

    MD5 = "MD5"
    MD5_SESS = "MD5-sess"
    SHA_256 = "SHA-256"
    SHA_256_SESS = "SHA-256-sess"

    @property
    def is_session(self) -> bool:
        """Whether the secret is hashed once more with both nonces."""
        return self.value.endswith("-sess")


_ALGORITHMS: Final = {algorithm.value.lower(): algorithm for algorithm in Algorithm}
_SCHEME: Final = re.compile(r"\s*([A-Za-z][A-Za-z0-9_-]*)(?:\s+|$)(?!\s*=)")


@frozen(kw_only=True)
class BasicChallenge:
    """Name and password, as good as in clear."""

    realm: str

    def __str__(self) -> str:
        return f"Basic realm={format_quoted(self.realm)}"


@frozen(kw_only=True)
class DigestChallenge:
    """A hash of name, password, nonce, method and URL.

    ``algorithm`` is None where the server did not say, which means MD5, and is then not to be said back.
    """

    realm: str
    nonce: str
    algorithm: Algorithm | None = None
    opaque: str | None = None
    stale: bool = False
    qop_auth: bool = False

    def __str__(self) -> str:
        parts = [f"realm={format_quoted(self.realm)}", f"nonce={format_quoted(self.nonce)}"]
        if self.algorithm is not None:
            parts.append(f'algorithm="{self.algorithm.value}"')
        if self.opaque is not None:
            parts.append(f"opaque={format_quoted(self.opaque)}")
        if self.stale:
            parts.append('stale="TRUE"')
        if self.qop_auth:
            parts.append('qop="auth"')
        return "Digest " + ", ".join(parts)


Challenge = BasicChallenge | DigestChallenge


def parse_challenges(values: Iterable[str]) -> list[Challenge]:
    """Every challenge we could answer, in the order given; what cannot be read is left out."""
    challenges: list[Challenge] = []
    for value in values:
        try:
            parts = split_outside_quotes(value, ",")
        except MalformedPacket:
            continue
        scheme, collected = "", list[str]()
        for part in parts:
            match = _SCHEME.match(part)
            if match is not None:
                _finish(scheme, collected, challenges)
                scheme, collected = match[1].lower(), [part[match.end() :]]
            else:
                collected.append(part)
        _finish(scheme, collected, challenges)
    return challenges


# Some servers put blanks where the commas belong.
_BLANK_SEPARATED: Final = re.compile(r'\s+(?=[A-Za-z]+\s*=)(?=(?:[^"]*"[^"]*")*[^"]*$)')


def _finish(scheme: str, parts: list[str], challenges: list[Challenge]) -> None:
    if scheme not in ("basic", "digest"):
        return
    text = ",".join(_BLANK_SEPARATED.sub(",", part.strip()) for part in parts)
    values = {key.lower(): value for key, value in parse_parameters(text, ",")}
    if "realm" not in values:
        return
    if scheme == "basic":
        challenges.append(BasicChallenge(realm=values["realm"]))
        return
    named = values.get("algorithm", "").lower()
    algorithm = _ALGORITHMS.get(named)
    if "nonce" not in values or (named and algorithm is None):
        return
    qops = [qop.strip().lower() for qop in values.get("qop", "").split(",")]
    challenges.append(
        DigestChallenge(
            realm=values["realm"],
            nonce=values["nonce"],
            algorithm=algorithm,
            opaque=values.get("opaque"),
            stale=values.get("stale", "").lower() == "true",
            qop_auth="auth" in qops,
        )
    )
