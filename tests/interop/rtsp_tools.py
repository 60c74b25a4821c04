"""Running other people's RTSP programs beside ours."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from terzetto.rtsp.server import PathHandler, RtspServer, RtspServerSession, serve_rtsp

__all__ = [
    "GST_READER",
    "SYSTEM_PYTHON",
    "ObservedHandler",
    "gst_server",
    "need",
    "printed_port",
    "program",
    "run",
    "serving",
    "wait_for",
]

# GStreamer's bindings belong to the system's Python, not to ours.
SYSTEM_PYTHON = "/usr/bin/python3"
GST_SERVER = Path(__file__).with_name("gst_server.py")
GST_READER = Path(__file__).with_name("gst_reader.py")


class ObservedHandler(PathHandler):
    """Takes publishers, and remembers how sessions ended."""

    def __init__(self) -> None:
        super().__init__(accept_publishers=True)
        self.endings: list[str] = []

    async def session_closed(self, session: RtspServerSession, reason: str) -> None:
        self.endings.append(reason)
        await super().session_closed(session, reason)


def need(name: str) -> None:
    """Fail where a program is missing: an interop run that tests nothing must not be green."""
    if shutil.which(name) is None:
        pytest.fail(f"{name} is not installed", pytrace=False)


@asynccontextmanager
async def program(*command: str) -> AsyncIterator[trio.Process]:
    """A program that runs during the block."""
    need(command[0])
    async with trio.open_nursery() as nursery:
        process: trio.Process = await nursery.start(
            partial(
                trio.run_process,
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                check=False,
            )
        )
        try:
            yield process
        finally:
            nursery.cancel_scope.cancel()


async def run(*command: str, timeout: float = 30.0) -> str:
    """Run a program to its end, which must be a good one; what it wrote, without its complaints."""
    need(command[0])
    with trio.fail_after(timeout):
        result = await trio.run_process(
            command, capture_stdout=True, capture_stderr=True, check=False, stdin=subprocess.DEVNULL
        )
    complaints = result.stderr.decode(errors="replace")
    assert result.returncode == 0, f"{command[0]} failed ({result.returncode}): {complaints[-2000:]}"
    return result.stdout.decode(errors="replace")


@asynccontextmanager
async def gst_server(*arguments: str) -> AsyncIterator[int]:
    """A gst-rtsp-server during the block; its port."""
    async with program(SYSTEM_PYTHON, str(GST_SERVER), *arguments) as process:
        yield await printed_port(process)


async def printed_port(process: trio.Process) -> int:
    """The port that a server of GStreamer's prints when it is ready."""
    assert process.stdout is not None
    line = b""
    with trio.fail_after(20):
        while not line.endswith(b"\n"):
            data = await process.stdout.receive_some(1)
            assert data, "gst-rtsp-server did not start"
            line += data
    return int(line)


@asynccontextmanager
async def serving(
    url: str = "rtsp://127.0.0.1:0", *, handler: ObservedHandler | None = None, **knobs: Any
) -> AsyncIterator[tuple[RtspServer, ObservedHandler]]:
    """Our server during the block, taking publishers."""
    handler = handler or ObservedHandler()
    async with trio.open_nursery() as nursery:
        server: RtspServer = await nursery.start(partial(serve_rtsp, handler, url, **knobs))
        yield server, handler
        nursery.cancel_scope.cancel()


async def wait_for(condition: object, *, timeout: float = 15.0) -> None:
    """Wait until a function says yes."""
    assert callable(condition)
    with trio.fail_after(timeout):
        while not condition():  # noqa: ASYNC110
            await trio.sleep(0.05)
