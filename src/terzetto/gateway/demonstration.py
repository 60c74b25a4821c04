"""A generated transport stream goes through real sockets and a bad network, and is compared at the end.

::

    generator -> sender -> impairment proxy -> receiver -> SHA-256
        '----------------> SHA-256
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import Final

import attrs
import trio

from terzetto.driver.clock import current_micros
from terzetto.driver.nursery import open_session_nursery
from terzetto.errors import InvalidOption
from terzetto.gateway.demonstrable import LOOPBACK, PROTOCOLS, DemoEnds, DemoProtocol
from terzetto.gateway.impairment import ImpairmentProxy, open_impairment_proxy
from terzetto.mpegts.generator import LOWEST_BITRATE, TsGenerator
from terzetto.mpegts.packet import PACKET_SIZE
from terzetto.net.endpoint import Address
from terzetto.primitives.impairment import LinkConditions

__all__ = ["DemoPlan", "DemoProgress", "DemoResult", "Demonstration"]

PACKETS_PER_PAYLOAD: Final = 7
PAYLOAD: Final = PACKETS_PER_PAYLOAD * PACKET_SIZE

# A camera's encoder hands over its packets about this often.
_PACE: Final = 0.005

# What two ticks, a busy machine and the network's jitter may add to the latency before something is called late.
_GRACE: Final = 1.0


@attrs.frozen(kw_only=True)
class DemoPlan:
    """What to show; durations in seconds, ``loss`` a share."""

    protocol: str = "rist"
    profile: str | None = None
    loss: float = 0.2
    delay: float = 0.02
    latency: float | None = None
    bitrate: int = 8_000_000
    seconds: float = 8.0
    seed: int = 0
    options: str = attrs.field(default="", repr=False)
    """What both ends' URLs say besides: it may hold secrets."""

    @property
    def entry(self) -> DemoProtocol:
        """The protocol's entry in the table."""
        entry = PROTOCOLS.get(self.protocol)
        if entry is None:
            raise InvalidOption(f"protocol is {self.protocol!r}, and must be one of {', '.join(PROTOCOLS)}")
        return entry

    @property
    def chosen_profile(self) -> str:
        """The profile asked for, else the protocol's first; empty where a protocol has none."""
        profiles = self.entry.profiles
        if self.profile is None:
            return next(iter(profiles), "")
        if self.profile not in profiles:
            raise InvalidOption(
                f"profile is {self.profile!r}, and must be one of {', '.join(profiles)} for {self.protocol}"
            )
        return self.profile

    @property
    def chosen_latency(self) -> float:
        """The latency asked for, else the protocol's own."""
        return self.entry.default_latency if self.latency is None else self.latency

    @property
    def packets(self) -> int:
        """How many payloads the stream has."""
        return max(round(self.seconds * self.bitrate / 8 / PAYLOAD), 1)

    def check(self) -> None:
        """Refuse what cannot be shown."""
        _ = self.chosen_profile
        if self.bitrate < LOWEST_BITRATE:
            raise InvalidOption(
                f"bitrate is {self.bitrate} bit/s, and must be at least {LOWEST_BITRATE} for a valid stream"
            )
        if not 0 < self.seconds <= 3600:
            raise InvalidOption(f"seconds is {self.seconds:g}, and must lie between 0 and 3600")
        if not 0 < self.chosen_latency <= 30:
            raise InvalidOption(f"latency is {self.chosen_latency:g} s, and must lie between 0 and 30 s")

    def advised_latency(self) -> float:
        """A latency that leaves room for all the repeats which this loss makes likely, in seconds."""
        # A repeat comes when neither the request nor the repeat itself is lost.
        success = (1 - self.loss) ** 2
        unlikely = 0.001 / (self.packets * max(self.loss, 1e-6))
        rounds = math.ceil(math.log(unlikely) / math.log(1 - success)) if 0 < success < 1 else 2
        # Requests are a little more than a round trip apart; hold, jitter and ticks come once.
        needed = rounds * (2 * self.delay + 0.015) * 1.15 + 0.05
        return min(math.ceil(needed * 10) / 10, 30.0)


@attrs.frozen(kw_only=True)
class DemoProgress:
    """How far the demonstration is."""

    phase: str
    """``connecting``, ``streaming``, ``finishing`` or ``done``."""
    elapsed: float
    """Seconds of the stream that have been sent."""
    sent: int
    retransmitted: int
    dropped: int
    """Datagrams that the impairment took, of either direction: media, repeats, requests and reports."""
    delivered: int
    lost: int
    recovered: int
    unrecovered: int
    missing: int
    round_trip: float


