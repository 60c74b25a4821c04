"""What a payload format does: cut units of media into payloads, and put them together again.

::

    AccessUnit --Packetizer.pack--> Payload ... Payload --Depacketizer.push--> AccessUnit

Neither knows of headers, sequence numbers or SSRCs; times are ticks of the media's clock. A depacketizer bears
whatever comes: what is damaged is dropped and counted by reason, and it begins again with the next unit that can be
understood by itself. It never holds more than its format's limit.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from typing import ClassVar, Final, NamedTuple

from terzetto.errors import MalformedPacket

__all__ = [
    "PAYLOAD_SIZE",
    "AccessUnit",
    "Assembler",
    "Depacketizer",
    "Packetizer",
    "Payload",
    "cut",
]

PAYLOAD_SIZE: Final = 1450
"""Bytes of a payload at most: with RTP, SRTP, UDP and IPv6 around it, it fits an Ethernet frame."""


class AccessUnit(NamedTuple):
    """What belongs to one moment: the NAL units or OBUs of a picture, a picture, or frames of sound."""

    parts: tuple[bytes, ...]
    timestamp: int
    """Of the media's clock, 32 bits."""
    is_key: bool = True
    """Whether decoding may begin here."""
    lost_before: bool = False
    """Whether something before it is missing."""

    @property
    def data(self) -> bytes:
        """All of it in one piece."""
        return self.parts[0] if len(self.parts) == 1 else b"".join(self.parts)


class Payload(NamedTuple):
    """What one RTP packet carries."""

    data: bytes
    timestamp: int
    marker: bool = False
    lost_before: int = 0
    """Packets known to be missing before it."""


class Packetizer(ABC):
    """Cuts access units into payloads of at most *payload_size* bytes."""

    def __init__(self, payload_size: int = PAYLOAD_SIZE) -> None:
        self._size = payload_size

    @abstractmethod
    def pack(self, unit: AccessUnit) -> list[Payload]:
        """The payloads of *unit*; ValueError when it cannot be carried."""


class Depacketizer(ABC):
    """Puts access units together."""

    def __init__(self) -> None:
        self.dropped: Counter[str] = Counter()
        """Payloads and units that were given up, by reason."""

    @abstractmethod
    def push(self, payload: Payload) -> list[AccessUnit]:
        """Take in the next payload; the units that are complete with it."""

    def flush(self) -> list[AccessUnit]:
        """What can be given out although nothing more will come."""
        return []


class Assembler(Depacketizer):
    """The common part of formats whose units span packets: losses, limits, beginnings.

    A subclass takes one payload at a time in `take`, adds what it finds by `add`, and says when a unit is done by
    `finish`; it may raise MalformedPacket, which costs the unit under way and nothing else.
    """

    limit: ClassVar[int] = 8 << 20
    """Bytes of one unit at most."""
    part_limit: ClassVar[int] = 64
    """Parts of one unit at most."""
    joins: ClassVar[bool] = False
    """Whether the pieces of a unit are one part in the end."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []
        self._size = 0
        self._timestamp = 0
        self._is_skipping = False
        self._lost = False
        self._done: list[AccessUnit] = []

    def push(self, payload: Payload) -> list[AccessUnit]:
        if payload.lost_before:
            # What was lost may have been the end of the unit under way: half a picture is not given out as a whole one.
            self._give_up("packet of a unit was lost" if self.is_under_way else "")
            self._lost = True
        elif self.is_under_way and payload.timestamp != self._timestamp:
            self.end_without_marker()
        if not self.is_under_way and payload.timestamp != self._timestamp:
            self._is_skipping = False
        self._timestamp = payload.timestamp
        if not self._is_skipping:
            try:
                self.take(payload)
            except MalformedPacket as exc:
                self._give_up(exc.reason)
                self._is_skipping = True
        if payload.marker:
            self._is_skipping = False
        done, self._done = self._done, []
        return done

    def flush(self) -> list[AccessUnit]:
        if self.is_under_way:
            self.end_without_marker()
        done, self._done = self._done, []
        return done

    @property
    def is_under_way(self) -> bool:
        """Whether a unit has begun."""
        return bool(self._parts)

    @abstractmethod
    def take(self, payload: Payload) -> None:
        """One payload."""

    def end_without_marker(self) -> None:
        """Another time begins while a unit is under way; the marker was forgotten, or lost."""
        self.finish()

    def is_key(self, parts: Sequence[bytes]) -> bool:
        """Whether decoding may begin with these."""
        del parts
        return True

    def add(self, part: bytes) -> None:
        """A part of the unit; MalformedPacket beyond the limits."""
        self._size += len(part)
        if self._size > self.limit or len(self._parts) >= self.part_limit:
            raise MalformedPacket("unit is larger than its format allows")
        self._parts.append(part)

    def finish(self) -> None:
        """The unit is complete."""
        parts, self._parts, self._size = self._parts, [], 0
        if parts:
            if self.joins:
                parts = [b"".join(parts)]
            self._done.append(AccessUnit(tuple(parts), self._timestamp, self.is_key(parts), self._lost))
            self._lost = False

    def forget(self) -> None:
        """Drop what the subclass holds of the unit."""

    def _give_up(self, reason: str) -> None:
        if reason:
            self.dropped[reason] += 1
            self._lost = True
        self._parts.clear()
        self._size = 0
        self.forget()


def cut(data: bytes, size: int) -> list[bytes]:
    """*data* in pieces of at most *size* bytes; one empty piece for nothing."""
    return [data[at : at + size] for at in range(0, len(data), size)] or [b""]
