"""The keepalive of the Main profile: who I am, what I can do, and that I am still here.

::

     0                   1                   2                   3
     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |                    MAC address                                |
    |                               |X R B A P E L N D T V J F C G I|
    |  [four bytes of libRIST's]    [JSON, perhaps with a NUL] ...
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+

The MAC address only tells instances apart. Newest libRIST writes four more bytes that announce the Advanced
profile again; they are told from JSON by not being a brace.
"""

from __future__ import annotations

import json
from enum import IntFlag
from struct import Struct
from typing import Final, NamedTuple, Self

from terzetto.errors import MalformedPacket
from terzetto.primitives.datagrams import Buffer

__all__ = ["LIBRIST_CAPABILITIES", "MAC_SIZE", "Capability", "Keepalive"]

MAC_SIZE: Final = 6
_FIXED: Final = Struct("!6sH")
_WORD_SIZE: Final = 4

# No document of the specification nests deeper than four.
_DEEPEST_JSON: Final = 16


class Capability(IntFlag):
    """What a peer can do, or announces."""

    MORE_IN_JSON = 0x8000
    ROUTES_OTHER_TRAFFIC = 0x4000
    BONDING = 0x2000
    ADAPTIVE_ENCODING = 0x1000
    FEC = 0x0800
    """SMPTE ST 2022-1 or -5."""
    SEAMLESS_SWITCHING = 0x0400
    """SMPTE ST 2022-7."""
    LOAD_SHARING = 0x0200
    NULL_PACKET_DELETION = 0x0100
    DISCONNECT = 0x0080
    """The sender of this is leaving."""
    RECONNECT = 0x0040
    REDUCED_OVERHEAD = 0x0020
    JSON = 0x0010
    PASSPHRASE_CHANGE = 0x0008
    ADVANCED_COMPRESSION = 0x0004
    ADVANCED_FRAGMENTATION = 0x0002
    ADVANCED = 0x0001


LIBRIST_CAPABILITIES: Final = (
    Capability.BONDING
    | Capability.SEAMLESS_SWITCHING
    | Capability.NULL_PACKET_DELETION
    | Capability.REDUCED_OVERHEAD
)
"""What libRIST announces: 0x2520."""

# The bits of libRIST's extra word, in its first byte.
_WORD_BITS: Final = {
    0x20: Capability.ADVANCED_COMPRESSION,
    0x40: Capability.ADVANCED_FRAGMENTATION,
    0x80: Capability.ADVANCED,
}


class Keepalive(NamedTuple):
    """One keepalive; ``json`` is the document's text as it came, without its NUL."""

    mac: bytes
    capabilities: Capability
    json: bytes = b""
    has_word: bool = False
    """Whether libRIST's four bytes are there; what they say is part of ``capabilities``."""

    def encode(self) -> bytes:
        """The keepalive as it goes into the tunnel."""
        word = b""
        if self.has_word:
            first = sum(bit for bit, capability in _WORD_BITS.items() if capability in self.capabilities)
            word = bytes((first, 0, 0, 0))
        return _FIXED.pack(self.mac, self.capabilities) + word + self.json

    @classmethod
    def decode(cls, data: Buffer) -> Self:
        """Read a keepalive; MalformedPacket is the only way to fail."""
        if len(data) < _FIXED.size:
            raise MalformedPacket("keepalive is truncated")
        mac, bits = _FIXED.unpack_from(data)
        capabilities = Capability(bits)
        rest = bytes(data[_FIXED.size :])
        has_word = len(rest) >= _WORD_SIZE and not rest.lstrip().startswith(b"{")
        if has_word:
            for bit, capability in _WORD_BITS.items():
                if rest[0] & bit:
                    capabilities |= capability
            rest = rest[_WORD_SIZE:]
        return cls(mac, capabilities, rest.rstrip(b"\0"), has_word)

    def document(self) -> dict[str, object]:
        """What the JSON says; empty where there is none, MalformedPacket where it is no object."""
        text = self.json.strip()
        if not text:
            return {}
        if text.count(b"[") + text.count(b"{") > _DEEPEST_JSON and _depth(text) > _DEEPEST_JSON:
            raise MalformedPacket("keepalive's JSON is nested too deeply")
        try:
            document = json.loads(text)
        except ValueError as exc:
            raise MalformedPacket("keepalive's JSON cannot be read") from exc
        if not isinstance(document, dict):
            raise MalformedPacket("keepalive's JSON is no object")
        return document


def _depth(text: bytes) -> int:
    """Brackets open at once, at most; those in strings count as well, which errs on the safe side."""
    depth = deepest = 0
    for char in text:
        if char in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif char in b"]}":
            depth -= 1
    return deepest
