"""Where deployed peers of the Advanced profile depart from TR-06-3, each departure under a name of its own."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, TypeAlias

from terzetto.errors import InvalidOption

__all__ = ["LIBRIST_QUIRKS", "Quirk", "Quirks", "parse_quirks"]


class Quirk(StrEnum):
    """One habit of libRIST 0.2.17 and later, which ristgo and ristrust share."""

    CLOCK = "clock"
    """Timestamps of 65536 ticks a microsecond, which wrap 15 times a second; who receives them goes by arrival."""
    NO_DESCRIPTOR = "no-descriptor"
    """Direct payloads without the descriptor of their format."""
    ONE_NACK = "one-nack"
    """One record to a request: more are not read."""
    SHORT_KEEPALIVE = "short-keepalive"
    """Keepalives with a word of capabilities in the place of flags and JSON."""
    LONG_NONCE = "long-nonce"
    """Announcements of a nonce say the size of its key."""
    CLEAR_CONTROL = "clear-control"
    """Control messages are never enciphered; those of the peer are heeded in the clear."""
    NO_ECHO = "no-echo"
    """Echo requests in control messages are not answered: libRIST 0.2.17 misreads the answer by a factor of 65536."""
    MAC_KEY = "mac-key"
    """``ctr-hmac`` with a key for the hash that is derived from the cipher's, as ristgo's and ristrust's cipher
    packages have it; libRIST has no such mode. Who receives takes both."""


Quirks: TypeAlias = frozenset[Quirk]

LIBRIST_QUIRKS: Final[Quirks] = frozenset(Quirk) - {Quirk.MAC_KEY}
"""How libRIST 0.2.17 and 0.2.18 speak."""


def parse_quirks(value: Quirks | str | None) -> Quirks | None:
    """Quirks by name: ``auto`` (None) learns them from the peer, ``none``, ``librist``, or names with commas."""
    if value is None or isinstance(value, frozenset):
        return value
    if value in ("", "auto"):
        return None
    if value == "none":
        return frozenset()
    if value == "librist":
        return LIBRIST_QUIRKS
    try:
        return frozenset(Quirk(name.strip()) for name in value.split(","))
    except ValueError:
        known = ", ".join(["auto", "none", "librist", *Quirk])
        raise InvalidOption(
            f"quirks is {value!r}, must be one of {known}, or several names with commas"
        ) from None
