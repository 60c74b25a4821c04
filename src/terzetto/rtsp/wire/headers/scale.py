"""Scale and Speed: how fast the presentation goes by, and how fast it is delivered.

``Scale: -2`` is backwards at twice the pace; ``Speed: 2`` has the bits of normal play come twice as fast.
"""

from __future__ import annotations

import math

from terzetto.errors import MalformedPacket

__all__ = ["format_scale", "parse_scale", "parse_speed"]

_LONGEST = 32


def parse_scale(text: str) -> float:
    """The factor, not zero; negative is backwards."""
    digits = text.strip()
    try:
        factor = float(digits) if len(digits) <= _LONGEST and digits.isascii() else math.nan
    except ValueError:
        factor = math.nan
    if not math.isfinite(factor) or not factor or "_" in digits:
        raise MalformedPacket("Scale or Speed is no factor")
    return factor


def parse_speed(text: str) -> float:
    """The factor, above zero. An upper bound behind a hyphen, as RTSP 2.0 has it, is left out."""
    factor = parse_scale(text.partition("-")[0])
    if factor < 0:
        raise MalformedPacket("Speed is below zero")
    return factor


def format_scale(factor: float) -> str:
    """The header's value, of Scale and of Speed."""
    return f"{factor:g}"
