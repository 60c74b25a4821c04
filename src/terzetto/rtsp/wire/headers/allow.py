"""Allow: the methods that are possible, with an answer that one is not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from terzetto.rtsp.wire.headers.comma_list import split_commas

__all__ = ["format_allow", "parse_allow"]


def parse_allow(values: Sequence[str]) -> list[str]:
    """The methods of every such header, in order."""
    return split_commas(value.upper() for value in values)


def format_allow(methods: Iterable[str]) -> str:
    """The header's value; empty where nothing is possible."""
    return ", ".join(methods)
