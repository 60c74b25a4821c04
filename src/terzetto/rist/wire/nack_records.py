"""Sequence numbers into the records of a NACK and back, with limits on what one message may ask.

Both kinds of record are four bytes: a *range* (first, how many more) or a *mask* (first, which of the next
sixteen). A range of one record can ask for 65536 packets, so a few bytes from a stranger could cause a flood:
whoever answers a NACK expands it here, and nothing beyond the limits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby, islice
from typing import Final, NamedTuple

from terzetto.rist.wire.range_nack import NackRange, RangeNack
from terzetto.rtp.feedback import GenericNack, NackMask

__all__ = [
    "MAX_RECORDS_ACCEPTED",
    "MAX_RECORDS_SENT",
    "MAX_SEQUENCES_ACCEPTED",
    "Expanded",
    "expand",
    "generic_nacks",
    "masks_from_sequences",
    "range_nacks",
    "ranges_from_sequences",
    "split_by_high",
]

MAX_RECORDS_SENT: Final = 16
"""TR-06-1 allows no more in one message."""

MAX_RECORDS_ACCEPTED: Final = 256
"""libRIST puts up to 200 sequence numbers into one message, each of which may need a record of its own."""

MAX_SEQUENCES_ACCEPTED: Final = 16_384
"""More than a second of 100 Mbit/s in packets of 1316 bytes; nobody recovers a longer outage in one go."""

_MASK: Final = 0xFFFF
_MAX_EXTRA: Final = 0xFFFF
_FOLLOWING: Final = 16


class Expanded(NamedTuple):
    """The sequence numbers a NACK asks for, in its order; ``truncated`` where the limits cut some off."""

    sequences: list[int]
    truncated: bool


def ranges_from_sequences(sequences: Iterable[int]) -> list[NackRange]:
    """The fewest range records for *sequences*, which ascend around the circle; 16 low bits count."""
    records: list[NackRange] = []
    start, extra = -1, -1
    for sequence in sequences:
        low = sequence & _MASK
        if extra >= 0 and low == (start + extra + 1) & _MASK and extra < _MAX_EXTRA:
            extra += 1
            continue
        if extra >= 0:
            records.append(NackRange(start, extra))
        start, extra = low, 0
    if extra >= 0:
        records.append(NackRange(start, extra))
    return records


def masks_from_sequences(sequences: Iterable[int]) -> list[NackMask]:
    """The fewest mask records for *sequences*, which ascend around the circle; 16 low bits count."""
    records: list[NackMask] = []
    packet_id, following = -1, 0
    for sequence in sequences:
        low = sequence & _MASK
        if packet_id >= 0:
            ahead = (low - packet_id) & _MASK
            if ahead == 0:
                continue
            if ahead <= _FOLLOWING:
                following |= 1 << (ahead - 1)
                continue
            records.append(NackMask(packet_id, following))
        packet_id, following = low, 0
    if packet_id >= 0:
        records.append(NackMask(packet_id, following))
    return records


def range_nacks(
    media_ssrc: int, sequences: Iterable[int], *, max_records: int = MAX_RECORDS_SENT
) -> list[RangeNack]:
    """As many range NACKs as it takes to ask for *sequences*."""
    records = ranges_from_sequences(sequences)
    return [
        RangeNack(media_ssrc, tuple(records[first : first + max_records]))
        for first in range(0, len(records), max_records)
    ]


def generic_nacks(
    sender_ssrc: int, media_ssrc: int, sequences: Iterable[int], *, max_records: int = MAX_RECORDS_SENT
) -> list[GenericNack]:
    """As many bit mask NACKs as it takes to ask for *sequences*."""
    records = masks_from_sequences(sequences)
    return [
        GenericNack(sender_ssrc, media_ssrc, tuple(records[first : first + max_records]))
        for first in range(0, len(records), max_records)
    ]


def expand(
    nack: RangeNack | GenericNack,
    *,
    high: int | None = None,
    max_records: int = MAX_RECORDS_ACCEPTED,
    max_sequences: int = MAX_SEQUENCES_ACCEPTED,
) -> Expanded:
    """The sequence numbers that a peer's *nack* asks for, as far as the limits allow.

    With *high*, the upper half that an EXTSEQ said before, they have 32 bits; records may run on into the next half.
    """
    base, circle = (0, _MASK) if high is None else (high << 16, 0xFFFF_FFFF)
    if isinstance(nack, RangeNack):
        records: Sequence[tuple[int, int]] = nack.ranges
        one_record: Callable[[int, int], Iterable[int]] = _expand_range
    else:
        records = nack.masks
        one_record = _expand_mask
    sequences: list[int] = []
    truncated = len(records) > max_records
    for record in records[:max_records]:
        room = max_sequences - len(sequences)
        wanted = [(base + low) & circle for low in islice(one_record(*record), room + 1)]
        if len(wanted) > room:
            sequences += wanted[:room]
            return Expanded(sequences, truncated=True)
        sequences += wanted
    return Expanded(sequences, truncated)


def split_by_high(sequences: Iterable[int]) -> list[tuple[int, list[int]]]:
    """32-bit *sequences* in groups of equal upper half, as (upper, lowers); an EXTSEQ goes before each."""
    return [
        (high, [sequence & _MASK for sequence in group])
        for high, group in groupby(sequences, lambda sequence: sequence >> 16 & _MASK)
    ]


def _expand_range(start: int, extra: int) -> Iterable[int]:
    return range(start, start + extra + 1)


def _expand_mask(packet_id: int, following: int) -> Iterable[int]:
    yield packet_id
    for bit in range(_FOLLOWING):
        if following >> bit & 1:
            yield packet_id + 1 + bit
