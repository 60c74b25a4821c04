"""``c=IN IP4 224.3.0.1/16`` -- the address of a media, of interest for multicast alone."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Final, NamedTuple, Self

__all__ = ["Connection"]

_ADDRESS: Final = re.compile(r"([0-9A-Fa-f:.]+)(?:/(\d{1,3}))?(?:/(\d{1,5}))?")


class Connection(NamedTuple):
    """A numeric address, with its time to live where given."""

    host: str
    ttl: int | None = None

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """The last word that is an address; cameras write all sorts of things before it, and None is one of them."""
        for word in reversed(text.split()):
            match = _ADDRESS.fullmatch(word)
            if match is None:
                continue
            try:
                ip_address(match[1])
            except ValueError:
                continue
            ttl = int(match[2]) if match[2] and ":" not in match[1] else None
            return cls(match[1], ttl if ttl is None or ttl < 256 else None)
        return None

    @property
    def is_multicast(self) -> bool:
        """Whether the address is a group's."""
        return ip_address(self.host).is_multicast
