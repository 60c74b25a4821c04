"""Numbered packets, processes of libRIST and ffmpeg, and the bad network between them and us."""

from __future__ import annotations

import hashlib
import random
import socket
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import trio

from terzetto.gateway.impairment import open_impairment_proxy
from terzetto.primitives.impairment import PERFECT, LinkConditions

# Begins with the sync byte of MPEG-TS, as the packets of those do; every packet has it once.
MAGIC = b"\x47\x1f\xffterzetto"
SIZE = 1316

# libRIST passes over a flow's first packet, and notices no loss before the first that it got; at the end it notices
# no loss after the last. So what is compared lies between a lead-in and a lead-out.
LEAD = 300
COUNTED = 1000

INTERVAL = 0.001

# An eighth of what a socket's buffer has room for by default.
MOST_AT_ONCE = 20


def packet(number: int) -> bytes:
    filler = random.Random(number).randbytes(SIZE - len(MAGIC) - 4).replace(b"\x47", b"\x48")
    return MAGIC + number.to_bytes(4, "big") + filler


PACKETS = [packet(number) for number in range(LEAD + COUNTED + LEAD)]
WANTED = PACKETS[LEAD : LEAD + COUNTED]
DIGEST = hashlib.sha256(b"".join(WANTED)).hexdigest()


class Arrivals:
    """What came out at the far end: bytes, however they were cut."""

    def __init__(self) -> None:
        self.data = bytearray()

    def numbers(self) -> list[int]:
        """Which packets are there, in order of arrival."""
        return [int.from_bytes(piece[:4], "big") for piece in bytes(self.data).split(MAGIC)[1:]]

    def counted(self) -> bytes:
        """The bytes from the first counted packet to the last, if these are there."""
        first = self.data.find(PACKETS[LEAD][: len(MAGIC) + 4])
        last = self.data.find(PACKETS[LEAD + COUNTED - 1][: len(MAGIC) + 4])
        return bytes(self.data[first : last + SIZE]) if 0 <= first < last else b""

    @property
    def is_complete(self) -> bool:
        return len(self.counted()) >= COUNTED * SIZE

    def check(self, about: object = "") -> None:
        """Whether every counted packet is there, once, in order, bit for bit; *about* explains a failure."""
        numbers = [number for number in self.numbers() if LEAD <= number < LEAD + COUNTED]
        missing = sorted(set(range(LEAD, LEAD + COUNTED)) - set(numbers))
        assert not missing, (
            f"{len(missing)} of {COUNTED} packets are missing, the first is {missing[0]}; {about}"
        )
        assert numbers == list(range(LEAD, LEAD + COUNTED))
        assert hashlib.sha256(self.counted()).hexdigest() == DIGEST

    async def wait_complete(self) -> None:
        with trio.move_on_after(8):
            while not self.is_complete:  # noqa: ASYNC110  (several kinds of reader fill this)
                await trio.sleep(0.05)


async def pace(send: Callable[[bytes], Awaitable[object]]) -> None:
    """Send all packets at an even pace, and after a pause of the machine's make up for little of it.

    What is made up for comes at once, and more than a tool's socket holds is lost before it reaches the tool.
    """
    due = trio.current_time()
    for payload in PACKETS:
        due = max(due + INTERVAL, trio.current_time() - MOST_AT_ONCE * INTERVAL)
        await trio.sleep_until(due)
        await send(payload)


def free_pair() -> int:
    """An even port that is free now, like the one above it."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as lower:
            lower.bind(("127.0.0.1", 0))
            port: int = lower.getsockname()[1]
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as upper:
                try:
                    upper.bind(("127.0.0.1", port + 1))
                except OSError:
                    continue
            if port % 2 == 0:
                return port


@asynccontextmanager
async def running(*command: str) -> AsyncIterator[trio.Process]:
    """A process that ends with the block."""
    process = await trio.lowlevel.open_process(
        list(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    await pipe.aclose()


@asynccontextmanager
async def bad_network(port: int, loss: float, *, seed: int) -> AsyncIterator[int]:
    """A port that leads to *port* through 20 ms and that loss, each way."""
    conditions = LinkConditions(loss=loss, delay=0.02) if loss else PERFECT
    async with open_impairment_proxy(
        ("127.0.0.1", 0), ("127.0.0.1", port), up=conditions, seed=seed, pair=True
    ) as proxy:
        yield proxy.listen_address.port


@asynccontextmanager
async def udp_output() -> AsyncIterator[tuple[int, Arrivals]]:
    """A port for a tool's output, and what arrives there."""
    arrivals = Arrivals()
    with trio.socket.socket(trio.socket.AF_INET, trio.socket.SOCK_DGRAM) as output:
        output.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        await output.bind(("127.0.0.1", 0))

        async def collect() -> None:
            while True:
                arrivals.data += await output.recv(65535)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(collect)
            yield output.getsockname()[1], arrivals
            nursery.cancel_scope.cancel()


@asynccontextmanager
async def udp_input(port: int) -> AsyncIterator[Callable[[bytes], Awaitable[object]]]:
    """A way to send to a tool's input."""
    with trio.socket.socket(trio.socket.AF_INET, trio.socket.SOCK_DGRAM) as feed:
        await feed.connect(("127.0.0.1", port))

        async def send(payload: bytes) -> None:
            try:
                await feed.send(payload)
            except ConnectionRefusedError:
                pass  # not up yet

        yield send
