"""Send a file to a RIST receiver at a steady rate.

python examples/send_file.py recording.ts rist://192.0.2.7:5000 --megabits 5
"""

from __future__ import annotations

import argparse

import trio

import terzetto as tz
from terzetto.rist.statistics import RistSenderStatistics

# Seven MPEG-TS packets: the payload that every RIST receiver expects.
PAYLOAD = 7 * 188


async def send_file(path: str, url: str, megabits: float) -> RistSenderStatistics:
    """Send the file at *path* to *url*, and say what it took."""
    async with (
        tz.open_rist_sender(url, connect_timeout=10) as sender,
        await trio.open_file(path, "rb") as file,
    ):
        await sender.wait_connected()
        due = trio.current_time()
        # Sixteen payloads at a time: small enough to look steady, large enough to be cheap.
        while chunk := await file.read(16 * PAYLOAD):
            await sender.send_all(chunk)
            due += len(chunk) * 8 / (megabits * 1e6)
            await trio.sleep_until(due)
    # Leaving the block waited until the receiver could no longer ask for anything.
    return sender.statistics()


def main() -> None:
    """Read the command line and send."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path")
    parser.add_argument("url")
    parser.add_argument("--megabits", type=float, default=5.0)
    options = parser.parse_args()
    statistics = trio.run(send_file, options.path, options.url, options.megabits)
    print(f"sent {statistics.sent} packets, {statistics.retransmitted} of them again")


if __name__ == "__main__":
    main()
