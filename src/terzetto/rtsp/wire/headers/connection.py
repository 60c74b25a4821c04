"""Connection: whether it ends behind this message."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["wants_close"]


def wants_close(values: Iterable[str]) -> bool:
    """Whether one of the tokens of every such header is ``close``."""
    return any(token.strip().lower() == "close" for value in values for token in value.split(","))
