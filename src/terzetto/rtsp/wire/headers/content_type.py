"""Content-Type, and telling a session description where the header is missing."""

from __future__ import annotations

from typing import Final

__all__ = ["PARAMETERS", "SDP", "is_sdp", "media_type"]

SDP: Final = "application/sdp"
PARAMETERS: Final = "text/parameters"


def media_type(value: str | None) -> str:
    """Type and subtype, in lower case, without ``;charset=...``; empty where there is no header."""
    return (value or "").partition(";")[0].strip().lower()


def is_sdp(value: str | None, body: bytes) -> bool:
    """Whether *body* is a session description: by its header, or where there is none by its looks."""
    kind = media_type(value)
    if kind:
        return kind == SDP
    text = body.lstrip()
    return text.startswith((b"v=", b"m=")) or b"\nm=" in text
