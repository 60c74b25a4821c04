"""``a=fmtp:<payload type> key=value; key=value``"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from terzetto.errors import MalformedPacket

__all__ = ["format_fmtp", "parse_fmtp"]

_FMTP: Final = re.compile(r"(\d{1,3})(?:\s+(.*))?", re.DOTALL)


def parse_fmtp(text: str) -> tuple[int, dict[str, str]]:
    """The payload type, and its parameters with their keys in lower case.

    Keys without ``=`` are left out; where no ``;`` occurs at all, blanks between ``key=value`` separate as well.
    """
    match = _FMTP.fullmatch(text.strip())
    if match is None or not match[1].isascii() or int(match[1]) > 127:
        raise MalformedPacket("fmtp is malformed")
    rest = match[2] or ""
    parts = rest.split(";") if ";" in rest else re.split(r"\s+(?=[\w-]+=)", rest)
    values: dict[str, str] = {}
    for part in parts:
        key, equals, value = part.strip().partition("=")
        if equals and key:
            values.setdefault(key.strip().lower(), value.strip())
    return int(match[1]), values


def format_fmtp(payload_type: int, parameters: Mapping[str, str]) -> str:
    """The attribute's value."""
    return f"{payload_type} " + "; ".join(f"{key}={value}" for key, value in parameters.items())
