"""One stream of numbered packets over several paths of a simulated network, and what came of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Unpack

import attrs
import trio

from terzetto import RistPacket, RistReceiver, RistSender, open_rist_receiver, open_rist_sender
from terzetto.net.network import use_network
from terzetto.net.simulated import SimulatedNetwork
from terzetto.net.simulated.link import Link
from terzetto.primitives.impairment import LinkConditions
from terzetto.rist.events import RistEvent
from terzetto.rist.options import RistKnobs
from terzetto.rist.statistics import RistSenderStatistics
from tests.simulation.rist_runs import Outcome, media_in_tunnel

__all__ = ["Paths", "stream_over_paths"]


@attrs.define
class Paths:
    """A run while it goes on: both ends, and each path's links there and back."""

    network: SimulatedNetwork
    links: list[tuple[Link, Link]]
    sender: RistSender
    receiver: RistReceiver
    events: list[tuple[str, RistEvent]] = attrs.Factory(list)

    def cut(self, path: int) -> None:
        """Pull the cable."""
        for link in self.links[path]:
            link.cut()

    def mend(self, path: int) -> None:
        """Put it back."""
        for link in self.links[path]:
            link.mend()


async def stream_over_paths(
    seed: int,
    conditions: Sequence[LinkConditions],
    *,
    packets: int = 300,
    interval: float = 0.002,
    weights: Sequence[int] = (),
    at_one_port: bool = False,
    meanwhile: Callable[[Paths], Awaitable[None]] | None = None,
    **knobs: Unpack[RistKnobs],
) -> tuple[Outcome, Paths]:
    """Send *packets* over as many paths as there are *conditions*; *meanwhile* runs beside it."""
    knobs.setdefault("profile", "simple")
    network = SimulatedNetwork(seed)
    alice = network.add_host("alice")
    addresses = [f"10.9.{number}.2" for number in range(len(conditions))]
    bob = network.add_host("bob", *addresses)
    links = [
        network.connect(alice, address, condition)
        for address, condition in zip(addresses, conditions, strict=True)
    ]
    weights = weights or [0] * len(conditions)
    sent: list[bytes] = []
    sent_at: list[float] = []
    delivered: list[RistPacket] = []
    delivered_at: list[float] = []
    report: list[RistSenderStatistics] = []
    step = 0 if at_one_port else 10
    listening: str | list[str] = [
        f"rist://@{address}:{5000 + step * n}" for n, address in enumerate(addresses)
    ]
    if at_one_port:
        listening = "rist://@:5000?merge-callers=1"
    calling = [
        f"rist://{address}:{5000 + step * n}?weight={weight}"
        for n, (address, weight) in enumerate(zip(addresses, weights, strict=True))
    ]
    with use_network(bob):
        async with open_rist_receiver(listening, **knobs) as receiver, trio.open_nursery() as nursery:

            async def collect() -> None:
                while True:
                    batch = await receiver.receive_packets()
                    delivered.extend(batch)
                    delivered_at.extend([trio.current_time()] * len(batch))

            async def listen(who: str, stream: RistSender | RistReceiver) -> None:
                async for event in stream.events():
                    paths.events.append((who, event))

            nursery.start_soon(collect)
            with use_network(alice):
                async with open_rist_sender(calling, **knobs) as sender:
                    paths = Paths(network, links, sender, receiver)
                    nursery.start_soon(listen, "sender", sender)
                    nursery.start_soon(listen, "receiver", receiver)
                    await sender.wait_connected()
                    await trio.sleep(0.5)
                    if meanwhile is not None:
                        nursery.start_soon(meanwhile, paths)
                    for number in range(packets):
                        payload = number.to_bytes(4, "big") * 16
                        sent.append(payload)
                        sent_at.append(trio.current_time())
                        await sender.send_packet(payload)
                        await trio.sleep(interval)
                    report.append(sender.statistics())
            await trio.sleep(1)
            nursery.cancel_scope.cancel()
        network.settle()
        ports = range(5000, 5000 + 10 * len(conditions), 10)
        media = [record for record in network.trace.packets if record.destination.port in ports]
        if knobs.get("profile") == "main":
            media = media_in_tunnel(media, knobs)
        first_sent: dict[int, int] = {}
        for record in media:
            first_sent.setdefault(int.from_bytes(record.datagram[2:4], "big"), record.at)
        outcome = Outcome(
            media=media,
            media_sent_at=first_sent,
            buffer_micros=round(receiver.statistics().buffer * 1e6),
            sent=sent,
            sent_at=sent_at,
            delivered=delivered,
            delivered_at=delivered_at,
            sender=report[0],
            receiver=receiver.statistics(),
            trace_hash=network.trace_hash(),
        )
        return outcome, paths
