"""The loss report: which packets are missing, as single numbers and ranges.

::

    +-+-------------------------------------------------------------+
    |0|                  one lost sequence number                   |
    +-+-------------------------------------------------------------+
    |1|             first lost sequence number of a range           |
    +-+-------------------------------------------------------------+
    |0|              last lost sequence number of it                |
    +-+-------------------------------------------------------------+
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

from terzetto.errors import MalformedPacket
from terzetto.primitives.datagrams import Buffer
from terzetto.srt.wire.numbers import SEQUENCE_MASK, sequence_distance

__all__ = ["decode_losses", "encode_losses"]

_RANGE = 0x8000_0000


def decode_losses(body: Buffer) -> list[tuple[int, int]]:
    """Ranges of lost sequence numbers, both ends included; `MalformedPacket` is the only way to fail."""
    if not body or len(body) % 4:
        raise MalformedPacket("loss report is not whole words")
    losses = []
    first = None
    for word in struct.unpack(f"!{len(body) // 4}I", body):
        if word & _RANGE:
            if first is not None:
                raise MalformedPacket("loss report has a range without an end")
            first = word & SEQUENCE_MASK
        elif first is None:
            losses.append((word, word))
        else:
            if sequence_distance(first, word) < 0:
                raise MalformedPacket("loss report has a range that runs backwards")
            losses.append((first, word))
            first = None
    if first is not None:
        raise MalformedPacket("loss report has a range without an end")
    return losses


def encode_losses(losses: Iterable[tuple[int, int]], *, most_words: int) -> bytes:
    """A CIF of at most *most_words* words; what does not fit is left to the next report."""
    words: list[int] = []
    for first, last in losses:
        if len(words) + (first != last) >= most_words:
            break
        if first == last:
            words.append(first & SEQUENCE_MASK)
        else:
            words += (first & SEQUENCE_MASK | _RANGE, last & SEQUENCE_MASK)
    return struct.pack(f"!{len(words)}I", *words)
