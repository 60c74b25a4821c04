"""check_endpoint passes what keeps its promises, and names the promise that is broken."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import trio
from trio.testing import MockClock

from terzetto.net.endpoint import DatagramEndpoint, EndpointStatistics, Run, Trouble
from terzetto.net.simulated import SimulatedNetwork
from terzetto.primitives.datagrams import Address
from terzetto.testing.checks import PromiseBroken, check_endpoint
from tests.net.simulated.worlds import bind

Wrap = Callable[[DatagramEndpoint], DatagramEndpoint]


async def check_with(wrap: Wrap, *, carries_empty: bool = True) -> None:
    network = SimulatedNetwork(1)
    alice, bob = network.add_host("alice"), network.add_host("bob")

    async def open_pair() -> tuple[DatagramEndpoint, DatagramEndpoint]:
        await trio.lowlevel.checkpoint()
        return wrap(bind(alice, address="10.0.0.1")), wrap(bind(bob, address="10.0.0.2"))

    await check_endpoint(open_pair, carries_empty=carries_empty)


class Wrapped(DatagramEndpoint):
    """Passes everything on; what inherits from it breaks one thing."""

    def __init__(self, inner: DatagramEndpoint) -> None:
        self.inner = inner

    @property
    def local_address(self) -> Address:
        return self.inner.local_address

    async def receive(self) -> list[Run]:
        return await self.inner.receive()

    def receive_nowait(self) -> list[Run]:
        return self.inner.receive_nowait()

    async def send(self, runs: Sequence[Run]) -> None:
        await self.inner.send(runs)

    def send_nowait(self, runs: Sequence[Run]) -> list[Run]:
        return self.inner.send_nowait(runs)

    def poll_troubles(self) -> list[Trouble]:
        return self.inner.poll_troubles()

    def statistics(self) -> EndpointStatistics:
        return self.inner.statistics()

    def close(self) -> None:
        self.inner.close()


class Reverses(Wrapped):
    async def receive(self) -> list[Run]:
        runs = await self.inner.receive()
        return [run._replace(datagrams=run.datagrams[::-1]) for run in runs]


class TakesBeforeItYields(Wrapped):
    async def receive(self) -> list[Run]:
        runs = self.inner.receive_nowait()
        await trio.lowlevel.checkpoint()
        return runs or await self.inner.receive()


class ReusesItsBuffer(Wrapped):
    buffer = bytearray(1200)

    async def receive(self) -> list[Run]:
        runs = await self.inner.receive()
        return [run._replace(datagrams=[self._copy(datagram) for datagram in run.datagrams]) for run in runs]

    def _copy(self, datagram: bytes | memoryview) -> memoryview:
        self.buffer[: len(datagram)] = datagram
        return memoryview(self.buffer)[: len(datagram)]


class DropsEmptyDatagrams(Wrapped):
    async def receive(self) -> list[Run]:
        while True:
            runs = await self.inner.receive()
            kept = [run._replace(datagrams=[each for each in run.datagrams if len(each)]) for run in runs]
            if any(run.datagrams for run in kept):
                return kept


class ForgetsToYield(Wrapped):
    async def send(self, runs: Sequence[Run]) -> None:
        self.inner.send_nowait(runs)


class LivesOnWhenClosed(Wrapped):
    def statistics(self) -> EndpointStatistics:
        return EndpointStatistics(30, 465, 30, 465)


@pytest.mark.slow
async def test_the_simulated_endpoint_keeps_every_promise(autojump_clock: MockClock) -> None:
    await check_with(lambda endpoint: endpoint)
    await check_with(Wrapped)


@pytest.mark.parametrize(
    ("wrap", "broken"),
    [
        (Reverses, "in order"),
        (TakesBeforeItYields, "has taken nothing"),
        (ReusesItsBuffer, "in order, whole|never change"),
        (DropsEmptyDatagrams, "empty datagrams|all 3"),
        (ForgetsToYield, "cancelled"),
        (LivesOnWhenClosed, "counted"),
    ],
)
async def test_a_broken_promise_is_named(autojump_clock: MockClock, wrap: Wrap, broken: str) -> None:
    with pytest.raises(PromiseBroken, match=broken):
        await check_with(wrap)


async def test_an_endpoint_may_say_that_it_carries_no_empty_datagrams(autojump_clock: MockClock) -> None:
    with pytest.raises(PromiseBroken, match="without a trace"):
        await check_with(Wrapped, carries_empty=False)
