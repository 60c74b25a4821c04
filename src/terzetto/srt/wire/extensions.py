"""The blocks behind a handshake: each a type, a length in words, and a body.

::

    +-------------------------------+-------------------------------+
    |             type              |        length in words        |
    +-------------------------------+-------------------------------+
    |                             body ...                          |

    HSREQ (1), HSRSP (2)
    +---------------------------------------------------------------+
    |                     version 0x00MMmmpp                        |
    +---------------------------------------------------------------+
    |                           flags                               |
    +-------------------------------+-------------------------------+
    |      receiver's delay, ms     |   sender's wish for it, ms    |
    +-------------------------------+-------------------------------+

    GROUP (8)
    +---------------------------------------------------------------+
    |                          group id                             |
    +---------------+---------------+-------------------------------+
    |     type      |     flags     |            weight             |
    +---------------+---------------+-------------------------------+

Strings (SID 5, CONGESTION 6, FILTER 7) are padded with zeros to whole words and each word is byte-reversed,
the trace of a library that swapped every word of a control packet.
"""

from __future__ import annotations

import struct
from enum import IntEnum, IntFlag
from typing import Final

import attrs

from terzetto.errors import MalformedPacket
from terzetto.srt.wire.handshake import BlockFlag
from terzetto.srt.wire.key_material import LARGEST_KEY_MATERIAL, KmState
from terzetto.srt.wire.rejection import RejectionReason

__all__ = [
    "GROUP_BIT",
    "LONGEST_CONGESTION",
    "LONGEST_FILTER",
    "LONGEST_STREAM_ID",
    "Capabilities",
    "Capability",
    "ExtensionRefused",
    "Extensions",
    "GroupKind",
    "GroupMembership",
]

LONGEST_STREAM_ID: Final = 512
LONGEST_CONGESTION: Final = 16
LONGEST_FILTER: Final = 64

_HSREQ, _HSRSP, _KMREQ, _KMRSP, _SID, _CONGESTION, _FILTER, _GROUP = range(1, 9)

_BLOCK: Final = struct.Struct("!HH")
_CAPABILITIES: Final = struct.Struct("!IIHH")
_MEMBERSHIP: Final = struct.Struct("!IBBH")
GROUP_BIT: Final = 0x4000_0000


class ExtensionRefused(MalformedPacket):
    """A block that nobody could accept; ``rejection`` is what to tell the peer."""

    def __init__(self, reason: str, rejection: RejectionReason = RejectionReason.ROGUE) -> None:
        super().__init__(reason)
        self.rejection = rejection


class Capability(IntFlag):
    """The flags of HSREQ and HSRSP."""

    TSBPD_SENDER = 0x01
    TSBPD_RECEIVER = 0x02
    CRYPT = 0x04
    TOO_LATE_DROP = 0x08
    PERIODIC_NAK = 0x10
    RETRANSMIT_FLAG = 0x20
    STREAM = 0x40
    PACKET_FILTER = 0x80


@attrs.frozen
class Capabilities:
    """What a side can do, and how long it wants packets held."""

    version: int
    flags: Capability
    receiver_delay_ms: int = 0
    sender_delay_ms: int = 0
    """With peers of before 1.3.0 the only one, for data flows one way: what is offered, then what is agreed."""

    @classmethod
    def decode(cls, body: bytes) -> Capabilities:
        """Parse the body of HSREQ or HSRSP; `ExtensionRefused` is the only way to fail."""
        if len(body) == 8:
            version, flags = struct.unpack("!II", body)
            if flags & (Capability.TSBPD_SENDER | Capability.TSBPD_RECEIVER):
                raise ExtensionRefused("capabilities promise a delay and do not say which")
            return cls(version, Capability(flags))
        if len(body) != _CAPABILITIES.size:
            raise ExtensionRefused("capabilities have the wrong size")
        version, flags, receiver_delay, sender_delay = _CAPABILITIES.unpack(body)
        return cls(version, Capability(flags), receiver_delay, sender_delay)

    def encode(self) -> bytes:
        """The body."""
        return _CAPABILITIES.pack(self.version, self.flags, self.receiver_delay_ms, self.sender_delay_ms)


class GroupKind(IntEnum):
    """How the members of a group share the work."""

    BROADCAST = 1
    """Every packet travels on every member."""
    BACKUP = 2
    """Packets travel on the best member; the others stand by."""
    BALANCING = 3
    """Each packet travels on one member. Reserved by libsrt, which refuses it; ours alone."""


@attrs.frozen
class GroupMembership:
    """The connection belongs to a group of its sender's."""

    group_id: int
    kind: int
    """A `GroupKind`, or a number that nobody has given a meaning."""
    flags: int = 0
    weight: int = 0


