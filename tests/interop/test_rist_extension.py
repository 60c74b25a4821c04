"""32-bit sequences against GStreamer's RIST source and against libRIST, which both ask with the lower half alone."""

from __future__ import annotations

import pytest
import trio

import terzetto as tz
from tests.interop.rist_peers import bad_network, free_pair, pace, running, udp_output

pytestmark = pytest.mark.interop

HOST = "127.0.0.1"
# Where our own sender begins to count, so that the upper half changes on the way.
BEGINNING = 0x3_FE00


@pytest.mark.needs("gst-launch-1.0")
async def test_gstreamer_mends_what_we_count_in_32_bits() -> None:
    listening = free_pair()
    async with (
        udp_output() as (output, arrivals),
        running(
            *f"gst-launch-1.0 -q ristsrc address={HOST} port={listening} receiver-buffer=2000 ! rtpmp2tdepay ! "
            f"udpsink host={HOST} port={output} sync=false".split()
        ),
        bad_network(listening, 0.05, seed=4) as port,
        tz.open_rist_sender(
            f"rist://{HOST}:{port}", profile="simple", buffer=2.0, sequence_extension=True, session_timeout=5
        ) as sender,
    ):
        sender._outflow.history.next_sequence = BEGINNING
        with trio.fail_after(10):
            await sender.wait_connected()
        await pace(sender.send_packet)
        await arrivals.wait_complete()
        statistics = sender.statistics()
    arrivals.check()
    assert statistics.retransmitted > 20


@pytest.mark.needs("ristreceiver")
@pytest.mark.parametrize("secret", ["", "&secret=hush&aes-type=128"])
async def test_librist_reads_the_lower_half_and_asks_with_it(secret: str) -> None:
    listening = free_pair()
    async with (
        udp_output() as (output, arrivals),
        running(
            *f"ristreceiver -p 1 -i rist://@{HOST}:{listening}?buffer=500{secret} -o udp://{HOST}:{output}".split()
        ),
        bad_network(listening, 0.05, seed=4) as port,
        tz.open_rist_sender(f"rist://{HOST}:{port}?buffer=500&sequence-extension=1{secret}") as sender,
    ):
        sender._outflow.history.next_sequence = BEGINNING
        with trio.fail_after(10):
            await sender.wait_connected()
        await pace(sender.send_packet)
        await arrivals.wait_complete()
        statistics = sender.statistics()
    arrivals.check()
    assert statistics.retransmitted > 20
