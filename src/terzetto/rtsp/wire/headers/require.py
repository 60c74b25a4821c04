"""Require and Proxy-Require: option tags that the peer has to know.

A server that is no proxy treats both alike (RFC 2326, 12.27).
"""

from __future__ import annotations

from typing import Final

from terzetto.rtsp.wire.fields import Fields
from terzetto.rtsp.wire.headers.comma_list import split_commas

__all__ = ["BACKCHANNEL", "KNOWN_OPTIONS", "ONVIF_REPLAY", "parse_option_tags"]

BACKCHANNEL: Final = "www.onvif.org/ver20/backchannel"
ONVIF_REPLAY: Final = "onvif-replay"

KNOWN_OPTIONS: Final = frozenset({BACKCHANNEL, ONVIF_REPLAY})


def parse_option_tags(fields: Fields) -> list[str]:
    """Every tag of a message, in order, once."""
    return split_commas([*fields.get_all("Require"), *fields.get_all("Proxy-Require")])
