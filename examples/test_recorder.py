"""How to test a product of your own under loss: the product above, its tests below.

Run it with ``python -m pytest examples/test_recorder.py -o trio_mode=true``. The fixture ``simulated_network``
comes with terzetto, ``autojump_clock`` with pytest-trio; the product is not changed for its test.
"""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

import terzetto as tz
from terzetto.testing import LinkConditions, SimulatedHost, SimulatedNetwork, use_network

# The product: knows nothing of simulated networks.


async def record(url: str, packets: int) -> bytes:
    """Receive that many packets and return what was in them."""
    media = bytearray()
    async with tz.open_rist_receiver(url) as receiver:
        for _ in range(packets):
            media += (await receiver.receive_packet()).payload
    return bytes(media)


# Its tests.

PACKETS = 2000
MEDIA = b"".join(number.to_bytes(4, "big") * 329 for number in range(PACKETS))


async def camera(url: str, buffer: float) -> None:
    """Send `MEDIA` at about 10 Mbit/s."""
    async with tz.open_rist_sender(url, buffer=buffer) as sender:
        for start in range(0, len(MEDIA), 13160):
            await sender.send_all(MEDIA[start : start + 13160])
            await trio.sleep(0.01)


def lossy_path(network: SimulatedNetwork, loss: float) -> tuple[SimulatedHost, SimulatedHost]:
    """A camera and a studio, 40 ms apart."""
    there, here = network.add_host("camera"), network.add_host("studio")
    network.connect(there, here, LinkConditions(delay=0.040, jitter=0.005, loss=loss))
    return there, here


async def test_everything_is_recorded_at_ten_per_cent_loss(
    simulated_network: SimulatedNetwork, autojump_clock: MockClock
) -> None:
    there, here = lossy_path(simulated_network, loss=0.10)
    async with trio.open_nursery() as nursery:
        with use_network(there):
            nursery.start_soon(camera, "rist://studio:5000", 1.0)
        with use_network(here), trio.fail_after(60):
            assert await record("rist://@:5000?buffer=1000", PACKETS) == MEDIA


async def test_a_buffer_shorter_than_the_round_trip_cannot_save_anything(
    simulated_network: SimulatedNetwork, autojump_clock: MockClock
) -> None:
    there, here = lossy_path(simulated_network, loss=0.10)
    async with trio.open_nursery() as nursery:
        with use_network(there):
            nursery.start_soon(camera, "rist://studio:5000", 0.05)
        with (
            use_network(here),
            pytest.raises(trio.TooSlowError),
            trio.fail_after(60),
        ):
            await record("rist://@:5000?buffer=50", PACKETS)
        nursery.cancel_scope.cancel()
