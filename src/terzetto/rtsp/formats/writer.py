"""From access units to RTP packets."""

from __future__ import annotations

from terzetto.errors import MalformedPacket, UnsupportedOperation
from terzetto.primitives.datagrams import EntropySource
from terzetto.rtp.header import pack_header
from terzetto.rtsp.formats.catalogue import make_packetizer
from terzetto.rtsp.formats.contract import PAYLOAD_SIZE, AccessUnit
from terzetto.rtsp.wire.description import Format

__all__ = ["UnitWriter", "can_write"]


def can_write(media_format: Format) -> bool:
    """Whether `UnitWriter` knows how to cut units of *media_format*."""
    try:
        return make_packetizer(media_format) is not None
    except MalformedPacket:
        return False


class UnitWriter:
    """Makes the RTP packets of one media; hand them to `RtspPublication.send` or `ServerStream.write`.

    SSRC, first sequence number and the beginning of the media's clock are drawn from *entropy*, as RTP wants it.
    """

    def __init__(
        self, media_format: Format, entropy: EntropySource, *, payload_size: int = PAYLOAD_SIZE
    ) -> None:
        try:
            packetizer = make_packetizer(media_format, payload_size)
        except MalformedPacket as exc:
            raise UnsupportedOperation(f"cannot write {media_format.encoding}: {exc.reason}") from None
        if packetizer is None:
            raise UnsupportedOperation(
                f"nobody here knows how to cut {media_format.encoding or 'that format'}",
                hint="send its RTP packets as they are",
            )
        self._packetizer = packetizer
        self._payload_type = media_format.payload_type
        self.ssrc = int.from_bytes(entropy(4), "big")
        self._sequence = int.from_bytes(entropy(2), "big")
        self._origin = int.from_bytes(entropy(4), "big")

    def write(self, unit: AccessUnit) -> list[bytes]:
        """The packets of *unit*, whose time counts from nought; ValueError when it cannot be carried."""
        packets = []
        for payload in self._packetizer.pack(unit):
            header = pack_header(
                self._payload_type,
                self._sequence,
                payload.timestamp + self._origin & 0xFFFF_FFFF,
                self.ssrc,
                marker=payload.marker,
            )
            packets.append(header + payload.data)
            self._sequence = self._sequence + 1 & 0xFFFF
        return packets
