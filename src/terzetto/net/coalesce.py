"""Reading in ticks while data keeps coming.

A sender that puts a burst on the wire every half millisecond would wake a reader every half millisecond, and a
wake-up from idle is the dearest thing we do. So after something arrived the next read comes one tick later and
takes whatever is there; when a few ticks find nothing, the reader waits for readability again. Where a tick
brings very much, ticks come more often, because what was read together also leaves together, as a burst.
"""

from __future__ import annotations

from typing import Final

from terzetto.net.endpoint import DatagramEndpoint, Run

__all__ = ["DEFAULT_TICK", "CoalescingReader"]

# A sender's tick adds half of itself to the delay of a packet, less than four milliseconds at the median, which is
# small beside any recovery buffer; a receiver's adds nothing, it releases as much ahead. A shorter tick costs CPU at
# low rates, see docs/performance.md.
DEFAULT_TICK: Final = 0.007

# More than this in one tick (300 Mbit/s in the longest), and ticks get shorter; much less, and they get longer again.
_MANY: Final = 320
_FEW: Final = 120
_SHORTEST: Final = 0.25
"""As a part of the tick that was asked for."""

# How many ticks one of our own lasts while somebody else reads along: it is there for when that stops.
_SELDOM: Final = 4

# Empty ticks before waiting again. One would fall back on every hiccup of a steady source.
_PATIENCE: Final = 3


class CoalescingReader:
    """Receives from one endpoint, at most once a *tick* while data flows; tick 0 reads at once, always."""

    __slots__ = ("_along", "_empty_ticks", "_endpoint", "_flowing", "_part", "_tick")

    def __init__(self, endpoint: DatagramEndpoint, *, tick: float = DEFAULT_TICK) -> None:
        self._endpoint = endpoint
        self._tick = tick
        self._part = 1.0
        self._flowing = False
        self._along = False
        self._empty_ticks = 0

    @property
    def flowing(self) -> bool:
        """Whether the next `receive` comes one tick from now rather than when something arrives."""
        return self._flowing

    async def receive(self) -> list[Run]:
        """Wait for a tick or for readability; everything that is waiting, which after a tick may be nothing.

        An empty list keeps a caller in step who has other work to do each tick, such as releasing packets whose
        time has come.
        """
        if self._flowing:
            wait = self._tick * self._part
            if self._along:
                self._along = False
                wait *= _SELDOM
            await self._endpoint.wait_tick(wait)
            runs = self._endpoint.receive_nowait()
            if runs:
                self._empty_ticks = 0
                self._keep_bursts_short(runs)
            else:
                self._empty_ticks += 1
                self._flowing = self._empty_ticks < _PATIENCE
            return runs
        runs = await self._endpoint.receive()
        self._flowing = self._tick > 0
        self._empty_ticks = 0
        return runs

    def read_along(self) -> list[Run]:
        """Everything that is waiting now, for somebody who is awake anyway; our own ticks come less often for it."""
        runs = self._endpoint.receive_nowait()
        self._along = True
        if runs:
            self._empty_ticks = 0
        return runs

    def _keep_bursts_short(self, runs: list[Run]) -> None:
        count = 0
        for run in runs:
            count += len(run.datagrams)
        if count > _MANY:
            self._part = max(_SHORTEST, self._part / 2)
        elif count < _FEW and self._part < 1.0:
            self._part = min(1.0, self._part * 2)
