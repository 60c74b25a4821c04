"""Whole files over a stream of bytes, as ``srt-file-transmit`` sends them.

The file's bytes and nothing else travel; their end is the end of the connection, which is why a file counts as
sent only when all of it was acknowledged, and as received only when the peer said goodbye. SRT compares nothing, so
both sides report a digest. A caller says the file's name in the stream id.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, TypeAlias

import attrs
import trio

from terzetto.errors import CallerError, PermissionRefused, UnsupportedOperation, WorldError
from terzetto.primitives.datagrams import Buffer
from terzetto.srt.stream import SrtStream

__all__ = ["Progress", "SrtTransfer", "receive_file", "safe_name", "send_file"]

Progress: TypeAlias = Callable[[int, int | None], None]
"""Called now and then with the bytes so far and, where it is known, how many there will be."""

# Enough that a thread's hand-over is nothing beside it, and little beside what is in flight anyway.
_BLOCK: Final = 1 << 18

_FILE_SYSTEM_ERROR: Final = 4000
"""What libsrt's receiver tells its peer when it cannot write."""

_ODD: Final = re.compile(r"[\x00-\x1f\x7f]")


@attrs.frozen
class SrtTransfer:
    """A file that went over."""

    path: Path
    size: int
    sha256: str
    """The digest of what was read and sent, or received and written, in hexadecimal."""
    seconds: float


async def send_file(
    stream: SrtStream, path: str | os.PathLike[str], *, progress: Progress | None = None
) -> SrtTransfer:
    """Send the file at *path*; returns when the peer has acknowledged all of it.

    For the peer the file ends where the connection does, so close *stream* next. A peer that cannot write what it
    gets says so, which raises `terzetto.errors.PeerError`.
    """
    _check_mode(stream)
    began = trio.current_time()
    reader = await trio.to_thread.run_sync(_Reader, Path(path))
    try:
        while block := await trio.to_thread.run_sync(reader.read):
            await stream.send_all(block)
            if progress is not None:
                progress(reader.done, reader.size)
        await stream.wait_delivered()
    finally:
        reader.close()
    return SrtTransfer(reader.path, reader.done, reader.digest(), trio.current_time() - began)


async def receive_file(
    stream: SrtStream, path: str | os.PathLike[str], *, progress: Progress | None = None
) -> SrtTransfer:
    """Receive a file into *path*, or under the name in the stream id where *path* is a directory.

    It appears under its name when it is whole; until then it is called ``NAME.part``, which goes away when the
    connection breaks. A file that was there before is replaced. When nothing can be written the peer is told.
    """
    _check_mode(stream)
    target = Path(path)
    if await trio.to_thread.run_sync(target.is_dir):
        target /= safe_name(stream.stream_id)
    began = trio.current_time()
    writer: _Writer | None = None
    is_whole = False
    try:
        writer = await trio.to_thread.run_sync(_Writer, target)
        while pieces := await stream.receive_pieces(_BLOCK):
            await trio.to_thread.run_sync(writer.write, pieces)
            if progress is not None:
                progress(writer.done, None)
        await trio.to_thread.run_sync(writer.finish)
        is_whole = True
    except WorldError:
        stream.report_error(_FILE_SYSTEM_ERROR)
        raise
    finally:
        if writer is not None:
            writer.close(keep=is_whole)
    return SrtTransfer(target, writer.done, writer.digest(), trio.current_time() - began)


def safe_name(stream_id: str) -> str:
    """The last component of what a peer calls its file; `terzetto.errors.CallerError` when that is no name.

    A peer chooses the name, and must not choose the folder.
    """
    name = re.split(r"[/\\]", stream_id)[-1]
    if name in ("", ".", "..") or _ODD.search(name) or len(name.encode()) > 255:
        raise CallerError(
            f"the stream id {stream_id!r} is no file name", hint="name a file instead of a directory"
        )
    return name


def _check_mode(stream: SrtStream) -> None:
    if not stream.is_byte_stream:
        raise UnsupportedOperation(
            "files go over a stream of bytes", hint="connect with transmission_type='file', on both sides"
        )


class _Reader:
    """A file that is read and digested, by one thread at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.done = 0
        self._hash = hashlib.sha256()
        try:
            self._file = path.open("rb", buffering=0)
            self.size = os.fstat(self._file.fileno()).st_size
        except OSError as exc:
            raise _explained(exc, path) from exc

    def read(self) -> bytes:
        block = self._file.read(_BLOCK)
        self._hash.update(block)
        self.done += len(block)
        return block

    def digest(self) -> str:
        return self._hash.hexdigest()

    def close(self) -> None:
        self._file.close()


class _Writer:
    """A file that is written and digested, and takes its name when it is whole."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._part = path.with_name(path.name + ".part")
        self.done = 0
        self._hash = hashlib.sha256()
        try:
            self._file = self._part.open("wb", buffering=0)
        except OSError as exc:
            raise _explained(exc, self._part) from exc

    def write(self, pieces: Sequence[Buffer]) -> None:
        data = memoryview(b"".join(pieces))
        self._hash.update(data)
        self.done += len(data)
        try:
            while data:
                data = data[self._file.write(data) :]
        except OSError as exc:
            raise _explained(exc, self._part) from exc

    def finish(self) -> None:
        try:
            self._file.close()
            self._part.replace(self._path)
        except OSError as exc:
            raise _explained(exc, self._path) from exc

    def digest(self) -> str:
        return self._hash.hexdigest()

    def close(self, *, keep: bool) -> None:
        self._file.close()
        if not keep:
            self._part.unlink(missing_ok=True)


def _explained(problem: OSError, path: Path) -> WorldError:
    if isinstance(problem, PermissionError):
        return PermissionRefused(f"the system does not let this user open {path}")
    return WorldError(f"{path} cannot be used: {problem.strerror}")
