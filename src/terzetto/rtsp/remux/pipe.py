"""Bytes from the event loop to a thread that reads them as it would read a file."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from threading import Condition
from typing import Final

__all__ = ["PIPE_LIMIT", "BytePipe"]

PIPE_LIMIT: Final = 8 << 20
"""Bytes that may wait: more than three seconds at 20 Mbit/s. What comes beyond is dropped and counted."""


class BytePipe:
    """`write` never waits, `read` waits for something to be there."""

    def __init__(self, *, limit: int = PIPE_LIMIT, on_empty: Callable[[], None] = lambda: None) -> None:
        self._limit = limit
        self._on_empty = on_empty
        self._changed = Condition()
        self._chunks: deque[bytes] = deque()
        self._waiting = 0
        self._is_closed = False
        self.shed = 0
        """Bytes that found no room."""

    def write(self, data: bytes) -> None:
        """Add *data*, from any thread."""
        with self._changed:
            if self._waiting + len(data) > self._limit:
                self.shed += len(data)
                return
            self._chunks.append(data)
            self._waiting += len(data)
            self._changed.notify()

    def read(self, size: int) -> bytes:
        """Up to *size* bytes, at least one; none at the end. Says that nothing is there before it waits."""
        with self._changed:
            is_empty = not self._chunks
        if is_empty:
            self._on_empty()
        with self._changed:
            while not self._chunks and not self._is_closed:
                self._changed.wait()
            if not self._chunks:
                return b""
            chunk = self._chunks.popleft()
            if len(chunk) > size:
                self._chunks.appendleft(chunk[size:])
                chunk = chunk[:size]
            self._waiting -= len(chunk)
            return chunk

    def close(self) -> None:
        """No more comes: who reads gets what is there, and then the end."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
