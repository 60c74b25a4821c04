"""The small world in which the documentation's code runs.

Two hosts 20 ms apart, 2 % of everything lost between them: ``192.0.2.1`` (``here``), where the code runs, and
``192.0.2.7`` (``studio``), where its counterparts are. Code is not changed for it: ``trio.run`` is, so that programs
find themselves on the simulated network, under a clock that jumps.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final, TypeAlias
from unittest import mock

import trio
from trio.testing import MockClock

import terzetto as tz
from terzetto.net.endpoint import Address, EndpointOptions, Run
from terzetto.net.network import current_network
from terzetto.rtsp.api import Description, Format, Media, PathHandler, TransportStreamPacketizer
from terzetto.testing import (
    LinkConditions,
    SimulatedNetwork,
    deterministic_scheduling,
    use_network,
)
from tests.simulation.rtsp_recorder import Recorder

__all__ = ["COUNTERPARTS", "World"]

_PAYLOAD: Final = bytes(range(47)) * 28
_TS_PACKETS: Final = (b"\x47\x01\x00\x10" + bytes(184)) * 7

# Longer than anything in our pages takes, in a time that costs nothing.
_PATIENCE: Final = 300.0

_real_run = trio.run


async def receiver(world: World) -> None:
    """Listens at the studio, as a studio does."""
    async with tz.open_rist_receiver("rist://@:5000") as stream:
        async for chunk in stream:
            world.heard += len(chunk)


async def caller(world: World) -> None:
    """Calls us and receives."""
    async with tz.open_rist_receiver("rist://192.0.2.1:5000?secret=for+all+of+you") as stream:
        async for chunk in stream:
            world.heard += len(chunk)


async def sender(_world: World) -> None:
    """Calls us and sends at 2 Mbit/s."""
    async with tz.open_rist_sender("rist://192.0.2.1:5000", fast_start=True) as stream:
        while True:
            await stream.send_all(_PAYLOAD)
            await trio.sleep(len(_PAYLOAD) * 8 / 2e6)


async def udp_source(_world: World) -> None:
    """Sends plain UDP to our port 1234, as an encoder does."""
    async with await current_network().open_datagram_endpoint(EndpointOptions(family=4)) as endpoint:
        while True:
            await endpoint.send([Run(Address("192.0.2.1", 1234), [_PAYLOAD])])
            await trio.sleep(len(_PAYLOAD) * 8 / 2e6)


async def camera(_world: World) -> None:
    """Serves a transport stream at rtsp://192.0.2.7/stream, one to talk to at /door; takes publishers."""
    talk = Media(
        kind="audio",
        formats=(Format(payload_type=0, encoding="PCMU", clock_rate=8000),),
        is_back_channel=True,
    )
    stream = tz.ServerStream(Description.mpeg_ts("camera"))
    door = tz.ServerStream(Description(medias=(*Description.mpeg_ts().medias, talk)))

    def write(packets: Sequence[bytes]) -> None:
        stream.write(0, packets)
        door.write(0, packets)

    packetizer = TransportStreamPacketizer(write)
    handler = PathHandler({"/stream": stream, "/door": door}, accept_publishers=True)
    async with trio.open_nursery() as nursery:
        await nursery.start(tz.serve_rtsp, handler, "rtsp://:554")
        while True:
            packetizer.send(_TS_PACKETS)
            await trio.sleep(len(_TS_PACKETS) * 8 / 2e6)


async def recorder(_world: World) -> None:
    """Replays a recording at rtsp://192.0.2.7/rec, a picture for each second of it."""
    async with trio.open_nursery() as nursery:
        await tz.serve_rtsp(Recorder(nursery), "rtsp://:554", reader_backlog=1 << 17)


async def player(_world: World) -> None:
    """Plays rtsp://192.0.2.1:8554/live, as soon as it is there."""
    while True:
        with suppress(tz.TerzettoError):
            async with tz.open_rtsp_client("rtsp://192.0.2.1:8554/live") as client, client.play() as packets:
                async for _ in packets:
                    pass
        await trio.sleep(0.5)


Counterpart: TypeAlias = "Callable[[World], Awaitable[None]]"

COUNTERPARTS: Final[dict[str, Counterpart]] = {
    "caller": caller,
    "camera": camera,
    "player": player,
    "receiver": receiver,
    "recorder": recorder,
    "sender": sender,
    "udp-source": udp_source,
}


class World:
    """Two hosts, and whoever the code expects at the other one."""

    def __init__(self, *counterparts: str, seconds: float | None = None) -> None:
        self.network = SimulatedNetwork("documentation")
        self.here = self.network.add_host("here", "192.0.2.1")
        self.studio = self.network.add_host("studio", "192.0.2.7", "192.0.2.8")
        self.network.connect(self.here, self.studio, LinkConditions(delay=0.020, loss=0.02))
        self.heard = 0
        """Bytes that reached the counterpart ``receiver``."""
        self._counterparts = [COUNTERPARTS[name] for name in counterparts]
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
            with use_network(self.studio):
                for counterpart in self._counterparts:
                    nursery.start_soon(counterpart, self)
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
