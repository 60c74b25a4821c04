"""Payloads that are not simply what the user gets: fragments, compressed ones, and packets that are no media.

What goes into the recovery buffer is always one packet; a piece is its payload with the flags that say what to do when
it comes out in order. So every fragment is repeated on its own, and a unit is put together only when nothing can be
missing any more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final, Self

import lz4.block

from terzetto.errors import MalformedPacket
from terzetto.primitives.datagrams import Buffer
from terzetto.rist.core.counters import AdvancedCounters
from terzetto.rist.events import OutOfBandReceived, RistPacket
from terzetto.rist.wire.advanced_header import Flag, PayloadType
from terzetto.rist.wire.virtual_ports import PORTS_SIZE

__all__ = [
    "ETHER_TYPES",
    "HOLDS_ITS_PLACE",
    "LARGEST_UNIT",
    "Piece",
    "UnitAssembler",
    "compress",
    "decompress",
    "fragment",
    "unwrap_gre",
]

LARGEST_UNIT: Final = 65_536
"""Bytes of a unit, put together and decompressed: the longest IP packet there is."""

_MOST_FRAGMENTS: Final = 1024
_WHOLE: Final = Flag.FIRST | Flag.LAST

# What a payload of one packet may grow to; libRIST's buffers hold as much.
LARGEST_PACKET: Final = 10_000

ETHER_TYPES: Final = {
    PayloadType.IPV4: 0x0800,
    PayloadType.IPV6: 0x86DD,
    PayloadType.ETHERNET: 0x6558,  # transparent Ethernet bridging
}


class Piece(bytes):
    """A payload and its flags."""

    fragment: Flag
    """FIRST and LAST, where they apply."""
    is_compressed: bool
    kind: int
    label: int | None
    """The flow id of its header, which tells logical flows apart; None is the session's own, or none."""
    is_expedited: bool
    """To be handed out as soon as it arrives, whatever else is missing."""

    def __new__(
        cls,
        payload: Buffer,
        *,
        fragment: Flag = _WHOLE,
        is_compressed: bool = False,
        kind: int = PayloadType.DIRECT,
        label: int | None = None,
        is_expedited: bool = False,
    ) -> Self:
        """Wrap *payload*."""
        piece = super().__new__(cls, payload)
        piece.fragment = fragment
        piece.is_compressed = is_compressed
        piece.kind = kind
        piece.label = label
        piece.is_expedited = is_expedited
        return piece

    @property
    def is_plain(self) -> bool:
        """Whether it is all of what the user sent, as it was."""
        return self.fragment == _WHOLE and not self.is_compressed

    def cut(self, payload: Buffer, fragment: Flag) -> Piece:
        """A part of it."""
        return Piece(
            payload,
            fragment=fragment,
            is_compressed=self.is_compressed,
            kind=self.kind,
            label=self.label,
            is_expedited=self.is_expedited,
        )


HOLDS_ITS_PLACE: Final = Piece(b"", kind=PayloadType.CONTROL)
"""In the place of a packet that has been heard already, and is nothing that the user gets in order."""


def compress(payload: Buffer) -> Buffer:
    """The payload as an LZ4 block, where that is shorter; else as it is."""
    packed: bytes = lz4.block.compress(payload, store_size=False)
    if len(packed) >= len(payload):
        return payload
    if isinstance(payload, Piece):
        return Piece(packed, is_compressed=True, label=payload.label, is_expedited=payload.is_expedited)
    return Piece(packed, is_compressed=True)


def decompress(packed: Buffer, *, limit: int = LARGEST_PACKET) -> bytes:
    """What was compressed, *limit* bytes at most; MalformedPacket is the only way to fail."""
    try:
        plain: bytes = lz4.block.decompress(packed, uncompressed_size=limit)
    except (lz4.block.LZ4BlockError, ValueError, OverflowError) as exc:
        raise MalformedPacket("compressed payload cannot be read") from exc
    return plain


