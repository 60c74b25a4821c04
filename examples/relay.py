"""Receive a RIST flow and send it on to several places, each on its own.

python examples/relay.py rist://@:5000 rist://192.0.2.7:6000 rist://192.0.2.8:6000
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import trio

import terzetto as tz

# What may wait for one destination, in batches; about a second of a busy stream.
ROOM = 256


async def relay(source: str, destinations: Sequence[str]) -> None:
    """Copy everything that arrives at *source* to every one of *destinations*, for ever."""
    async with tz.open_rist_receiver(source) as receiver, trio.open_nursery() as nursery:
        outputs = []
        for url in destinations:
            outbox, inbox = trio.open_memory_channel[list[bytes]](ROOM)
            outputs.append(outbox)
            nursery.start_soon(feed, url, inbox)
        while True:
            payloads = [packet.payload for packet in await receiver.receive_packets()]
            for outbox in outputs:
                try:
                    outbox.send_nowait(payloads)
                except trio.WouldBlock:
                    # Live media does not wait, and one slow destination must not hold up the others.
                    print("a destination is too slow; dropped", len(payloads), "packets for it")


async def feed(url: str, inbox: trio.MemoryReceiveChannel[list[bytes]]) -> None:
    """Send what comes out of *inbox* to *url*, keeping the boundaries of packets."""
    async with tz.open_rist_sender(url) as sender:
        async for payloads in inbox:
            await sender.send_packets(payloads)


def main() -> None:
    """Read the command line and relay until interrupted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source")
    parser.add_argument("destinations", nargs="+")
    options = parser.parse_args()
    try:
        trio.run(relay, options.source, options.destinations)
    except* KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
