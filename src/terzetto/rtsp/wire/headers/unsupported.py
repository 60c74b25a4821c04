"""Unsupported: the option tags of Require that a server does not know, with its 551."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from terzetto.rtsp.wire.headers.comma_list import split_commas

__all__ = ["format_unsupported", "parse_unsupported"]


def parse_unsupported(values: Sequence[str]) -> list[str]:
    """Every tag, in order, once."""
    return split_commas(values)


def format_unsupported(tags: Iterable[str]) -> str:
    """The header's value."""
    return ", ".join(tags)
