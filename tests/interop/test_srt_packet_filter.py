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
from tests.interop.srt_peers import CHUNK, free_port, running, tool, wait_bound

pytestmark = pytest.mark.interop

COUNT = 1000

LAYOUTS = [
    "cols:10,rows:1",
    "cols:10,rows:5,layout:even",
    "cols:10,rows:5,layout:staircase",
    "cols:5,rows:-5,layout:even",
    "cols:5,rows:-5,layout:staircase",
]
CASES = [(layout, arq, "") for layout in LAYOUTS for arq in ("always", "onreq", "never")]
CASES += [(layout, "onreq", "&passphrase=correct-horse-battery") for layout in LAYOUTS[:3]]

# Long enough for a busy machine that runs all three processes late.
LATENCY_MS = 800

LOSSY = LinkConditions(loss=IndependentLoss(0.04))
PERFECT = LinkConditions()


def packet(number: int) -> bytes:
    return number.to_bytes(4, "big") + random.Random(number).randbytes(CHUNK - 4)


PACKETS = [packet(number) for number in range(COUNT)]


class Arrivals:
    """What came out at the other end, and whether it is beyond the packets that count."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.have_all_had_their_time = trio.Event()

    async def read(self, stream: SrtStream | trio.abc.ReceiveStream) -> None:
        async for chunk in stream:
            self.data += chunk
            last = len(self.data) // CHUNK - 1
            if last >= 0 and self._number(last) >= COUNT:
                self.have_all_had_their_time.set()
                if isinstance(stream, SrtStream):
                    return

    def missing(self) -> list[int]:
        """The packets that did not come; checks that nothing wrong came."""
        assert len(self.data) % CHUNK == 0
        numbers = [self._number(index) for index in range(len(self.data) // CHUNK)]
        assert numbers == sorted(set(numbers))
        for index, number in enumerate(numbers):
            assert self.data[index * CHUNK : (index + 1) * CHUNK] == packet(number)
        return sorted(set(range(COUNT)) - set(numbers))

    def _number(self, index: int) -> int:
        return int.from_bytes(self.data[index * CHUNK : index * CHUNK + 4], "big")


async def trickle(write: trio.abc.SendStream | SrtStream, until: trio.Event) -> None:
    """Every packet that counts, then others: a loss is noticed, and a matrix is full, by what follows."""
    for start in range(0, COUNT, 2):
        await write.send_all(b"".join(PACKETS[start : start + 2]))
        await trio.sleep(0.002)
    number = COUNT
    while not until.is_set():
        await write.send_all(packet(number))
        number += 1
        await trio.sleep(0.005)


@pytest.mark.parametrize(("layout", "arq", "passphrase"), CASES)
async def test_libsrt_mends_what_we_send(layout: str, arq: str, passphrase: str, tmp_path: Path) -> None:
    port = free_port()
    statistics = tmp_path / "statistics.json"
    arrivals = Arrivals()
    query = f"latency={LATENCY_MS}&packetfilter=fec,{layout},arq:{arq}{passphrase}"
    command = tool(
        "-s:20", "-pf:json", f"-statsout:{statistics}", f"srt://:{port}?mode=listener&{query}", "file://con"
    )
    with trio.fail_after(60):
        async with (
            running(command) as process,
            open_impairment_proxy(
                ("127.0.0.1", 0), ("127.0.0.1", port), up=LOSSY, down=PERFECT, seed=9
            ) as proxy,
        ):
            assert process.stdout is not None
            await wait_bound(port)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(arrivals.read, process.stdout)
                async with open_srt_stream(
                    f"srt://127.0.0.1:{proxy.listen_address.port}?{query}", connect_timeout=20.0
                ) as stream:
                    await trickle(stream, until=arrivals.have_all_had_their_time)
                # Its output is buffered; asked to end, it writes the rest.
                process.terminate()
    sent = stream.statistics()
    missing = arrivals.missing()
    assert sent.filter_sent > 0
    reports = [json.loads(line) for line in statistics.read_text().splitlines() if line.startswith("{")]
    rebuilt = sum(report["recv"]["packetsFilterSupply"] for report in reports)
    # Where everything is asked for at once, the repeat mostly comes before the parity.
    assert rebuilt >= (1 if arq == "always" else 5)
    if arq == "always":
        assert not missing
    else:
        # It reports a packet that its filter gave up just once, so that one lost repeat is a hole.
        assert len(missing) <= 20, missing
        assert sent.retransmitted <= 0.03 * sent.sent_unique


@pytest.mark.parametrize(("layout", "arq", "passphrase"), CASES)
async def test_we_mend_what_libsrt_sends(layout: str, arq: str, passphrase: str) -> None:
    port = free_port()
    arrivals = Arrivals()
    query = f"latency={LATENCY_MS}{passphrase}"
    command = tool("file://con", f"srt://:{port}?mode=listener&packetfilter=fec,{layout},arq:{arq}&{query}")
    with trio.fail_after(60):
        async with (
            running(command) as process,
            open_impairment_proxy(
                ("127.0.0.1", 0), ("127.0.0.1", port), up=PERFECT, down=LOSSY, seed=9
            ) as proxy,
        ):
            assert process.stdin is not None
            await wait_bound(port)
            # libsrt's listener takes whatever filter the caller asks for, if it does not contradict its own.
            async with open_srt_stream(
                f"srt://127.0.0.1:{proxy.listen_address.port}?{query}",
                packet_filter="fec",
                connect_timeout=20.0,
            ) as stream:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(trickle, process.stdin, arrivals.have_all_had_their_time)
                    await arrivals.read(stream)
                statistics = stream.statistics()
    missing = arrivals.missing()
    assert statistics.filter_received > 0
    assert statistics.filter_recovered >= (1 if arq == "always" else 5)
    assert statistics.lost == statistics.recovered + statistics.unrecovered
    if arq == "never":
        assert statistics.naks_sent == 0
        assert len(missing) <= 20, missing
    else:
        assert not missing