@attrs.frozen(kw_only=True)
class Extensions:
    """Everything a conclusion can carry; what did not travel is None, or an empty string."""

    capabilities: Capabilities | None = None
    stream_id: bytes = b""
    congestion: bytes = b""
    packet_filter: bytes = b""
    group: GroupMembership | None = None
    key_material: bytes = b""
    """A key material message, unread."""
    key_status: KmState | None = None
    """Instead of key material in a response: why there is none."""

    @classmethod
    def decode(cls, blocks: bytes) -> Extensions:
        """Walk the blocks; `ExtensionRefused` is the only way to fail. Types we do not know are skipped."""
        found: dict[int, bytes] = {}
        offset = 0
        while offset < len(blocks):
            if len(blocks) - offset < _BLOCK.size:
                raise ExtensionRefused("extension block is truncated")
            kind, words = _BLOCK.unpack_from(blocks, offset)
            offset += _BLOCK.size
            if len(blocks) - offset < 4 * words:
                raise ExtensionRefused("extension block runs past the packet")
            if kind in found:
                reason = RejectionReason.FILTER if kind == _FILTER else RejectionReason.ROGUE
                raise ExtensionRefused("extension block comes twice", reason)
            found[kind] = blocks[offset : offset + 4 * words]
            offset += 4 * words
        capabilities = found.get(_HSREQ, found.get(_HSRSP))
        material, status = _decode_key_block(found)
        return cls(
            capabilities=None if capabilities is None else Capabilities.decode(capabilities),
            stream_id=_decode_text(found.get(_SID, b""), LONGEST_STREAM_ID),
            congestion=_decode_text(found.get(_CONGESTION, b""), LONGEST_CONGESTION),
            packet_filter=_decode_text(found.get(_FILTER, b""), LONGEST_FILTER, RejectionReason.FILTER),
            group=None if _GROUP not in found else _decode_group(found[_GROUP]),
            key_material=material,
            key_status=status,
        )

    def encode(self, *, is_response: bool) -> bytes:
        """The blocks, in the order that libsrt writes them."""
        blocks = []
        if self.capabilities is not None:
            blocks.append(_block(_HSRSP if is_response else _HSREQ, self.capabilities.encode()))
        for kind, text in (
            (_SID, self.stream_id),
            (_CONGESTION, self.congestion),
            (_FILTER, self.packet_filter),
        ):
            if text:
                blocks.append(_block(kind, _swap_words(text)))
        if self.group is not None:
            g = self.group
            blocks.append(_block(_GROUP, _MEMBERSHIP.pack(g.group_id, g.kind, g.flags, g.weight)))
        if self.key_material:
            blocks.append(_block(_KMRSP if is_response else _KMREQ, self.key_material))
        elif self.key_status is not None:
            blocks.append(_block(_KMRSP, self.key_status.encode()))
        return b"".join(blocks)

    @property
    def flags(self) -> BlockFlag:
        """What the handshake's extension field says of these blocks."""
        flags = BlockFlag(0)
        if self.capabilities is not None:
            flags |= BlockFlag.CAPABILITIES
        if self.key_material or self.key_status is not None:
            flags |= BlockFlag.KEY_MATERIAL
        if self.stream_id or self.congestion or self.packet_filter or self.group is not None:
            flags |= BlockFlag.CONFIGURATION
        return flags


def _block(kind: int, body: bytes) -> bytes:
    return _BLOCK.pack(kind, len(body) // 4) + body


def _swap_words(data: bytes) -> bytes:
    words = -(-len(data) // 4)
    padded = data.ljust(4 * words, b"\0")
    return struct.pack(f"<{words}I", *struct.unpack(f">{words}I", padded))


def _decode_text(body: bytes, longest: int, rejection: RejectionReason = RejectionReason.ROGUE) -> bytes:
    if len(body) > longest:
        raise ExtensionRefused("text block is too long", rejection)
    return _swap_words(body).rstrip(b"\0")


def _decode_group(body: bytes) -> GroupMembership:
    if len(body) != _MEMBERSHIP.size:
        raise ExtensionRefused("group block has the wrong size")
    group_id, kind, flags, weight = _MEMBERSHIP.unpack(body)
    if not group_id & GROUP_BIT:
        raise ExtensionRefused("group id is not one")
    return GroupMembership(group_id, kind, flags, weight)


def _decode_key_block(found: dict[int, bytes]) -> tuple[bytes, KmState | None]:
    request = found.get(_KMREQ)
    response = found.get(_KMRSP)
    if response is not None and len(response) == 4:
        return b"", KmState.decode(response)
    material = request if request is not None else response
    if material is None:
        return b"", None
    if len(material) > LARGEST_KEY_MATERIAL:
        raise ExtensionRefused("key material is too long")
    if not material:
        raise ExtensionRefused("key material is empty")
    return material, None
