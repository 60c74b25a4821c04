"""Which packets are missing, and when to ask for each again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from terzetto.primitives.time import MICROS_PER_MILLI, Micros

__all__ = ["MissingList", "MissingPacket"]

# Requests that fall due within this time of one another travel together.
PUMP_INTERVAL: Final[Micros] = 5 * MICROS_PER_MILLI


class MissingPacket:
    """A sequence that was jumped over."""

    __slots__ = ("detected_at", "next_request", "requests")

    def __init__(self, detected_at: Micros, next_request: Micros) -> None:
        self.detected_at = detected_at
        """When it should have arrived, between its neighbours."""
        self.next_request = next_request
        self.requests = 0


class MissingList:
    """The missing packets of one flow in order of detection, with the schedule of requests for them."""

    def __init__(self) -> None:
        self._packets: dict[int, MissingPacket] = {}
        self._earliest: Micros | None = None
        self._last_pump: Micros = -PUMP_INTERVAL
        self.high_water = 0

    def __len__(self) -> int:
        return len(self._packets)

    def __contains__(self, sequence: int) -> bool:
        return sequence in self._packets

    def add(self, sequence: int, *, detected_at: Micros, next_request: Micros) -> None:
        """Begin to miss *sequence*."""
        self._packets[sequence] = MissingPacket(detected_at, next_request)
        self.high_water = max(self.high_water, len(self._packets))
        if self._earliest is None or next_request < self._earliest:
            self._earliest = next_request

    def arrived(self, sequence: int) -> MissingPacket | None:
        """It came after all; returns its record, None when it was not missed."""
        return self._packets.pop(sequence, None)

    def forget(self, sequences: Iterable[int]) -> None:
        """These no longer matter: their time has passed."""
        for sequence in sequences:
            self._packets.pop(sequence, None)

    def clear(self) -> None:
        """Miss nothing."""
        self._packets.clear()
        self._earliest = None

    def next_pump(self) -> Micros | None:
        """When `due` may have something."""
        if self._earliest is None or not self._packets:
            return None
        return max(self._earliest, self._last_pump + PUMP_INTERVAL)

    def due(
        self, now: Micros, *, interval: Micros, max_requests: int, patience: Micros, allowance: int
    ) -> list[int]:
        """Sequences to ask for now, at most *allowance*, oldest first; each is scheduled again *interval* later.

        Those asked for *max_requests* times, or missing for longer than *patience*, are dropped from the list: the
        playout decides when they are lost.
        """
        wanted: list[int] = []
        hopeless: list[int] = []
        earliest: Micros | None = None
        for sequence, packet in self._packets.items():
            if packet.requests >= max_requests or now - packet.detected_at > patience:
                hopeless.append(sequence)
                continue
            if packet.next_request <= now and len(wanted) < allowance:
                wanted.append(sequence)
                packet.requests += 1
                packet.next_request = now + interval
            if earliest is None or packet.next_request < earliest:
                earliest = packet.next_request
        for sequence in hopeless:
            del self._packets[sequence]
        self._earliest = earliest
        self._last_pump = now
        return wanted
