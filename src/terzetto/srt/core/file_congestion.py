"""libsrt's congestion control for files, FileCC, which is UDT's.

It takes a loss for a sign of congestion, as TCP does, and crawls where the path loses at random.
"""

from __future__ import annotations

import math
from typing import Final

from terzetto.primitives.time import MICROS_PER_SECOND, Micros
from terzetto.srt.congestion import AckNotice, CongestionController, LossNotice, PathLimits

__all__ = ["FileController"]

# libsrt's figures: the interval of rate control, the window at the start, and how much a decrease is.
_INTERVAL: Final[Micros] = 10_000
_FIRST_WINDOW: Final = 16.0
_DECREASE: Final = 1.03
_MOST_DECREASES: Final = 5
_FORGIVEN_PERMILLE: Final = 20


def _smooth(old: int, sample: int) -> int:
    return (7 * old + sample) // 8 if old else sample


class FileController(CongestionController):
    """libsrt's FileCC: slow start, then additive increase and multiplicative decrease of the rate."""

    def __init__(self, limits: PathLimits) -> None:
        self.period = 1.0
        self.window = _FIRST_WINDOW
        self._limits = limits
        self._floor = 0.0
        self.limit(limits.max_bandwidth)
        self._is_slow_start = True
        self._has_lost = False
        self._acked = limits.first_position
        self._last_step: Micros = 0
        self._last_decrease_period = 1.0
        self._last_decrease_position = limits.first_position - 1
        self._delivery_rate = 0
        self._capacity = 0
        self._round_trip: Micros = 0
        self._nak_count = 0
        self._average_naks = 0
        self._decrease_count = 0
        self._decrease_every = 1
        # libsrt spreads its decreases by chance; any spread does, and this one can be replayed.
        self._dice = limits.first_position

    def on_ack(self, ack: AckNotice) -> None:
        """Grow, not more often than every ten milliseconds."""
        self._round_trip = ack.round_trip
        if ack.receive_rate:
            self._delivery_rate = _smooth(self._delivery_rate, ack.receive_rate)
        if ack.capacity:
            self._capacity = _smooth(self._capacity, ack.capacity)
        if ack.now - self._last_step < _INTERVAL:
            return
        self._last_step = ack.now
        if self._is_slow_start:
            self.window += ack.position - self._acked
            self._acked = ack.position
            if self.window > self._limits.largest_window:
                self._end_slow_start()
        else:
            self.window = self._delivery_rate * (self._round_trip + _INTERVAL) / MICROS_PER_SECOND
            self.window += _FIRST_WINDOW
        if self._has_lost:
            self._has_lost = False
        elif not self._is_slow_start:
            self._increase()
        self.period = max(self.period, self._floor)

    def _increase(self) -> None:
        mss = self._limits.mss
        ceiling = min(2 * MICROS_PER_SECOND / self._last_decrease_period, float(self._capacity))
        spare = ceiling - MICROS_PER_SECOND / self.period
        if self.period > self._last_decrease_period and ceiling / 9 < spare:
            spare = ceiling / 9
        increase = 1 / mss
        if spare > 0:
            increase = max(10 ** math.ceil(math.log10(spare * mss * 8)) * 1.5e-6 / mss, increase)
        self.period = self.period * _INTERVAL / (self.period * increase + _INTERVAL)

    def on_loss(self, loss: LossNotice) -> None:
        """Slow down, unless the loss is a trifle."""
        if self._is_slow_start:
            self._end_slow_start()
        self._has_lost = True
        in_flight = max(1.0, loss.round_trip / self.period)
        if loss.lost * 1000 / in_flight < _FORGIVEN_PERMILLE:
            self._last_decrease_period = self.period
        elif loss.first > self._last_decrease_position:
            self._last_decrease_period = self.period
            self.period = math.ceil(_DECREASE * self.period)
            self._average_naks = math.ceil(0.97 * self._average_naks + 0.03 * self._nak_count)
            self._nak_count = self._decrease_count = 1
            self._last_decrease_position = loss.highest_sent
            self._dice = (self._dice * 1_103_515_245 + 12_345) & 0x7FFF_FFFF
            self._decrease_every = 1 + (self._dice >> 8) % max(1, self._average_naks)
        else:
            self._nak_count += 1
            if self._decrease_count < _MOST_DECREASES and self._nak_count % self._decrease_every == 0:
                self._decrease_count += 1
                self.period = math.ceil(_DECREASE * self.period)
                self._last_decrease_position = loss.highest_sent

    def on_timeout(self, *, now: Micros) -> None:
        """The start is over, whatever else it means."""
        if self._is_slow_start:
            self._end_slow_start()

    def _end_slow_start(self) -> None:
        self._is_slow_start = False
        if self._delivery_rate:
            self.period = MICROS_PER_SECOND / self._delivery_rate
        else:
            self.period = self.window and (self._round_trip + _INTERVAL) / self.window

    def limit(self, max_bandwidth: int) -> None:
        """Never faster than this."""
        self._floor = MICROS_PER_SECOND * self._limits.mss / max_bandwidth if max_bandwidth > 0 else 0.0

    @property
    def bandwidth(self) -> int:
        """The pace, in bytes."""
        return int(MICROS_PER_SECOND / self.period * self._limits.mss)
