"""CSeq: the number that ties an answer to its request."""

from __future__ import annotations

from terzetto.errors import MalformedPacket

__all__ = ["parse_cseq"]


def parse_cseq(text: str) -> int:
    """The number; MalformedPacket for what is none. Servers need it only as text, to send it back."""
    digits = text.strip()
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 20:
        raise MalformedPacket("CSeq is not a number")
    return int(digits)
