"""How long anything that a stranger sends may be; checked before memory is spent on it."""

from __future__ import annotations

from typing import Final

from attrs import frozen

__all__ = ["DEFAULT_LIMITS", "Limits"]


@frozen(kw_only=True)
class Limits:
    """Bounds of one message; the defaults hold the largest that was ever met, several times over."""

    method: int = 64
    target: int = 2048
    reason: int = 255
    header_count: int = 255
    header_name: int = 512
    # RTP-Info of a dozen tracks and a MIKEY message fit eight times.
    header_value: int = 4096
    head: int = 64 * 1024
    body: int = 128 * 1024
    # Cameras put junk between frames, and a parser that looks for the next unit must give up some time.
    junk: int = 64 * 1024


DEFAULT_LIMITS: Final = Limits()
