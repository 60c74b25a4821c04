"""Packets put together to messages again.

A message is one packet or many with one number, the first and the last of them marked. Messages come out in
the order they were sent; only one that is marked as free of order may come out before earlier ones that are not
complete. What is known of a message is counted as its packets come, so no packet is looked at twice.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from terzetto.primitives.datagrams import Buffer
from terzetto.primitives.time import Micros
from terzetto.srt.core.receive_buffer import ReceiveBuffer
from terzetto.srt.wire.data import BOUNDARY_FIRST, BOUNDARY_LAST, IN_ORDER_FLAG, MESSAGE_NUMBER_MASK

__all__ = ["Assembler", "Message"]

_UNKNOWN: Final = -1
_BEYOND: Final = 1 << 62


class Message(NamedTuple):
    """One whole message."""

    payload: Buffer
    number: int
    in_order: bool
    position: int
    """Of its first packet."""
    play_at: Micros


class _Parts:
    """What is known of a message so far."""

    __slots__ = ("arrived", "first", "highest", "in_order", "last", "lowest", "number")

    def __init__(self, number: int, *, in_order: bool) -> None:
        self.number = number
        self.in_order = in_order
        self.arrived = 0
        self.first = self.last = self.highest = _UNKNOWN
        self.lowest = _BEYOND

    @property
    def is_whole(self) -> bool:
        # Positions come once each, so as many as there are places between the ends fill all of them, whatever
        # a stranger wrote into its packets.
        return (
            self.first == self.lowest
            and self.last == self.highest
            and self.arrived == self.highest - self.lowest + 1
        )


class Assembler:
    """Takes whole messages out of a `ReceiveBuffer`; `arrived` hears of every packet that goes in."""

    def __init__(self, buffer: ReceiveBuffer) -> None:
        self._buffer = buffer
        self._parts: dict[int, _Parts] = {}
        self._of: dict[int, _Parts] = {}
        self._early: dict[int, _Parts] = {}

    def arrived(self, position: int, flags: int) -> None:
        """A packet is in the buffer now, or beyond a gap in it."""
        number = flags & MESSAGE_NUMBER_MASK
        parts = self._parts.get(number)
        if parts is None:
            parts = self._parts[number] = _Parts(number, in_order=bool(flags & IN_ORDER_FLAG))
        parts.arrived += 1
        parts.lowest = min(parts.lowest, position)
        parts.highest = max(parts.highest, position)
        boundary = flags >> 30
        if boundary & BOUNDARY_FIRST:
            parts.first = position
        if boundary & BOUNDARY_LAST:
            parts.last = position
        self._of[position] = parts
        if not parts.in_order and parts.is_whole:
            self._early[number] = parts

    @property
    def is_ready(self) -> bool:
        """Whether a whole message can be taken."""
        self._discard_broken()
        line = self._buffer.line
        return bool(self._early) or bool(line and self._of[line[0][1]].is_whole)

    def take(self, limit: int) -> list[Message]:
        """Up to *limit* messages: those at the head, then those that need not wait for the head."""
        messages: list[Message] = []
        while len(messages) < limit:
            self._discard_broken()
            line = self._buffer.line
            if line and (head := self._of[line[0][1]]).is_whole:
                messages.append(self._take_head(head))
            elif self._early:
                messages.append(self._take_early(min(self._early.values(), key=_first_of)))
            else:
                break
        return messages

    def _take_head(self, parts: _Parts) -> Message:
        line = self._buffer.line
        entries = [line.popleft() for _ in range(parts.arrived)]
        for entry in entries:
            del self._of[entry[1]]
        self._forget(parts)
        self._buffer.read_position = parts.last + 1
        play_at, position, _, payload = entries[0]
        if len(entries) > 1:
            payload = b"".join([entry[3] for entry in entries])
        return Message(payload, parts.number, parts.in_order, position, play_at)

    def _take_early(self, parts: _Parts) -> Message:
        """The places stay taken, empty, until the gap before them is closed."""
        ahead = self._buffer.ahead
        pieces: list[Buffer] = []
        entry = ahead[parts.first]
        for position in range(parts.first, parts.last + 1):
            piece = ahead[position]
            assert piece.payload is not None
            pieces.append(piece.payload)
            ahead[position] = piece._replace(payload=None)
            del self._of[position]
        self._forget(parts)
        return Message(b"".join(pieces), parts.number, parts.in_order, parts.first, entry.play_at)

    def _discard_broken(self) -> None:
        """Drop what stands at the head and can never be whole, because its sender gave the rest up."""
        buffer = self._buffer
        line = buffer.line
        while line:
            head = self._of[line[0][1]]
            if head.is_whole:
                return
            is_last_in_line = self._of[line[-1][1]] is head
            has_no_gap = buffer.frontier - line[0][1] == len(line)
            if is_last_in_line and has_no_gap and head.first == line[0][1]:
                return
            while line and self._of[line[0][1]] is head:
                del self._of[line.popleft()[1]]
            self._forget(head)

    def _forget(self, parts: _Parts) -> None:
        self._parts.pop(parts.number, None)
        self._early.pop(parts.number, None)


def _first_of(parts: _Parts) -> int:
    return parts.first
