"""Base64 without end: how a client speaks through an HTTP tunnel.

Each write is encoded by itself and may end in padding, after which another run begins in the same stream.
"""

from __future__ import annotations

import binascii
import re
from typing import Final

from terzetto.errors import MalformedPacket
from terzetto.primitives.datagrams import Buffer

__all__ = ["Base64Decoder", "encode_base64"]

_BLANK: Final = re.compile(rb"[\r\n\t ]+")
_RUN: Final = re.compile(rb"[A-Za-z0-9+/]*={1,2}")


def encode_base64(data: Buffer) -> bytes:
    """One run."""
    return binascii.b2a_base64(data, newline=False)


class Base64Decoder:
    """Takes text cut anywhere; gives bytes as soon as they are whole."""

    def __init__(self) -> None:
        self._kept = b""

    def decode(self, text: bytes) -> bytes:
        """The bytes that are complete with *text*; MalformedPacket when it is no base64."""
        rest = self._kept + _BLANK.sub(b"", text)
        done = []
        while (match := _RUN.search(rest)) is not None:
            if (
                len(match[0]) % 4
                and match.end() == len(rest)
                and match[0].endswith(b"=")
                and match[0][-2:] != b"=="
            ):
                break  # the second of two padding characters is still under way
            done.append(_decode(rest[: match.end()]))
            rest = rest[match.end() :]
        whole = len(rest) - len(rest) % 4
        if b"=" not in rest:
            done.append(_decode(rest[:whole]))
            rest = rest[whole:]
        self._kept = rest
        return b"".join(done)


def _decode(text: bytes) -> bytes:
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except binascii.Error as exc:
        raise MalformedPacket("HTTP tunnel carries no base64") from exc
