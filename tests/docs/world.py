"""The small world in which the documentation's code runs.

Two hosts 20 ms apart, 2 % of everything lost between them: ``192.0.2.1`` (``here``), where the code runs, and
``192.0.2.7`` (``studio``), where its counterparts are. Code is not changed for it: ``trio.run`` is, so that programs
find themselves on the simulated network, under a clock that jumps.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final
from unittest import mock

import trio
from trio.testing import MockClock

import terzetto as tz
from terzetto.testing import (
    LinkConditions,
    SimulatedHost,
    SimulatedNetwork,
    deterministic_scheduling,
    use_network,
)

__all__ = ["COUNTERPARTS", "World"]

_PAYLOAD: Final = bytes(range(47)) * 28

# Longer than anything in our pages takes, in a time that costs nothing.
_PATIENCE: Final = 300.0

_real_run = trio.run


async def receiver() -> None:
    """Listens at the studio, as a studio does."""
    async with tz.open_rist_receiver("rist://@:5000") as stream:
        async for _chunk in stream:
            pass


async def sender() -> None:
    """Calls us and sends at 2 Mbit/s."""
    async with tz.open_rist_sender("rist://192.0.2.1:5000", fast_start=True) as stream:
        while True:
            await stream.send_all(_PAYLOAD)
            await trio.sleep(len(_PAYLOAD) * 8 / 2e6)


async def listening_sender() -> None:
    """Waits at the studio for somebody to fetch a stream."""
    async with tz.open_rist_sender("rist://@:5000") as stream:
        while True:
            await stream.send_all(_PAYLOAD)
            await trio.sleep(len(_PAYLOAD) * 8 / 2e6)


COUNTERPARTS: Final[dict[str, Callable[[], Awaitable[None]]]] = {
    "receiver": receiver,
    "sender": sender,
    "listening-sender": listening_sender,
}


class World:
    """Two hosts, and whoever the code expects at the other one."""

    def __init__(self, counterpart: str | None = None, seconds: float | None = None) -> None:
        self.network = SimulatedNetwork("documentation")
        self.here = self.network.add_host("here", "192.0.2.1")
        self.studio = self.network.add_host("studio", "192.0.2.7", "192.0.2.8")
        self.network.connect(self.here, self.studio, LinkConditions(delay=0.020, loss=0.02))
        self._counterpart = COUNTERPARTS[counterpart] if counterpart else None
        self._seconds = seconds

    @contextmanager
    def replaces_trio_run(self) -> Iterator[None]:
        """While this block runs, ``trio.run`` runs in this world."""
        with mock.patch("trio.run", self.run):
            yield

    def run(self, function: Callable[..., Awaitable[Any]], *args: Any, **_options: Any) -> Any:
        """Like `trio.run`."""
        with deterministic_scheduling("documentation"):
            return _real_run(self._main, function, args, clock=MockClock(autojump_threshold=0))

    async def _main(self, function: Callable[..., Awaitable[Any]], args: tuple[Any, ...]) -> Any:
        result, problem = None, None
        async with trio.open_nursery() as nursery:
            if self._counterpart is not None:
                _start_on(self.studio, nursery, self._counterpart)
            with use_network(self.here):
                try:
                    result = await self._patiently(function, args)
                except Exception as exc:
                    problem = exc
            nursery.cancel_scope.cancel()
        if problem is not None:
            raise problem
        return result

    async def _patiently(self, function: Callable[..., Awaitable[Any]], args: tuple[Any, ...]) -> Any:
        if self._seconds is None:
            with trio.fail_after(_PATIENCE):
                return await function(*args)
        ended = False
        with trio.move_on_after(self._seconds):
            await function(*args)
            ended = True
        assert not ended, "it ended by itself: leave out seconds="
        return None


def _start_on(host: SimulatedHost, nursery: trio.Nursery, function: Callable[[], Awaitable[None]]) -> None:
    with use_network(host):
        nursery.start_soon(function)
