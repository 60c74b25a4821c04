"""How long must the recovery buffer be on this path? Tried on a simulated network, in no time.

python examples/which_buffer.py --loss 0.05 --delay 0.04
"""

from __future__ import annotations

import argparse

import trio
from trio.testing import MockClock

import terzetto as tz
from terzetto.testing import LinkConditions, SimulatedNetwork, deterministic_scheduling, use_network

BUFFERS = (0.05, 0.1, 0.2, 0.3, 0.5, 1.0)
RATE = 5e6
PAYLOAD = 1316


def try_buffer(buffer: float, loss: float, delay: float, seconds: float = 30.0, seed: int = 1) -> int:
    """Stream over a path like this, with this recovery buffer; how many packets were not recovered."""
    network = SimulatedNetwork(seed)
    camera, studio = network.add_host("camera"), network.add_host("studio")
    network.connect(camera, studio, LinkConditions(delay=delay, loss=loss))

    async def stream() -> int:
        async with trio.open_nursery() as nursery:
            with use_network(studio):
                receiver = await tz.connect_rist_receiver(nursery, "rist://@:5000", buffer=buffer)
            with use_network(camera):
                sender = await tz.connect_rist_sender(nursery, "rist://studio:5000", buffer=buffer)
            await sender.wait_connected()
            ten_payloads = bytes(10 * PAYLOAD)
            for _ in range(int(seconds * RATE / 8 / len(ten_payloads))):
                await sender.send_all(ten_payloads)
                await trio.sleep(len(ten_payloads) * 8 / RATE)
            await sender.aclose()
            await trio.sleep(buffer)
            await receiver.aclose()
        return sender.statistics().sent - receiver.statistics().delivered

    with deterministic_scheduling(seed):
        return trio.run(stream, clock=MockClock(autojump_threshold=0))


def main() -> None:
    """Read the command line and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--loss", type=float, default=0.05)
    parser.add_argument("--delay", type=float, default=0.04, help="one way, seconds")
    parser.add_argument("--seconds", type=float, default=30.0)
    options = parser.parse_args()
    for buffer in BUFFERS:
        missing = try_buffer(buffer, options.loss, options.delay, options.seconds)
        print(f"buffer {buffer * 1000:5.0f} ms: {missing} packets missing in {options.seconds:g} s")


if __name__ == "__main__":
    main()
