"""A caller and a peer with several ways between them, in the simulated network."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import trio

from terzetto.net.network import use_network
from terzetto.net.simulated import SimulatedNetwork
from terzetto.net.simulated.link import Link
from terzetto.primitives.impairment import LinkConditions
from terzetto.srt.events import SrtEvent
from terzetto.srt.group import SrtGroup
from terzetto.srt.group_api import open_srt_group, open_srt_group_listener

__all__ = ["PAYLOAD", "World", "payload", "receive_numbered", "send_numbered", "until_quiet"]

PAYLOAD = 188


def payload(number: int) -> bytes:
    """A payload that says which one it is."""
    return number.to_bytes(4, "big") * (PAYLOAD // 4)


class World:
    """The caller and the peer have one address each for every way; a way can be cut and mended."""

    def __init__(self, ways: int = 2, *, seed: int = 1, **conditions: float) -> None:
        self.network = SimulatedNetwork(seed=seed)
        self.caller = self.network.add_host("caller", *[f"10.0.{way}.1" for way in range(ways)])
        self.peer = self.network.add_host("peer", *[f"10.0.{way}.2" for way in range(ways)])
        self.conditions = LinkConditions(**{"delay": 0.02, **conditions})  # type: ignore[arg-type]
        self.ways: list[tuple[Link, Link]] = []
        for way in range(ways):
            here, there = f"10.0.{way}.1", f"10.0.{way}.2"
            self.network.connect(here, there, self.conditions)
            self.ways.append(self.network.links_between(here, there))

    def cut(self, way: int) -> None:
        """Let nothing pass on a way, neither forth nor back."""
        for link in self.ways[way]:
            link.cut()

    def mend(self, way: int) -> None:
        for link in self.ways[way]:
            link.mend()

    def urls(self, *queries: str) -> list[str]:
        padded = [*queries, *[""] * len(self.ways)]
        return [
            f"srt://10.0.{way}.2:9000?adapter=10.0.{way}.1&{padded[way]}" for way in range(len(self.ways))
        ]

    @asynccontextmanager
    async def pair(
        self, mode: str = "broadcast", *queries: str, listening: str = "", **knobs: Any
    ) -> AsyncIterator[tuple[SrtGroup, SrtGroup]]:
        """The caller's group and the listener's."""
        with use_network(self.peer):
            manager = open_srt_group_listener(f"srt://:9000?{listening}")
            listener = await manager.__aenter__()
        try:
            with use_network(self.caller):
                async with open_srt_group(self.urls(*queries), mode=mode, **knobs) as group:
                    accepted = await listener.accept()
                    await joined(group, accepted, len(self.ways))
                    yield group, accepted
        finally:
            await manager.__aexit__(None, None, None)


async def joined(group: SrtGroup, accepted: SrtGroup, count: int) -> None:
    """Wait until all members are there, on both sides."""
    with trio.fail_after(30):
        while group.size < count or accepted.size < count:  # noqa: ASYNC110 (two sides at once)
            await trio.sleep(0.01)


async def send_numbered(group: SrtGroup, numbers: Sequence[int], pause: float = 0.002) -> None:
    for number in numbers:
        await group.send_packet(payload(number))
        await trio.sleep(pause)


async def receive_numbered(group: SrtGroup, count: int) -> list[int]:
    return [int.from_bytes((await group.receive_packet()).payload[:4], "big") for _ in range(count)]


async def until_quiet(group: SrtGroup) -> AsyncIterator[SrtEvent]:
    """What has happened so far."""
    events = group.events()
    while True:
        event = None
        with trio.move_on_after(0.001):
            event = await events.__anext__()
        if event is None:
            return
        yield event