def fragment(payload: Buffer, size: int) -> list[Buffer]:
    """A payload, compressed or not, in pieces of at most *size* bytes."""
    if len(payload) <= size:
        return [payload]
    whole = payload if isinstance(payload, Piece) else Piece(b"")
    starts = range(0, len(payload), size)
    pieces: list[Buffer] = []
    for start in starts:
        flags = Flag(0)
        if start == 0:
            flags |= Flag.FIRST
        if start == starts[-1]:
            flags |= Flag.LAST
        pieces.append(whole.cut(payload[start : start + size], flags))
    return pieces


class UnitAssembler:
    """Turns packets in order into what the user gets, and into data beside the stream."""

    def __init__(self, dropped: Counter[str], counters: AdvancedCounters) -> None:
        self._dropped = dropped
        self._counters = counters
        self._parts: list[RistPacket] = []
        self._size = 0
        # Packets that never came, since the last that the user saw.
        self._lost = 0
        self.out_of_band: list[OutOfBandReceived] = []

    def take(self, packets: Sequence[RistPacket]) -> list[RistPacket]:
        """The units that are whole now; a hole costs the unit that it is in, and no other."""
        whole: list[RistPacket] = []
        for packet in packets:
            payload = packet.payload
            if packet.lost_before:
                self._give_up()
                self._lost += packet.lost_before
            if not isinstance(payload, Piece):
                self._give_up()
                self._emit(whole, packet, payload)
            elif payload.fragment == _WHOLE:
                self._give_up()
                self._finish(whole, packet, payload)
            else:
                self._add(whole, packet, payload)
        return whole

    def _add(self, whole: list[RistPacket], packet: RistPacket, piece: Piece) -> None:
        if piece.fragment & Flag.FIRST:
            self._give_up()
        elif not self._parts:
            self._dropped["fragment of a unit whose beginning is missing"] += 1
            self._counters.fragments_wasted += 1
            return
        self._parts.append(packet)
        self._size += len(piece)
        if self._size > LARGEST_UNIT or len(self._parts) > _MOST_FRAGMENTS:
            self._give_up()
        elif piece.fragment & Flag.LAST:
            parts, self._parts, self._size = self._parts, [], 0
            self._counters.units += 1
            joined = b"".join([part.payload for part in parts])
            self._finish(whole, parts[0], piece.cut(joined, _WHOLE))

    def _finish(self, whole: list[RistPacket], first: RistPacket, unit: Piece) -> None:
        payload = bytes(unit)
        if unit.is_compressed:
            try:
                payload = decompress(unit, limit=LARGEST_UNIT)
            except MalformedPacket as malformed:
                self._dropped[malformed.reason] += 1
                return
            self._counters.decompressed += 1
        if unit.kind in (PayloadType.DIRECT, PayloadType.REDUCED_UDP):
            if unit.label or unit.is_expedited:
                first = first._replace(advanced_flow_id=unit.label or 0, is_expedited=unit.is_expedited)
            self._emit(whole, first, payload if unit.kind == PayloadType.DIRECT else payload[PORTS_SIZE:])
        elif unit.kind in ETHER_TYPES:
            self.out_of_band.append(OutOfBandReceived(ETHER_TYPES[PayloadType(unit.kind)], payload))
        elif unit.kind == PayloadType.GRE:
            unwrapped = unwrap_gre(payload)
            if unwrapped is None:
                self._dropped["GRE packet is truncated"] += 1
            else:
                self.out_of_band.append(unwrapped)

    def _emit(self, whole: list[RistPacket], first: RistPacket, payload: bytes) -> None:
        if self._lost != first.lost_before or payload is not first.payload:
            first = first._replace(payload=payload, lost_before=self._lost)
        self._lost = 0
        whole.append(first)

    def _give_up(self) -> None:
        """The unit that was begun will never be whole."""
        if self._parts:
            self._dropped["fragment of a unit that is not whole"] += len(self._parts)
            self._counters.fragments_wasted += len(self._parts)
            self._parts, self._size = [], 0


def unwrap_gre(payload: bytes) -> OutOfBandReceived | None:
    """GRE as RFC 2784 has it: flags, protocol type, perhaps a checksum."""
    start = 8 if payload and payload[0] & 0x80 else 4
    if len(payload) < start:
        return None
    return OutOfBandReceived(int.from_bytes(payload[2:4], "big"), payload[start:])
