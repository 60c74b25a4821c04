"""Two cables between two machines, and one of them is pulled: kernel sockets in two network namespaces."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import trio

import terzetto as tz
from terzetto.rist.events import PathDown, PathUp, RistEvent
from tests.interop.rist_peers import PACKETS, Arrivals, pace, running
from tests.net.namespace import needs_namespace, run_in_namespace

pytestmark = [pytest.mark.interop, needs_namespace]

# Both ends of each cable at first, and the other machine: a process that sleeps in a namespace of its own.
SETUP = """
ip link add here0 type veth peer name there0
ip link add here1 type veth peer name there1
ip addr add 10.71.0.1/24 dev here0
ip addr add 10.71.1.1/24 dev here1
"""


def run(command: str) -> None:
    subprocess.run(command.split(), check=True, capture_output=True)


@contextmanager
def other_machine() -> Iterator[str]:
    """A prefix for commands that shall run over there."""
    with subprocess.Popen(
        ["unshare", "-n", "sh", "-c", "echo up; exec sleep 60"], stdout=subprocess.PIPE
    ) as machine:
        assert machine.stdout is not None
        machine.stdout.readline()
        enter = f"nsenter --net=/proc/{machine.pid}/ns/net "
        try:
            for number in (0, 1):
                run(f"ip link set there{number} netns {machine.pid}")
                run(f"{enter}ip addr add 10.71.{number}.2/24 dev there{number}")
                run(f"{enter}ip link set there{number} up")
                run(f"ip link set here{number} up")
            yield enter
        finally:
            machine.kill()


# Shared by weight, libRIST asks over either cable, and over the one that is pulled as well: nobody may wait for that.
@pytest.mark.parametrize("weights", [(0, 0), (1, 1)])
def test_a_cable_pulled_in_the_middle_loses_nothing(weights: tuple[int, int]) -> None:
    arrivals = Arrivals()
    events: list[RistEvent] = []

    async def listen(sender: tz.RistSender) -> None:
        async for event in sender.events():
            events.append(event)

    async def pull_and_put_back(sender: tz.RistSender) -> None:
        await trio.sleep(0.8)
        run("ip link set here0 down")
        with trio.fail_after(10):
            while not any(isinstance(event, PathDown) for event in events):  # noqa: ASYNC110
                await trio.sleep(0.02)
        run("ip link set here0 up")

    async def test() -> None:
        with other_machine() as enter:
            # Their end is libRIST, which has two ports open on the two addresses.
            async with (
                running(
                    *enter.split(),
                    *("ristreceiver", "-p", "1", "-i"),
                    ",".join(f"rist://@10.71.{n}.2:5000?buffer=1000&session-timeout=2000" for n in (0, 1)),
                    *("-o", "udp://10.71.1.1:6000"),
                ),
                trio.open_nursery() as nursery,
            ):
                with trio.socket.socket(trio.socket.AF_INET, trio.socket.SOCK_DGRAM) as output:
                    output.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_RCVBUF, 8 << 20)
                    await output.bind(("10.71.1.1", 6000))

                    async def collect() -> None:
                        while True:
                            arrivals.data += await output.recv(65535)

                    nursery.start_soon(collect)
                    urls = [
                        f"rist://10.71.{n}.2:5000?buffer=1000&weight={weight}"
                        for n, weight in enumerate(weights)
                    ]
                    async with tz.open_rist_sender(urls) as sender:
                        nursery.start_soon(listen, sender)
                        with trio.fail_after(15):
                            while sum(isinstance(event, PathUp) for event in events) < 2:  # noqa: ASYNC110
                                await trio.sleep(0.02)
                        nursery.start_soon(pull_and_put_back, sender)
                        await pace(sender.send_packet)
                        await arrivals.wait_complete()
                        with trio.fail_after(15):
                            while sum(isinstance(event, PathUp) for event in events) < 3:  # noqa: ASYNC110
                                await trio.sleep(0.05)
                        statistics = sender.statistics()
                        sent = [path.media_sent for path in statistics.paths]
                    nursery.cancel_scope.cancel()
        arrivals.check()
        assert next(event.path for event in events if isinstance(event, PathDown)) == 0
        assert [event.path for event in events if isinstance(event, PathUp)][-1] == 0
        assert sent[1] >= sent[0]
        assert sum(sent) >= len(PACKETS)
        assert bool(statistics.rescued) == any(weights)

    run_in_namespace(SETUP, test, seconds=60)
