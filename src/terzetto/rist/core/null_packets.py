"""Null packets taken out of MPEG-TS payloads before they travel, and put back where they arrive (TR-06-2, section 8).

A constant-rate stream is stuffed with null packets that carry nothing. A bit for each of a payload's seven packets
says which were taken out; what is put back is a canonical null packet, since content and continuity counter of the
deleted one are lost. Restoring works whatever our own setting: the extension says all there is to know.
"""

from __future__ import annotations

from typing import Final

from terzetto.errors import MalformedPacket
from terzetto.primitives.datagrams import Buffer
from terzetto.rist.wire.header_extension import RistHeaderExtension

__all__ = ["delete_null_packets", "restore_null_packets", "with_canonical_nulls"]

_TS_SIZE: Final = 188
_WIDE_SIZE: Final = 204
_SYNC: Final = 0x47
_MOST: Final = 7

# Error indicator, start and priority are zero, the PID is 0x1FFF: what libRIST calls null, and nothing else is.
_NULL_START: Final = b"\x47\x1f\xff"
_NULLS: Final = {size: b"\x47\x1f\xff\x10".ljust(size, b"\xff") for size in (_TS_SIZE, _WIDE_SIZE)}


def delete_null_packets(payload: Buffer) -> tuple[Buffer, RistHeaderExtension | None]:
    """*payload* without its null packets, and the extension that says so; as it was, with None, where it has none.

    What is not one to seven TS packets of one size, each with its sync byte, is left alone.
    """
    length = len(payload)
    size = _TS_SIZE if length % _TS_SIZE == 0 else _WIDE_SIZE
    count, rest = divmod(length, size)
    if rest or not 0 < count <= _MOST:
        return payload, None
    deleted = 0
    kept: list[Buffer] = []
    for index in range(count):
        start = index * size
        if payload[start] != _SYNC:
            return payload, None
        if payload[start : start + 3] == _NULL_START:
            deleted |= 0x40 >> index
        else:
            kept.append(payload[start : start + size])
    if not deleted:
        return payload, None
    # The count is left to the receiver, which can add, as libRIST does.
    extension = RistHeaderExtension(deleted=deleted, wide_packets=size == _WIDE_SIZE)
    return b"".join(kept), extension


def with_canonical_nulls(payload: Buffer) -> Buffer:
    """*payload* as it will be restored: what parities have to be made of (TR-06-2, section 8.6.2)."""
    rest, extension = delete_null_packets(payload)
    return payload if extension is None else restore_null_packets(rest, extension)


def restore_null_packets(payload: Buffer, extension: RistHeaderExtension) -> Buffer:
    """*payload* with null packets where *extension* says they were; MalformedPacket where the two do not agree."""
    deleted = extension.deleted
    if not deleted:
        return payload
    size = _WIDE_SIZE if extension.wide_packets else _TS_SIZE
    present, rest = divmod(len(payload), size)
    if rest:
        raise MalformedPacket("null packet deletion of something else than MPEG-TS")
    count = present + deleted.bit_count()
    if count > _MOST or extension.original_count not in (0, count):
        raise MalformedPacket("null packet deletion adds up wrong")
    if deleted & 0x7F >> count:
        raise MalformedPacket("null packet deletion beyond the payload")
    null = _NULLS[size]
    parts: list[Buffer] = []
    at = 0
    for index in range(count):
        if deleted & 0x40 >> index:
            parts.append(null)
        else:
            parts.append(payload[at : at + size])
            at += size
    return b"".join(parts)
