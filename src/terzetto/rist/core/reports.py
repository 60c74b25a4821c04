"""When to report: at a steady beat that never lags, however late it is called."""

from __future__ import annotations

from terzetto.primitives.time import Micros

__all__ = ["ReportSchedule"]


class ReportSchedule:
    """A report every *interval*, beginning now."""

    def __init__(self, interval: Micros, *, now: Micros) -> None:
        self._interval = interval
        self.next_report: Micros = now

    def is_due(self, now: Micros) -> bool:
        """Whether to report now; if so the next one is scheduled."""
        if now < self.next_report:
            return False
        # Missed beats are not made up for: a burst of reports tells the peer nothing.
        self.next_report = max(self.next_report + self._interval, now + self._interval // 2)
        return True
