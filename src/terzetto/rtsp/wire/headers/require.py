"""Require, Proxy-Require and Unsupported: lists of option tags."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

__all__ = ["BACKCHANNEL", "KNOWN_OPTIONS", "ONVIF_REPLAY", "parse_option_tags"]

BACKCHANNEL: Final = "www.onvif.org/ver20/backchannel"
ONVIF_REPLAY: Final = "onvif-replay"

KNOWN_OPTIONS: Final = frozenset({BACKCHANNEL, ONVIF_REPLAY})


def parse_option_tags(values: Iterable[str]) -> list[str]:
    """Every tag, in order, once."""
    tags = (tag for value in values for part in value.split(",") if (tag := part.strip()))
    return list(dict.fromkeys(tags))
