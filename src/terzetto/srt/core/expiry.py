"""Messages with a time to live: which of those that wait or are in flight need not arrive any more."""

from __future__ import annotations

from bisect import bisect_left
from typing import NamedTuple

from terzetto.primitives.time import Micros
from terzetto.srt.core.send_buffer import SendBuffer
from terzetto.srt.wire.drop_request import DropRequest
from terzetto.srt.wire.numbers import SEQUENCE_MASK

__all__ = ["Expiries"]


class _Message(NamedTuple):
    first: int
    last: int
    number: int
    expires_at: Micros


def _last_of(message: _Message) -> int:
    return message.last


class Expiries:
    """Messages that expire, in the order they were sent. Those that never do are not in it, so mostly it is empty."""

    __slots__ = ("_messages", "_refusals")

    def __init__(self) -> None:
        self._messages: list[_Message] = []
        self._refusals: list[tuple[DropRequest, int]] = []

    def __bool__(self) -> bool:
        return bool(self._messages)

    def add(self, first: int, last: int, number: int, expires_at: Micros) -> None:
        """The message *number*, at these positions, is of no use from *expires_at* on."""
        self._messages.append(_Message(first, last, number, expires_at))

    def clear_way(self, buffer: SendBuffer, most: int, now: Micros) -> int:
        """Pass over expired messages that would leave next; how many of *most* packets may follow.

        They have their sequence numbers already, so the peer is told not to wait for these.
        """
        messages = self._messages
        for index in range(self._index_at(buffer.unsent), len(messages)):
            message = messages[index]
            ahead = message.first - buffer.unsent
            if ahead >= most:
                break
            if message.expires_at > now:
                continue
            if ahead > 0:
                return ahead
            buffer.unsent = message.last + 1
            self._refuse(message)
        return most

    def is_expired(self, position: int, now: Micros) -> bool:
        """Whether the packet at *position* is not worth a repeat."""
        message = self._at(position)
        return message is not None and message.expires_at <= now

    def refuse(self, position: int) -> tuple[int, int]:
        """Tell the peer that what is at *position* will not come again; the ends of that message."""
        message = self._at(position)
        assert message is not None
        self._refuse(message)
        return message.first, message.last

    def _at(self, position: int) -> _Message | None:
        index = self._index_at(position)
        if index < len(self._messages) and self._messages[index].first <= position:
            return self._messages[index]
        return None

    def _index_at(self, position: int) -> int:
        return bisect_left(self._messages, position, key=_last_of)

    def release(self, position: int) -> None:
        """Everything below *position* is over."""
        del self._messages[: self._index_at(position)]

    def take_refusals(self) -> list[tuple[DropRequest, int]]:
        """What to tell the peer, with the numbers of the messages."""
        refusals = self._refusals
        if refusals:
            self._refusals = []
        return refusals

    def _refuse(self, message: _Message) -> None:
        request = DropRequest(message.first & SEQUENCE_MASK, message.last & SEQUENCE_MASK)
        self._refusals.append((request, message.number))
