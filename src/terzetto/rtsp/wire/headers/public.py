"""Public: the methods that a server, or one of its streams, understands."""

from __future__ import annotations

from collections.abc import Iterable

from terzetto.rtsp.wire.headers.comma_list import split_commas

__all__ = ["format_methods", "parse_methods"]


def parse_methods(values: Iterable[str]) -> frozenset[str]:
    """The methods of every such header; separated by commas, with or without blanks."""
    return frozenset(split_commas(value.upper() for value in values))


def format_methods(methods: Iterable[str]) -> str:
    """The header's value."""
    return ", ".join(methods)