@attrs.frozen(kw_only=True)
class DemoResult:
    """What came of it. ``lost`` is ``recovered`` and ``unrecovered`` together, in packets of media."""

    sent: int
    delivered: int
    lost: int
    recovered: int
    unrecovered: int
    retransmitted: int
    dropped: int
    identical: bool
    """Whether the digests agree."""
    sha256_sent: str
    sha256_received: str

    @property
    def succeeded(self) -> bool:
        """Whether everything arrived, unchanged."""
        return self.identical and not self.unrecovered


class Demonstration:
    """One run; `run` it once, and ask `progress` meanwhile."""

    def __init__(self, plan: DemoPlan) -> None:
        plan.check()
        self.plan: Final = plan
        self._phase = "connecting"
        self._elapsed = 0.0
        self._ends: DemoEnds | None = None
        self._proxy: ImpairmentProxy | None = None
        self._sent_digest = sha256()
        self._received_digest = sha256()
        self._bytes_sent = self._bytes_received = 0
        self._all_here = trio.Event()
        self._last: DemoProgress | None = None

    def progress(self) -> DemoProgress:
        """How far it is."""
        if self._last is not None:
            return self._last
        figures = self._ends.figures() if self._ends is not None else None
        return DemoProgress(
            phase=self._phase,
            elapsed=self._elapsed,
            sent=figures.sent if figures else 0,
            retransmitted=figures.retransmitted if figures else 0,
            dropped=self._dropped(),
            delivered=figures.delivered if figures else 0,
            lost=figures.recovered + figures.unrecovered if figures else 0,
            recovered=figures.recovered if figures else 0,
            unrecovered=figures.unrecovered if figures else 0,
            missing=figures.missing if figures else 0,
            round_trip=figures.round_trip if figures else 0.0,
        )

    async def run(self) -> DemoResult:
        """Show it, and compare."""
        plan = self.plan
        async with plan.entry.open_ends(
            plan.chosen_profile, plan.chosen_latency, self._bridge, plan.options
        ) as ends:
            self._ends = ends
            await ends.wait_connected()
            async with open_session_nursery() as nursery:
                nursery.start_soon(self._receive, ends)
                await self._send(ends)
                await self._wait_for_the_rest()
            return self._conclude()

    @asynccontextmanager
    async def _bridge(self, target: Address) -> AsyncIterator[ImpairmentProxy]:
        plan = self.plan
        async with open_impairment_proxy(
            (LOOPBACK, 0),
            target,
            up=LinkConditions(loss=plan.loss, delay=plan.delay),
            seed=plan.seed,
            pair=plan.entry.profiles.get(plan.chosen_profile, False),
        ) as proxy:
            self._proxy = proxy
            yield proxy

    async def _send(self, ends: DemoEnds) -> None:
        self._phase = "streaming"
        generator = TsGenerator(self.plan.bitrate, seed=self.plan.seed)
        left = self.plan.packets * PACKETS_PER_PAYLOAD
        start = current_micros()
        while left:
            elapsed = current_micros() - start
            # Until the last packet's turn has come, what is due is less than what is left.
            due = generator.take_due(elapsed, multiple=PACKETS_PER_PAYLOAD)[: left * PACKET_SIZE]
            if due:
                left -= len(due) // PACKET_SIZE
                self._sent_digest.update(due)
                self._bytes_sent += len(due)
                await ends.sender.send_all(due)
            self._elapsed = elapsed / 1e6
            await trio.sleep(_PACE)
        self._phase = "finishing"
        self._check_complete()

    async def _receive(self, ends: DemoEnds) -> None:
        async for chunk in ends.receiver:
            self._received_digest.update(chunk)
            self._bytes_received += len(chunk)
            self._check_complete()

    def _check_complete(self) -> None:
        if self._phase == "finishing" and self._bytes_received >= self._bytes_sent:
            self._all_here.set()

    async def _wait_for_the_rest(self) -> None:
        """Until everything is there, or nothing more can come."""
        with trio.move_on_after(self.plan.chosen_latency + 2 * self.plan.delay + _GRACE):
            await self._all_here.wait()

    def _conclude(self) -> DemoResult:
        self._phase = "done"
        progress = self.progress()
        # The receiver cannot count what it never heard of, such as a lost tail; we know what was sent.
        unrecovered = max(progress.sent - progress.delivered, progress.unrecovered)
        lost = progress.recovered + unrecovered
        self._last = attrs.evolve(progress, lost=lost, unrecovered=unrecovered, missing=0)
        sent, received = self._sent_digest.hexdigest(), self._received_digest.hexdigest()
        return DemoResult(
            sent=progress.sent,
            delivered=progress.delivered,
            lost=lost,
            recovered=progress.recovered,
            unrecovered=unrecovered,
            retransmitted=progress.retransmitted,
            dropped=progress.dropped,
            identical=sent == received,
            sha256_sent=sent,
            sha256_received=received,
        )

    def _dropped(self) -> int:
        if self._proxy is None:
            return 0
        statistics = self._proxy.statistics()
        return statistics.up.dropped + statistics.down.dropped
