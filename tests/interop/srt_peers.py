"""Programs of others that speak SRT, and what it takes to run them beside us."""

from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import trio

__all__ = ["CHUNK", "ffmpeg", "free_port", "lossy_link", "running", "tool", "wait_bound"]

CHUNK: Final = 1316
_HANDSHAKE: Final = bytes.fromhex("80000000")


def free_port() -> int:
    """A port that nobody else is likely to take; the tools cannot bind port 0 and tell."""
    return random.SystemRandom().randrange(20_000, 32_000)


def tool(*arguments: str) -> list[str]:
    """The command line of Debian's srt-live-transmit."""
    path = shutil.which("srt-live-transmit")
    assert path is not None, "srt-live-transmit is missing (Debian: srt-tools)"
    return [path, "-q", "-chunk", str(CHUNK), "-loglevel", "fatal", *arguments]


def ffmpeg(*arguments: str) -> list[str]:
    """The command line of ffmpeg."""
    path = shutil.which("ffmpeg")
    assert path is not None, "ffmpeg is missing"
    return [path, "-hide_banner", "-loglevel", "error", "-nostdin", *arguments]


@asynccontextmanager
async def running(command: list[str]) -> AsyncIterator[trio.Process]:
    """A process that ends with the block, however it ends."""
    process = await trio.lowlevel.open_process(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
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
                await trio.aclose_forcefully(pipe)


async def wait_bound(port: int) -> None:
    """Wait until somebody has bound this UDP port; put a deadline around it."""
    while not _is_bound(port):  # noqa: ASYNC110 - it is the kernel that knows, and it tells nobody
        await trio.sleep(0.02)


def _is_bound(port: int) -> bool:
    word = f":{port:04X} "
    tables = Path("/proc/net/udp"), Path("/proc/net/udp6")
    return any(word in table.read_text(encoding="ascii") for table in tables)


@asynccontextmanager
async def lossy_link(
    near: tuple[str, int],
    far: tuple[str, int],
    theirs: tuple[str, int],
    *,
    ours: tuple[str, int] | None = None,
    loss: float,
    change: Callable[[bytes], bytes] = bytes,
) -> AsyncIterator[int]:
    """What comes to *near* leaves from *far* for *theirs*, and back: both ends see one address, as a rendezvous needs.

    Some datagrams are lost; *change* may rewrite those on the way back. Yields the port of *near*.

    Handshakes are spared: libsrt's tools close their door behind the first caller, so where their one answer is lost no
    repeated question brings another, to libsrt's callers neither, and the tool ends after five seconds of silence.
    """
    front, back = (trio.socket.socket(trio.socket.AF_INET, trio.socket.SOCK_DGRAM) for _ in range(2))
    await front.bind(near)
    await back.bind(far)
    chance = random.Random(11)
    known = [] if ours is None else [ours]

    def is_lost(packet: bytes) -> bool:
        return packet[:4] != _HANDSHAKE and chance.random() < loss

    async def forth() -> None:
        while True:
            packet, source = await front.recvfrom(2048)
            known[:] = [source]
            if not is_lost(packet):
                await back.sendto(packet, theirs)

    async def home() -> None:
        while True:
            packet, _ = await back.recvfrom(2048)
            if known and not is_lost(packet):
                await front.sendto(change(packet), known[0])

    with front, back:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(forth)
            nursery.start_soon(home)
            yield front.getsockname()[1]
            nursery.cancel_scope.cancel()
