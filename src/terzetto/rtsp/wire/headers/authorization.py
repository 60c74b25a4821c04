"""Authorization: a client's answer to a challenge."""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from typing import Final

from attrs import field, frozen

from terzetto.errors import MalformedPacket
from terzetto.rtsp.wire.headers.authenticate import Algorithm
from terzetto.rtsp.wire.headers.parameters import format_quoted, parse_parameters

__all__ = ["Authorization", "BasicAuthorization", "DigestAuthorization", "parse_authorization"]

_ALGORITHMS: Final = {algorithm.value.lower(): algorithm for algorithm in Algorithm}


@frozen(kw_only=True)
class BasicAuthorization:
    """Name and password. The name ends at the first colon; a password may hold more of them."""

    username: str
    password: str = field(repr=False)

    def __str__(self) -> str:
        return (
            "Basic "
            + b64encode(f"{self.username}:{self.password}".encode("utf-8", "surrogateescape")).decode()
        )


@frozen(kw_only=True)
class DigestAuthorization:
    """The proof that somebody knows a password."""

    username: str
    realm: str
    nonce: str
    uri: str
    response: str = field(repr=False)
    opaque: str | None = None
    algorithm: Algorithm | None = None
    qop: str | None = None
    cnonce: str | None = None
    nonce_count: str | None = None

    def __str__(self) -> str:
        parts = [
            f"username={format_quoted(self.username)}",
            f"realm={format_quoted(self.realm)}",
            f"nonce={format_quoted(self.nonce)}",
            f"uri={format_quoted(self.uri)}",
            f'response="{self.response}"',
        ]
        if self.opaque is not None:
            parts.append(f"opaque={format_quoted(self.opaque)}")
        if self.algorithm is not None:
            parts.append(f'algorithm="{self.algorithm.value}"')
        if self.qop is not None:
            parts += [
                f"qop={self.qop}",
                f"nc={self.nonce_count}",
                f"cnonce={format_quoted(self.cnonce or '')}",
            ]
        return "Digest " + ", ".join(parts)


Authorization = BasicAuthorization | DigestAuthorization


def parse_authorization(text: str) -> Authorization:
    """Read a header; MalformedPacket is the only way to fail."""
    scheme, _, rest = text.strip().partition(" ")
    if scheme.lower() == "basic":
        return _parse_basic(rest.strip())
    if scheme.lower() != "digest":
        raise MalformedPacket("Authorization has an unknown scheme")
    values = {key.lower(): value for key, value in parse_parameters(rest, ",")}
    missing = {"username", "realm", "nonce", "uri", "response"} - values.keys()
    if missing:
        raise MalformedPacket("Authorization lacks a part of the digest")
    named = values.get("algorithm", "")
    algorithm = _ALGORITHMS.get(named.lower())
    if named and algorithm is None:
        raise MalformedPacket("Authorization has an unknown algorithm")
    return DigestAuthorization(
        username=values["username"],
        realm=values["realm"],
        nonce=values["nonce"],
        uri=values["uri"],
        response=values["response"],
        opaque=values.get("opaque"),
        algorithm=algorithm,
        qop=values.get("qop") or None,
        cnonce=values.get("cnonce"),
        nonce_count=values.get("nc"),
    )


def _parse_basic(text: str) -> BasicAuthorization:
    try:
        decoded = b64decode(text + "=" * (-len(text) % 4), validate=True).decode("utf-8", "surrogateescape")
    except (binascii.Error, ValueError):
        raise MalformedPacket("Authorization is no base64") from None
    username, colon, password = decoded.partition(":")
    if not colon:
        raise MalformedPacket("Authorization has no colon")
    return BasicAuthorization(username=username, password=password)
