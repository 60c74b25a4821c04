"""Standard input and output, for pipes to and from other programs.

A pipe on standard input has a writer with a pace of its own, so it is passed on as it comes; a file there
(``< programme.ts``) is paced like any other.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from typing import Final

import trio

from terzetto.gateway.contract import InputSettings, Report, Sink, SinkPlan, Source, SourcePlan
from terzetto.gateway.file import ByteSink, DiskReader
from terzetto.gateway.pacing import make_source
from terzetto.net.coalesce import DEFAULT_TICK
from terzetto.net.linux import IS_LINUX
from terzetto.url import EndpointUrl

__all__ = ["PipeReader", "plan_sink", "plan_source"]

_STDIN: Final = 0
_STDOUT: Final = 1

_F_SETPIPE_SZ: Final = 1031
_PIPE_SIZE: Final = 1 << 20


class PipeReader:
    """What a pipe holds, at most once a tick."""

    name = "standard input"

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._was_full = True
        if IS_LINUX:
            import fcntl

            with suppress(OSError):  # the default holds 64 KiB; room for more spares its writer some waiting
                fcntl.fcntl(fd, _F_SETPIPE_SZ, _PIPE_SIZE)

    async def read(self) -> bytes:
        """Wait until something is there; all of it, up to a bound."""
        if not self._was_full:
            await trio.sleep(DEFAULT_TICK)
        await trio.lowlevel.wait_readable(self._fd)
        data = os.read(self._fd, _PIPE_SIZE)
        self._was_full = len(data) == _PIPE_SIZE
        return data

    async def aclose(self) -> None:
        """Nothing: it is not ours."""
        await trio.lowlevel.checkpoint()


class _BorrowedReader(DiskReader):
    """Blocks of a descriptor that is not ours to close."""

    async def aclose(self) -> None:
        """Nothing."""
        await trio.lowlevel.checkpoint()


def plan_source(url: EndpointUrl, settings: InputSettings) -> SourcePlan:
    """Read standard input."""

    async def open_source(nursery: trio.Nursery, report: Report) -> Source:
        del nursery, report
        mode = os.fstat(_STDIN).st_mode
        is_file = stat.S_ISREG(mode)
        can_wait = os.name == "posix" and (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or os.isatty(_STDIN))
        reader = PipeReader(_STDIN) if can_wait else _BorrowedReader(_STDIN, "standard input")
        return make_source(reader, settings, pace_unless_told=is_file)

    return SourcePlan(url, open_source)


def plan_sink(url: EndpointUrl) -> SinkPlan:
    """Write to standard output."""

    async def open_sink(nursery: trio.Nursery, report: Report) -> Sink:
        del nursery, report
        await trio.lowlevel.checkpoint()
        return ByteSink(_STDOUT, owns=False)

    return SinkPlan(url, open_sink)
