"""A sender and a receiver of a group on the kernel's sockets."""

from __future__ import annotations

import pytest
import trio

from terzetto import open_rist_receiver, open_rist_sender
from tests.net.namespace import needs_namespace, run_in_namespace

pytestmark = [pytest.mark.interop, needs_namespace]

SETUP = """
    ip link add one type veth peer name far1
    ip link set far1 up
    ip addr add 10.1.0.1/24 dev one
    ip addr add fd01::1/64 dev one nodad
    ip link set one up
"""


@pytest.mark.parametrize(
    ("group", "source"), [("239.1.1.1", ""), ("[ff15::5]", ""), ("232.1.1.1", "&source=10.1.0.1")]
)
def test_a_group_is_sent_to_and_its_receiver_answers_by_unicast(group: str, source: str) -> None:
    async def body() -> None:
        query = "profile=simple&miface=one&buffer=200"
        async with (
            open_rist_receiver(f"rist://@{group}:5000?{query}{source}") as receiver,
            open_rist_sender(f"rist://{group}:5000?{query}&ttl=1&multicast-loop=1") as sender,
        ):
            await sender.wait_connected()
            sent = [number.to_bytes(4, "big") * 100 for number in range(50)]
            for payload in sent:
                await sender.send_packet(payload)
                await trio.sleep(0.002)
            received: list[bytes] = []
            while len(received) < len(sent):
                received += [packet.payload for packet in await receiver.receive_packets()]
            assert received == sent
            assert sender.statistics().peer.address.startswith(("10.1.0.1", "[fd01::1", "[fe80"))
            assert sender.statistics().peer.feedback_received > 0

    run_in_namespace(SETUP, body, seconds=20)
