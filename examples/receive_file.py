"""Receive one RIST flow into a file, until the flow ends.

python examples/receive_file.py rist://@:5000 recording.ts
"""

from __future__ import annotations

import argparse

import trio

import terzetto as tz
from terzetto.rist.events import FlowEnded
from terzetto.rist.statistics import RistReceiverStatistics


async def receive_file(url: str, path: str) -> RistReceiverStatistics:
    """Write the first flow that arrives at *url* to *path*, and say how it went."""
    async with tz.open_rist_receiver(url) as receiver, await trio.open_file(path, "wb") as file:

        async def write() -> None:
            async for chunk in receiver:
                await file.write(chunk)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(write)
            # A RIST stream has no end of its own; that nothing more came for a whole buffer is an event.
            async for event in receiver.events():
                if isinstance(event, FlowEnded):
                    nursery.cancel_scope.cancel()
    return receiver.statistics()


def main() -> None:
    """Read the command line and receive."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("path")
    options = parser.parse_args()
    statistics = trio.run(receive_file, options.url, options.path)
    print(
        f"received {statistics.delivered} packets: {statistics.lost} were lost on the way, "
        f"{statistics.recovered} recovered, {statistics.unrecovered} not"
    )


if __name__ == "__main__":
    main()
