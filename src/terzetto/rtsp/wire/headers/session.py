"""Session: the token of a session, and how long it lives without a sign of life."""

from __future__ import annotations

import re
from typing import Final, Self

from attrs import frozen

from terzetto.errors import MalformedPacket

__all__ = ["DEFAULT_TIMEOUT", "SessionHeader"]

DEFAULT_TIMEOUT: Final = 60
"""Seconds, where the server does not say."""

_TOKEN: Final = re.compile(r"[!-:<-~]{1,256}")


@frozen
class SessionHeader:
    """``token[;timeout=seconds]``; the token is opaque, and all that is ever sent back."""

    token: str
    timeout: int | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a header; an unreadable timeout counts as none."""
        token, _, rest = text.partition(";")
        token = token.strip()
        if not _TOKEN.fullmatch(token):
            raise MalformedPacket("Session has no token")
        timeout = None
        for part in rest.split(";"):
            name, _, value = part.partition("=")
            value = value.strip()
            if name.strip().lower() == "timeout" and value.isascii() and value.isdigit() and len(value) < 8:
                timeout = int(value)
        return cls(token, timeout)

    def __str__(self) -> str:
        return self.token if self.timeout is None else f"{self.token};timeout={self.timeout}"
