"""The VSF protocol type of GRE (revision 2): one EtherType for everything of RIST, told apart by a subtype.

::

     0                   1                   2                   3
     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |        type = 0 (RIST)        |            subtype            |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+

Older revisions have an EtherType for each. `TunnelContent` is the one name for both, and either form is read
whatever the header's revision says, since the layout leaves no doubt.
"""

from __future__ import annotations

from enum import Enum
from struct import Struct
from typing import Final

from terzetto.errors import MalformedPacket
from terzetto.primitives.datagrams import Buffer
from terzetto.rist.wire.gre import EAPOL, KEEPALIVE, REDUCED, VSF

__all__ = ["NONCE_SIZE", "VSF_SIZE", "TunnelContent", "decode_future_nonce", "unwrap", "wrapping"]

VSF_SIZE: Final = 4
NONCE_SIZE: Final = 4
_VSF: Final = Struct("!HH")
_RIST_TYPE: Final = 0


class TunnelContent(Enum):
    """What a datagram of the tunnel carries."""

    DATA = "data"
    """Virtual ports, then RTP or RTCP."""
    KEEPALIVE = "keepalive"
    FUTURE_NONCE = "future nonce"
    """The nonce that will be used next, so that its key can be made in time."""
    BUFFER_NEGOTIATION = "buffer negotiation"
    EAPOL = "eapol"
    """Authentication; never enciphered."""
    OUT_OF_BAND = "out of band"
    """Any other EtherType."""


_SUBTYPES: Final = {
    0x0000: TunnelContent.DATA,
    0x8000: TunnelContent.KEEPALIVE,
    0x8001: TunnelContent.FUTURE_NONCE,
    0x8002: TunnelContent.BUFFER_NEGOTIATION,
}
_HEADERS: Final = {content: _VSF.pack(_RIST_TYPE, subtype) for subtype, content in _SUBTYPES.items()}
_TYPES: Final = {
    REDUCED: TunnelContent.DATA,
    KEEPALIVE: TunnelContent.KEEPALIVE,
    EAPOL: TunnelContent.EAPOL,
}
_OLD_TYPES: Final = {content: protocol_type for protocol_type, content in _TYPES.items()}


def unwrap(protocol_type: int, payload: Buffer) -> tuple[TunnelContent, Buffer]:
    """What a GRE payload, already deciphered, carries; MalformedPacket where VSF's header makes no sense.

    That header is the best sign that a datagram was deciphered with the right key.
    """
    if protocol_type != VSF:
        return _TYPES.get(protocol_type, TunnelContent.OUT_OF_BAND), payload
    if len(payload) < VSF_SIZE:
        raise MalformedPacket("VSF header is truncated")
    kind, subtype = _VSF.unpack_from(payload)
    content = _SUBTYPES.get(subtype)
    if kind != _RIST_TYPE:
        raise MalformedPacket("unknown VSF type")
    if content is None:
        raise MalformedPacket("unknown VSF subtype")
    return content, payload[VSF_SIZE:]


def wrapping(content: TunnelContent, version: int) -> tuple[int, bytes]:
    """How *content* goes out in that revision of GRE: its protocol type, and what to put before it.

    ValueError where the revision has no such thing, or where the type is the application's choice.
    """
    if content is TunnelContent.EAPOL:
        return EAPOL, b""
    if version >= 2 and content in _HEADERS:
        return VSF, _HEADERS[content]
    if content in _OLD_TYPES:
        return _OLD_TYPES[content], b""
    raise ValueError(f"revision {version} of RIST's GRE has no type for {content.value}")


def decode_future_nonce(body: Buffer) -> bytes:
    """The announced nonce; MalformedPacket is the only way to fail."""
    if len(body) < NONCE_SIZE:
        raise MalformedPacket("future nonce is truncated")
    return bytes(body[:NONCE_SIZE])
