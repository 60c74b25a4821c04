"""What a congestion controller is told, and what it decides: how soon the next packet, and how many at a time.

Whoever wants another one derives from `CongestionController` and hands a factory to ``SrtOptions.controller``.
It decides about what we send alone, so the peer need not know it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import attrs

from terzetto.primitives.time import Micros

__all__ = [
    "AckNotice",
    "CongestionController",
    "ControllerFactory",
    "LossNotice",
    "PathLimits",
]


@attrs.frozen(kw_only=True)
class PathLimits:
    """What a controller has to respect from the beginning."""

    mss: int
    """The largest IP packet."""
    payload_limit: int
    """The most that one packet carries."""
    largest_window: int
    """The most packets that the peer will ever have room for."""
    first_position: int
    """The position of the first packet; positions count on for ever, where sequence numbers wrap."""
    max_bandwidth: int
    """Bytes per second with headers; 0 or below where there is no limit."""


class AckNotice(NamedTuple):
    """The peer acknowledged something new."""

    position: int
    """The first packet that is not acknowledged."""
    acknowledged: int
    """How many packets this acknowledgement is about."""
    in_flight: int
    """Packets that left and are not acknowledged yet."""
    round_trip: Micros
    """Smoothed; 0 while nobody has measured it."""
    receive_rate: int | None
    """Packets per second that reach the peer, where it says so; 0 when it cannot tell yet."""
    capacity: int | None
    """Packets per second that the path carries, as far as the peer can tell; None as above."""
    lost: int
    """Packets that are reported lost and not repeated yet."""
    now: Micros


class LossNotice(NamedTuple):
    """The peer reported packets missing."""

    first: int
    """The lowest position of the report."""
    reported: int
    """Packets in this report."""
    lost: int
    """Packets that are reported lost and not repeated yet, these included."""
    highest_sent: int
    in_flight: int
    round_trip: Micros
    now: Micros


class CongestionController(ABC):
    """Decides ``period`` and ``window``; they are read whenever something may leave."""

    period: float = 0.0
    """Microseconds between the beginnings of two packets."""
    window: float = float("inf")
    """Packets that may be in flight."""

    @abstractmethod
    def on_ack(self, ack: AckNotice) -> None:
        """The peer acknowledged."""

    @abstractmethod
    def on_loss(self, loss: LossNotice) -> None:
        """The peer misses packets."""

    @abstractmethod
    def on_timeout(self, *, now: Micros) -> None:
        """Nothing was acknowledged for so long that packets are sent again unasked."""

    def on_input(self, packets: int, size: int, *, now: Micros) -> None:  # noqa: B027 -- optional
        """The application handed in *packets* with *size* bytes of payload."""

    def on_sent(self, packets: int, size: int, *, now: Micros) -> None:  # noqa: B027 -- optional
        """*packets* with *size* bytes of payload left, repeats among them."""

    def limit(self, max_bandwidth: int) -> None:  # noqa: B027 -- optional
        """The bandwidth option changed while connected."""

    @property
    @abstractmethod
    def bandwidth(self) -> int:
        """Bytes per second with headers that may leave at this pace; 0 when that is not known."""


ControllerFactory: TypeAlias = Callable[[PathLimits], CongestionController]
"""Makes the controller of one connection."""
