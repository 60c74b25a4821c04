"""Requests for repeats in the Advanced profile: 32-bit sequences by ranges or by masks.

::

     0                   1                   2                   3
     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |                     SSRC of the media                         |
    |  each record: first sequence                                  |
    |  how many more, or a mask of the next 32, lowest bit first    |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+

A record of a range may ask for four thousand million packets, so whoever answers expands it here, within limits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from struct import Struct
from typing import Final, NamedTuple, Self

from terzetto.errors import MalformedPacket
from terzetto.primitives.datagrams import Buffer
from terzetto.rist.wire.advanced_control import ControlIndex
from terzetto.rist.wire.nack_records import MAX_RECORDS_ACCEPTED, MAX_SEQUENCES_ACCEPTED, Expanded

__all__ = ["RECORDS_SENT", "AdvancedNack", "nacks_for"]

RECORDS_SENT: Final = 128
"""Records in one message of ours: with all headers they stay below 1100 bytes."""

_SSRC: Final = Struct("!I")
_RECORD: Final = Struct("!II")
_MASK: Final = 0xFFFF_FFFF
_FOLLOWING: Final = 32


class AdvancedNack(NamedTuple):
    """One request."""

    kind: int
    """Whether its records are ranges or masks."""
    ssrc: int
    records: tuple[tuple[int, int], ...]

    def encode(self) -> bytes:
        """The message's body."""
        return _SSRC.pack(self.ssrc) + b"".join([_RECORD.pack(*record) for record in self.records])

    @classmethod
    def decode(cls, index: int, body: Buffer) -> Self:
        """Read a body; MalformedPacket is the only way to fail."""
        if len(body) < _SSRC.size + _RECORD.size:
            raise MalformedPacket("request for repeats is truncated")
        (ssrc,) = _SSRC.unpack_from(body)
        whole = (len(body) - _SSRC.size) // _RECORD.size * _RECORD.size
        records = tuple(_RECORD.iter_unpack(body[_SSRC.size : _SSRC.size + whole]))
        return cls(index, ssrc, records)

    def expand(self) -> Expanded:
        """The sequences it asks for, in its order, as far as the limits allow."""
        sequences: list[int] = []
        for first, rest in self.records[:MAX_RECORDS_ACCEPTED]:
            room = MAX_SEQUENCES_ACCEPTED - len(sequences)
            if self.kind == ControlIndex.NACK_RANGE:
                sequences += [(first + n) & _MASK for n in range(min(rest + 1, room))]
                if rest + 1 > room:
                    return Expanded(sequences, truncated=True)
                continue
            if room < _FOLLOWING + 1:
                return Expanded(sequences, truncated=True)
            sequences.append(first)
            sequences += [(first + 1 + bit) & _MASK for bit in range(_FOLLOWING) if rest >> bit & 1]
        return Expanded(sequences, truncated=len(self.records) > MAX_RECORDS_ACCEPTED)


def nacks_for(
    ssrc: int, sequences: Iterable[int], *, as_bitmask: bool, max_records: int = RECORDS_SENT
) -> list[AdvancedNack]:
    """As many requests as it takes to ask for *sequences*, which ascend around the circle."""
    index = ControlIndex.NACK_BITMASK if as_bitmask else ControlIndex.NACK_RANGE
    records = _masks(sequences) if as_bitmask else _ranges(sequences)
    return [
        AdvancedNack(index, ssrc, tuple(records[start : start + max_records]))
        for start in range(0, len(records), max_records)
    ]


def _ranges(sequences: Iterable[int]) -> Sequence[tuple[int, int]]:
    records: list[tuple[int, int]] = []
    start = -1
    more = 0
    for sequence in sequences:
        if start >= 0 and sequence == (start + more + 1) & _MASK:
            more += 1
            continue
        if start >= 0:
            records.append((start, more))
        start, more = sequence, 0
    if start >= 0:
        records.append((start, more))
    return records


def _masks(sequences: Iterable[int]) -> Sequence[tuple[int, int]]:
    records: list[tuple[int, int]] = []
    start = -1
    mask = 0
    for sequence in sequences:
        ahead = (sequence - start) & _MASK
        if start >= 0 and ahead <= _FOLLOWING:
            mask |= 1 << (ahead - 1) if ahead else 0
            continue
        if start >= 0:
            records.append((start, mask))
        start, mask = sequence, 0
    if start >= 0:
        records.append((start, mask))
    return records
