"""Does a deciphered body of the Advanced profile look as if it had been deciphered with the right key?

Counter mode carries no seal. A control message's length must fit, a descriptor must be one that we know, a transport
stream must begin its packets where they begin; a payload of which none can be asked tells nothing.
"""

from __future__ import annotations

from typing import Final

from terzetto.errors import MalformedPacket
from terzetto.primitives.datagrams import Buffer
from terzetto.rist.core.advanced_pieces import decompress
from terzetto.rist.core.psk_evidence import Evidence, is_transport_stream
from terzetto.rist.wire.advanced_control import decode_control
from terzetto.rist.wire.advanced_header import AdvancedBody, Compression, Flag, PayloadType

__all__ = ["MPEG_TS", "advanced_evidence"]

MPEG_TS: Final = 0x41AF_D040
"""The payload format descriptor of MPEG transport streams."""

_WHOLE: Final = Flag.FIRST | Flag.LAST


def advanced_evidence(word: int, plain: Buffer) -> Evidence:
    """What *plain* says, the flags of its header being *word*."""
    kind = word & 0x0F
    is_whole = word & _WHOLE == _WHOLE
    if kind == PayloadType.CONTROL:
        return _of_control(plain) if is_whole else Evidence.NONE
    try:
        body = AdvancedBody.decode(plain, word)
    except MalformedPacket:
        return Evidence.AGAINST
    if body.descriptor == MPEG_TS:
        return Evidence.PROOF
    payload = body.payload
    if is_whole and word >> 4 & 3 == Compression.LZ4:
        try:
            payload = decompress(payload)
        except MalformedPacket:
            return Evidence.AGAINST
    if kind == PayloadType.IPV4 and word & Flag.FIRST:
        return Evidence.NONE if payload[:1] == b"\x45" else Evidence.AGAINST
    if kind == PayloadType.DIRECT and is_transport_stream(payload):
        return Evidence.PROOF
    return Evidence.NONE


def _of_control(plain: Buffer) -> Evidence:
    try:
        _, body = decode_control(plain)
    except MalformedPacket:
        return Evidence.AGAINST
    return Evidence.PROOF if 4 + len(body) == len(plain) else Evidence.AGAINST
