"""The packet filter against Debian's srt-live-transmit (libsrt 1.5.1): each layout, both ways, over a lossy path."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
import trio

from terzetto.gateway.impairment import open_impairment_proxy
from terzetto.primitives.impairment import IndependentLoss, LinkConditions
from terzetto.srt.api import open_srt_stream
from terzetto.srt.stream import SrtStream
from tests.interop.test_srt import free_port, running, tool

pytestmark = pytest.mark.interop

CHUNK = 1316
COUNT = 1000
PACKETS = [index.to_bytes(4, "big") + random.Random(index).randbytes(CHUNK - 4) for index in range(COUNT)]

LAYOUTS = [
    "cols:10,rows:1",
    "cols:10,rows:5,layout:even",
    "cols:10,rows:5,layout:staircase",
    "cols:5,rows:-5,layout:even",
    "cols:5,rows:-5,layout:staircase",
]
CASES = [(layout, arq, "") for layout in LAYOUTS for arq in ("always", "onreq", "never")]
CASES += [(layout, "onreq", "&passphrase=correct-horse-battery") for layout in LAYOUTS[:3]]

LOSSY = LinkConditions(loss=IndependentLoss(0.04))
PERFECT = LinkConditions()


async def trickle(write: trio.abc.SendStream | SrtStream) -> None:
    for start in range(0, COUNT, 2):
        await write.send_all(b"".join(PACKETS[start : start + 2]))
        await trio.sleep(0.002)


async def read(stream: SrtStream | trio.abc.ReceiveStream, into: bytearray) -> None:
    async for chunk in stream:
        into += chunk
        if len(into) >= COUNT * CHUNK and isinstance(stream, SrtStream):
            return


def judge(received: bytearray) -> int:
    """Check that nothing wrong came; how many packets are missing."""
    assert len(received) % CHUNK == 0
    packets = [bytes(received[start : start + CHUNK]) for start in range(0, len(received), CHUNK)]
    numbers = [int.from_bytes(packet[:4], "big") for packet in packets]
    assert numbers == sorted(set(numbers))
    assert all(packet == PACKETS[number] for packet, number in zip(packets, numbers, strict=True))
    return COUNT - len(packets)


@pytest.mark.parametrize(("layout", "arq", "passphrase"), CASES)
async def test_libsrt_mends_what_we_send(layout: str, arq: str, passphrase: str, tmp_path: Path) -> None:
    port = free_port()
    statistics = tmp_path / "statistics.json"
    received = bytearray()
    query = f"latency=500&packetfilter=fec,{layout},arq:{arq}{passphrase}"
    command = tool(
        "-s:200", "-pf:json", f"-statsout:{statistics}", f"srt://:{port}?mode=listener&{query}", "file://con"
    )
    with trio.fail_after(30):
        async with (
            running(command) as process,
            open_impairment_proxy(
                ("127.0.0.1", 0), ("127.0.0.1", port), up=LOSSY, down=PERFECT, seed=9
            ) as proxy,
        ):
            assert process.stdout is not None
            await trio.sleep(0.3)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(read, process.stdout, received)
                async with open_srt_stream(f"srt://127.0.0.1:{proxy.listen_address.port}?{query}") as stream:
                    await trio.sleep(0.2)
                    await trickle(stream)
                    await trio.sleep(0.6)
                # Its output is buffered; asked to end, it writes the rest.
                await trio.sleep(0.2)
                process.terminate()
    sent = stream.statistics()
    missing = judge(received)
    assert sent.filter_sent > 0
    reports = [json.loads(line) for line in statistics.read_text().splitlines() if line.startswith("{")]
    rebuilt = sum(report["recv"]["packetsFilterSupply"] for report in reports)
    assert rebuilt >= 5
    if arq == "always":
        assert missing == 0
    else:
        # It reports a packet that its filter gave up just once, so that one lost repeat is a hole.
        assert missing <= 20
        assert sent.retransmitted <= 30


@pytest.mark.parametrize(("layout", "arq", "passphrase"), CASES)
async def test_we_mend_what_libsrt_sends(layout: str, arq: str, passphrase: str) -> None:
    port = free_port()
    received = bytearray()
    query = f"latency=500{passphrase}"
    command = tool("file://con", f"srt://:{port}?mode=listener&packetfilter=fec,{layout},arq:{arq}&{query}")
    with trio.fail_after(30):
        async with (
            running(command) as process,
            open_impairment_proxy(
                ("127.0.0.1", 0), ("127.0.0.1", port), up=PERFECT, down=LOSSY, seed=9
            ) as proxy,
        ):
            assert process.stdin is not None
            await trio.sleep(0.3)
            # libsrt's listener takes whatever filter the caller asks for, if it does not contradict its own.
            async with open_srt_stream(
                f"srt://127.0.0.1:{proxy.listen_address.port}?{query}", packet_filter="fec"
            ) as stream:
                with trio.move_on_after(10):
                    async with trio.open_nursery() as nursery:
                        nursery.start_soon(read, stream, received)
                        await trio.sleep(0.3)
                        await trickle(process.stdin)
                        await trio.sleep(1.0)
                        nursery.cancel_scope.cancel()
                statistics = stream.statistics()
    missing = judge(received)
    assert statistics.filter_received > 0
    assert statistics.filter_recovered >= 5
    assert statistics.lost == statistics.recovered + statistics.unrecovered
    if arq == "never":
        assert statistics.naks_sent == 0
        assert missing <= 20
    else:
        assert missing == 0
