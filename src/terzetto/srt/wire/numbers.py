"""SRT's circular numbers, and how to make them straight.

Sequence numbers have 31 bits and wrap. Inside the core they never do: a number from the wire is *unwrapped*,
once, against one we know to be near, into an ordinary integer (a *position*) that is compared and subtracted
like any other; masking it gives the wire's number back.
"""

from __future__ import annotations

from typing import Final

__all__ = [
    "MESSAGE_NUMBER_MAX",
    "SEQUENCE_MASK",
    "next_message_number",
    "sequence_distance",
    "unwrap_sequence",
    "unwrap_timestamp",
]

SEQUENCE_MASK: Final = 0x7FFF_FFFF
MESSAGE_NUMBER_MAX: Final = 0x03FF_FFFF

_SEQUENCE_HALF: Final = 0x4000_0000
_TIMESTAMP_MASK: Final = 0xFFFF_FFFF
_TIMESTAMP_HALF: Final = 0x8000_0000


def sequence_distance(earlier: int, later: int) -> int:
    """Signed steps from one sequence number to another, by the shorter way round."""
    return ((later - earlier + _SEQUENCE_HALF) & SEQUENCE_MASK) - _SEQUENCE_HALF


def unwrap_sequence(sequence: int, near: int) -> int:
    """The position nearest to position *near* whose wire number is *sequence*."""
    return near + ((sequence - near + _SEQUENCE_HALF) & SEQUENCE_MASK) - _SEQUENCE_HALF


def unwrap_timestamp(timestamp: int, near: int) -> int:
    """The moment nearest to *near* whose 32-bit microsecond stamp is *timestamp*."""
    return near + ((timestamp - near + _TIMESTAMP_HALF) & _TIMESTAMP_MASK) - _TIMESTAMP_HALF


def next_message_number(number: int, count: int = 1) -> int:
    """*count* messages later; numbers run from 1, since 0 marks a packet filter's own packets."""
    return (number - 1 + count) % MESSAGE_NUMBER_MAX + 1
