"""Watch a RIST flow: a line of JSON every second, and a line for everything that happens.

python examples/monitor.py rist://@:5000
"""

from __future__ import annotations

import argparse
import json

import trio

import terzetto as tz


async def monitor(url: str, every: float = 1.0) -> None:
    """Print the statistics of the flow that arrives at *url*, for ever; its media is thrown away."""
    async with tz.open_rist_receiver(url) as receiver, trio.open_nursery() as nursery:
        nursery.start_soon(print_events, receiver)
        nursery.start_soon(print_statistics, receiver, every)
        async for _media in receiver:
            pass


async def print_events(receiver: tz.RistReceiver) -> None:
    """One line for each event."""
    async for event in receiver.events():
        print(json.dumps({"event": type(event).__name__, "text": str(event)}), flush=True)


async def print_statistics(receiver: tz.RistReceiver, every: float) -> None:
    """One line now and then; ``lost`` is always ``recovered`` and ``unrecovered`` together."""
    while True:
        await trio.sleep(every)
        now = receiver.statistics()
        line = {
            "delivered": now.delivered,
            "lost": now.lost,
            "recovered": now.recovered,
            "unrecovered": now.unrecovered,
            "megabits": round(now.bitrate / 1e6, 3),
            "round_trip_ms": round(now.peer.round_trip * 1000, 1),
        }
        print(json.dumps(line), flush=True)


def main() -> None:
    """Read the command line and watch until interrupted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    options = parser.parse_args()
    try:
        trio.run(monitor, options.url)
    except* KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
