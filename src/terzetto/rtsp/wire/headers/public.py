"""Public and Allow: the methods that a server, or one of its streams, understands."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["format_methods", "parse_methods"]


def parse_methods(values: Iterable[str]) -> frozenset[str]:
    """The methods of every such header; separated by commas, with or without blanks."""
    return frozenset(
        method for value in values for part in value.split(",") if (method := part.strip().upper())
    )


def format_methods(methods: Iterable[str]) -> str:
    """The header's value."""
    return ", ".join(methods)
