"""Files: read at their pace, appended to in blocks. The disk is waited for in a thread, never in the event loop."""

from __future__ import annotations

import os
import select
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import trio

from terzetto.errors import InvalidUrl, PermissionRefused, WorldError
from terzetto.gateway.contract import Batch, InputSettings, Json, Report, Sink, SinkPlan, Source, SourcePlan
from terzetto.gateway.pacing import make_source
from terzetto.primitives.datagrams import Buffer
from terzetto.url import EndpointUrl

__all__ = ["ByteSink", "DiskReader", "plan_sink", "plan_source"]

# Enough that a thread's hand-over (some 60 us) is nothing beside it, small enough to keep memory small.
_BLOCK: Final = 256 << 10

# Of what writev takes at once (IOV_MAX is 1024 on Linux).
_PIECES: Final = 512


class DiskReader:
    """Blocks of an open file, by its descriptor."""

    def __init__(self, fd: int, name: str) -> None:
        self._fd = fd
        self.name = name

    async def read(self) -> bytes:
        """The next block."""
        return await trio.to_thread.run_sync(os.read, self._fd, _BLOCK)

    async def aclose(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        await trio.lowlevel.checkpoint()


class ByteSink(Sink):
    """Payloads written one after the other to a descriptor, in blocks, by a thread."""

    # A disk that stalls for some seconds is no reason to lose anything.
    backlog_seconds = 30.0
    gather_seconds = 0.05

    def __init__(self, fd: int, *, owns: bool = True) -> None:
        self._fd = fd
        self._owns = owns
        self._written = 0

    def send_nowait(self, batch: Batch) -> Batch:
        """Nothing at once: writing may block."""
        return batch

    async def send(self, batch: Batch) -> None:
        """Write all of it."""
        # A pipe whose reader sleeps blocks for ever; then the thread is left behind rather than waited for.
        self._written += await trio.to_thread.run_sync(
            _write, self._fd, batch.payloads, abandon_on_cancel=not self._owns
        )

    def statistics(self) -> dict[str, Json]:
        """How much was written."""
        return {"written_bytes": self._written}

    async def aclose(self) -> None:
        """Close the file, if it is ours."""
        if self._owns and self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        await trio.lowlevel.checkpoint()


def plan_source(url: EndpointUrl, settings: InputSettings) -> SourcePlan:
    """Read the file that *url* names."""
    path = Path(url.path)
    if not path.exists():
        raise InvalidUrl(f"there is no file {url.path}", hint="check the path; a relative one starts here")
    if path.is_dir():
        raise InvalidUrl(f"{url.path} is a directory", hint="name a file in it")

    async def open_source(nursery: trio.Nursery, report: Report) -> Source:
        del nursery, report
        fd = await _open(url.path, os.O_RDONLY)
        # A named pipe has a writer with a pace of its own.
        is_file = stat.S_ISREG(os.fstat(fd).st_mode)
        return make_source(DiskReader(fd, url.path), settings, pace_unless_told=is_file)

    return SourcePlan(url, open_source)


def plan_sink(url: EndpointUrl) -> SinkPlan:
    """Append to the file that *url* names; it is made if it is not there."""
    path = Path(url.path)
    if path.is_dir():
        raise InvalidUrl(f"{url.path} is a directory", hint="name a file in it")
    if not path.parent.is_dir():
        raise InvalidUrl(f"there is no directory {path.parent}", hint="make it first, or check the path")

    async def open_sink(nursery: trio.Nursery, report: Report) -> Sink:
        del nursery, report
        return ByteSink(await _open(url.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT))

    return SinkPlan(url, open_sink)


async def _open(path: str, flags: int) -> int:
    binary = getattr(os, "O_BINARY", 0)  # Windows
    try:
        return await trio.to_thread.run_sync(os.open, path, flags | binary, 0o666)
    except PermissionError as exc:
        raise PermissionRefused(f"the system does not let this user open {path}") from exc
    except OSError as exc:
        raise WorldError(f"{path} cannot be opened: {exc.strerror}") from exc


def _write(fd: int, payloads: Sequence[Buffer]) -> int:
    total = 0
    for start in range(0, len(payloads), _PIECES):
        data = memoryview(b"".join(payloads[start : start + _PIECES]))
        total += len(data)
        while data:
            try:
                data = data[os.write(fd, data) :]
            except BlockingIOError:  # whoever gave us this pipe had made it non-blocking
                select.select([], [fd], [])
    return total
