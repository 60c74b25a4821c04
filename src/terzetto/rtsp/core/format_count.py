"""What is counted of each format where several share a media."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import define, field

from terzetto.primitives.estimators import JitterEstimator
from terzetto.primitives.time import Micros

__all__ = ["FormatCount", "count_formats"]


@define
class FormatCount:
    """One format of a media, received or sent."""

    clock_rate: int
    packets: int = 0
    lost: int = 0
    last_sequence: int | None = None
    last_timestamp: int | None = None
    last_ntp: Micros | None = None
    ssrc: int | None = field(init=False, default=None)
    """Of the source that sends it to us."""
    jitter: JitterEstimator | None = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.take_source(None)

    def take_source(self, ssrc: int | None) -> None:
        """Another source sends it, whose clock is another."""
        self.ssrc = ssrc
        self.jitter = JitterEstimator(self.clock_rate) if self.clock_rate > 0 else None

    def add(self, sequence: int, timestamp: int) -> None:
        """A packet, the newest one."""
        self.packets += 1
        self.last_sequence = sequence
        self.last_timestamp = timestamp


def count_formats(rates: Iterable[tuple[int, int]]) -> dict[int, FormatCount] | None:
    """A count for each payload type and clock rate; None where one format is all there is, and the media says it."""
    counts = {payload_type: FormatCount(rate) for payload_type, rate in rates}
    return counts if len(counts) > 1 else None
