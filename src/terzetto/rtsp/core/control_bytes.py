"""What both ends of a control connection do with its bytes: take in units, write messages and frames, count."""

from __future__ import annotations

from terzetto.primitives.datagrams import Buffer
from terzetto.primitives.time import Micros
from terzetto.rtsp.wire.parser import MessageParser, Unit

__all__ = ["ControlBytes"]


class ControlBytes:
    """The bytes of one end."""

    def __init__(self, *, now: Micros = 0) -> None:
        self._parser = MessageParser()
        self._out: list[bytes] = []
        self.bytes_received = 0
        self.bytes_sent = 0
        self.last_heard: Micros = now
        """When the connection last brought anything."""

    def send_frames(self, data: bytes) -> None:
        """Write interleaved frames, encoded already."""
        self._write(data)

    def poll_bytes(self) -> bytes:
        """Bytes to write."""
        if not self._out:
            return b""
        data = self._out[0] if len(self._out) == 1 else b"".join(self._out)
        self._out.clear()
        return data

    def _take(self, data: Buffer, now: Micros) -> list[Unit]:
        self.bytes_received += len(data)
        self.last_heard = now
        return self._parser.feed(data)

    def _write(self, data: bytes) -> None:
        self.bytes_sent += len(data)
        self._out.append(data)
