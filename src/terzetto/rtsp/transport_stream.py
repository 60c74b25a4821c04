"""MPEG transport streams as RTP (RFC 2250): bytes in, packets of seven out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from terzetto.driver.clock import current_micros
from terzetto.net.network import current_network
from terzetto.primitives.time import MICROS_PER_SECOND
from terzetto.rtp.header import pack_header
from terzetto.rtsp.formats.mpeg_ts import PACKET_SIZE, PER_PAYLOAD
from terzetto.rtsp.wire.description import MPEG_TS_PAYLOAD_TYPE

__all__ = ["TransportStreamPacketizer"]

_CLOCK: Final = 90_000


class TransportStreamPacketizer:
    """Cuts a transport stream into RTP packets, and hands them on as one batch for each call.

    stream = ServerStream(Description.mpeg_ts("live"))
    packetizer = TransportStreamPacketizer(lambda packets: stream.write(0, packets))
    packetizer.send(ts_bytes)
    """

    def __init__(self, write: Callable[[Sequence[bytes]], None]) -> None:
        seed = current_network().entropy(10)
        self._write = write
        self._sequence = int.from_bytes(seed[:2], "big")
        self._ssrc = int.from_bytes(seed[2:6], "big")
        self._offset = int.from_bytes(seed[6:], "big")
        self._rest = b""

    def send(self, data: bytes | memoryview) -> None:
        """Take in bytes, cut anywhere; whole TS packets go out at once, the rest waits for more."""
        data = self._rest + data
        whole = len(data) - len(data) % PACKET_SIZE
        self._rest = bytes(data[whole:])
        size = PER_PAYLOAD * PACKET_SIZE
        timestamp = (current_micros() * _CLOCK // MICROS_PER_SECOND + self._offset) & 0xFFFF_FFFF
        packets = []
        for start in range(0, whole, size):
            header = pack_header(MPEG_TS_PAYLOAD_TYPE, self._sequence, timestamp, self._ssrc)
            packets.append(header + data[start : min(start + size, whole)])
            self._sequence = (self._sequence + 1) & 0xFFFF
        if packets:
            self._write(packets)
