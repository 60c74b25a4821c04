"""Connection: whether it ends behind this message."""

from __future__ import annotations

from collections.abc import Iterable

from terzetto.rtsp.wire.headers.comma_list import split_commas

__all__ = ["wants_close"]


def wants_close(values: Iterable[str]) -> bool:
    """Whether one of the tokens of every such header is ``close``."""
    return any(token.lower() == "close" for token in split_commas(values))
