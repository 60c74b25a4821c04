"""How fast packets may leave: the pace of all of them, live media's controller, and the allowance for repeats."""

from __future__ import annotations

from typing import Final

from terzetto.primitives.time import MICROS_PER_SECOND, Micros
from terzetto.srt.congestion import AckNotice, CongestionController, LossNotice
from terzetto.srt.options import PER_PACKET_OVERHEAD, SrtOptions

__all__ = ["UNLIMITED_BANDWIDTH", "InputRate", "LiveController", "Pacer", "RetransmitAllowance"]

UNLIMITED_BANDWIDTH: Final = 125_000_000
"""What libsrt takes "no limit" for: 1 Gbit/s in bytes per second."""

# How far ahead of its pace a batch may run. A wake-up per packet would cost more than all the rest together,
# and a millisecond of burst is what the send queue of any interface takes.
SLACK: Final = 1000

# How late a wake-up may be without slowing down what waits: sockets are read in ticks, and a machine is busy at times.
_CATCH_UP: Final = 20_000

_FIRST_PERIOD: Final = MICROS_PER_SECOND // 2
_FIRST_PACKETS: Final = 2000
_AVERAGE_OVER: Final = 128


class InputRate:
    """What the application hands in, in bytes per second with headers."""

    __slots__ = ("_began", "_bytes", "_is_first", "_packets", "rate")

    def __init__(self) -> None:
        self.rate = 0
        self._began: Micros | None = None
        self._packets = 0
        self._bytes = 0
        self._is_first = True

    def sample(self, packets: int, size: int, *, now: Micros) -> bool:
        """*packets* with *size* bytes of payload came in; whether the rate was measured anew."""
        if self._began is None:
            self._began = now
        self._packets += packets
        self._bytes += size
        elapsed = now - self._began
        if self._is_first:
            if elapsed < _FIRST_PERIOD and (self._packets < _FIRST_PACKETS or elapsed == 0):
                return False
        elif elapsed < MICROS_PER_SECOND:
            return False
        self.rate = (self._bytes + PER_PACKET_OVERHEAD * self._packets) * MICROS_PER_SECOND // elapsed
        self._is_first = False
        self._began = now
        self._packets = self._bytes = 0
        return True


class LiveController(CongestionController):
    """Live media has a rate of its own: there is a limit from the options, and nothing that reacts to loss."""

    __slots__ = ("_average", "_options", "input", "period")

    def __init__(self, options: SrtOptions, *, payload_limit: int) -> None:
        self._options = options
        self._average = float(payload_limit)
        self.input = InputRate()
        self.period = 0.0
        """Microseconds between packets."""
        self.configure(options)

    def on_ack(self, ack: AckNotice) -> None:
        """No news."""

    def on_loss(self, loss: LossNotice) -> None:
        """No news."""

    def on_timeout(self, *, now: Micros) -> None:
        """No news."""

    def configure(self, options: SrtOptions) -> None:
        """Take over changed bandwidth options."""
        self._options = options
        self._compute()

    @property
    def bandwidth(self) -> int:
        """The limit in force, in bytes per second; 0 while the input is not measured yet."""
        options = self._options
        if options.max_bandwidth > 0:
            return options.max_bandwidth
        if options.max_bandwidth < 0:
            return UNLIMITED_BANDWIDTH
        base = options.input_bandwidth or max(self.input.rate, options.min_input_bandwidth)
        return base * (100 + options.overhead) // 100

    def on_input(self, packets: int, size: int, *, now: Micros) -> None:
        """The application handed in a batch."""
        if self.input.sample(packets, size, now=now):
            self._compute()

    def on_sent(self, packets: int, size: int, *, now: Micros) -> None:
        """A batch left."""
        share = min(1.0, packets / _AVERAGE_OVER)
        self._average += (size / packets - self._average) * share
        self._compute()

    def _compute(self) -> None:
        bandwidth = self.bandwidth or UNLIMITED_BANDWIDTH
        self.period = MICROS_PER_SECOND * (self._average + PER_PACKET_OVERHEAD) / bandwidth


class Pacer:
    """Spreads packets by the pace that a controller sets."""

    __slots__ = ("_controller", "_next_at", "is_limiting")

    def __init__(self, controller: CongestionController) -> None:
        self._controller = controller
        self._next_at = 0.0
        self.is_limiting = False
        """Whether something waits for its turn: then time that a late wake-up took is made up for."""

    def _earliest(self, now: Micros) -> float:
        # Time that was not used is lost but for one slack, so that a pause does not become a burst.
        return max(self._next_at, now - (_CATCH_UP if self.is_limiting else SLACK))

    def allowance(self, *, now: Micros) -> int:
        """How many packets may leave now."""
        ahead = now + SLACK - self._earliest(now)
        return int(ahead / self._controller.period) + 1 if ahead >= 0 else 0

    def sent(self, packets: int, size: int, *, now: Micros) -> None:
        """*packets* with *size* bytes of payload left now."""
        self._next_at = self._earliest(now) + packets * self._controller.period
        self._controller.on_sent(packets, size, now=now)

    @property
    def next_at(self) -> Micros:
        """When to send again after `allowance` was used up: a slack's worth, not packet by packet."""
        return int(self._next_at) + 1


class RetransmitAllowance:
    """A bucket of bytes for repeats; a repeat may leave while it holds an average packet."""

    __slots__ = ("_filled_at", "_tokens", "rate")

    _BURST: Final = 100_000
    _LONGEST_TRIP: Final = 4 * MICROS_PER_SECOND

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self._tokens = 0.0
        self._filled_at: Micros | None = None

    def allows(self, average: float, *, round_trip: Micros, variance: Micros, now: Micros) -> bool:
        """Whether a repeat may leave now."""
        if self.rate < 0:
            return True
        if self.rate == 0:
            return False
        travel = (round_trip - variance) // 2
        burst = max(self._BURST, travel) if travel < self._LONGEST_TRIP else self._BURST
        capacity = max(self.rate * burst / MICROS_PER_SECOND, 1500.0)
        if self._filled_at is None:
            self._tokens = capacity
        else:
            self._tokens += self.rate * (now - self._filled_at) / MICROS_PER_SECOND
        self._tokens = min(max(self._tokens, 1 - capacity), capacity)
        self._filled_at = now
        return self._tokens >= average + PER_PACKET_OVERHEAD

    def spent(self, size: int) -> None:
        """A repeat of *size* bytes of payload left."""
        if self.rate > 0:
            self._tokens -= size + PER_PACKET_OVERHEAD
