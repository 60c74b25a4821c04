"""What many headers are: tokens between commas, with or without blanks, in one header or several."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["split_commas"]


def split_commas(values: Iterable[str]) -> list[str]:
    """Every token, in order, once; empty ones are none."""
    tokens = (token for value in values for part in value.split(",") if (token := part.strip()))
    return list(dict.fromkeys(tokens))
