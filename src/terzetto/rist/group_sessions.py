"""The sessions of a group's paths, driven and commanded as if they were one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import attrs

from terzetto.driver.delivery import PacketQueue
from terzetto.driver.session import SessionStatistics
from terzetto.primitives.datagrams import Buffer
from terzetto.primitives.time import Micros
from terzetto.rist.core.receiver import Receiver
from terzetto.rist.core.sender import Sender
from terzetto.rist.events import OutOfBandReceived
from terzetto.rist.runtime import Runtime
from terzetto.rist.tunnel_controls import OUT_OF_BAND_BACKLOG, next_of

__all__ = ["GroupControls", "GroupPump"]

LegT = TypeVar("LegT", bound=Sender | Receiver)


class GroupPump(Generic[LegT]):
    """The sessions of a group, driven as one."""

    def __init__(self, runtimes: Callable[[], list[Runtime[LegT]]]) -> None:
        self._runtimes = runtimes
        self._batches_shed = 0
        self._wakeups = 0

    @property
    def is_writable(self) -> bool:
        """Whether one path at least takes what is sent now; those that are behind shed, and the flow repairs."""
        runtimes = self._runtimes()
        return not runtimes or any(runtime.session.is_writable for runtime in runtimes)

    async def wait_writable(self) -> None:
        """Wait until one path has caught up; returns at once, without a checkpoint, where one is not behind."""
        while not self.is_writable:
            await self._runtimes()[0].session.wait_writable()

    def commanded(self, now: Micros) -> None:
        """A command was given to the flow: every path sends its share."""
        for runtime in self._runtimes():
            runtime.session.commanded(now)

    def drain(self) -> None:
        """Send and deliver what the legs have to offer."""
        for runtime in self._runtimes():
            runtime.session.drain()

    def retire(self, runtime: Runtime[LegT]) -> None:
        """A session has ended; its counters stay."""
        done = runtime.session.statistics()
        self._batches_shed += done.batches_shed
        self._wakeups += done.wakeups

    def statistics(self) -> SessionStatistics:
        """The counters of all sessions."""
        running = [runtime.session.statistics() for runtime in self._runtimes()]
        return SessionStatistics(
            batches_shed=self._batches_shed + sum(each.batches_shed for each in running),
            wakeups=self._wakeups + sum(each.wakeups for each in running),
        )


class GroupControls(Generic[LegT]):
    """What can be done beside the media, where there are several ways to do it."""

    def __init__(self, runtimes: Callable[[], list[Runtime[LegT]]]) -> None:
        self._runtimes = runtimes
        self._out_of_band = PacketQueue[OutOfBandReceived](OUT_OF_BAND_BACKLOG)

    def send_oob(self, data: Buffer, ether_type: int) -> bool:
        """Send *data* beside the stream by the first path that has a peer."""
        for runtime in self._runtimes():
            if runtime.is_connected:
                return runtime.controls.send_oob(data, ether_type)
        return False

    async def receive_oob(self) -> OutOfBandReceived:
        """The next that came beside the stream, by whichever path; it says by which."""
        for runtime in self._runtimes():
            runtime.controls.check_oob()
        return await next_of(self._out_of_band)

    def hear_oob(self, path: int, received: OutOfBandReceived) -> None:
        """Something came by a path."""
        self._out_of_band.put([attrs.evolve(received, path=path)])

    def close(self) -> None:
        """Wake whoever waits."""
        self._out_of_band.close()

    def change_passphrase(self, secret: str) -> None:
        """Use another secret on every path."""
        for runtime in self._runtimes():
            runtime.controls.change_passphrase(secret)

    def send_flow_attribute(self, text: str) -> None:
        """Describe the flow on every path."""
        for runtime in self._runtimes():
            runtime.controls.send_flow_attribute(text)
