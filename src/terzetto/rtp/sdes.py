"""SDES: who a source is, above all by its canonical name.

::

     0                   1                   2                   3
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |V=2|P|   SC    |   PT = 202    |            length             |
    |  SSRC of the first chunk                                      |
    |  kind         |  length       |  text ...                     |
    |  more items ...  | 0 | zeros to the next 32-bit boundary      |
    |  SSRC of the second chunk ...                                 |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
"""

from __future__ import annotations

from struct import Struct
from typing import ClassVar, Final, NamedTuple, Self

from attrs import frozen

from terzetto.errors import MalformedPacket
from terzetto.rtp.framing import RtcpPacket, pack_frame

__all__ = ["CNAME", "NAME", "TOOL", "SdesChunk", "SdesItem", "SourceDescription"]

CNAME: Final = 1
NAME: Final = 2
TOOL: Final = 6

_MAX_TEXT: Final = 255
_SSRC: Final = Struct("!I")


class SdesItem(NamedTuple):
    """One thing said about a source. The text is a stranger's: escape it before showing it."""

    kind: int
    text: str


class SdesChunk(NamedTuple):
    """All that is said about one source."""

    ssrc: int
    items: tuple[SdesItem, ...] = ()


@frozen
class SourceDescription(RtcpPacket):
    """Descriptions of one or more sources."""

    packet_types: ClassVar[tuple[int, ...]] = (202,)

    chunks: tuple[SdesChunk, ...] = ()

    @classmethod
    def of(cls, ssrc: int, cname: str) -> Self:
        """The usual one: a single source and its canonical name."""
        return cls((SdesChunk(ssrc, (SdesItem(CNAME, cname),)),))

    @property
    def cname(self) -> str | None:
        """The canonical name of the first source that gives one."""
        for chunk in self.chunks:
            for kind, text in chunk.items:
                if kind == CNAME:
                    return text
        return None

    def encode(self) -> bytes:
        """The packet as it goes on the wire; ValueError for a text of more than 255 bytes."""
        return pack_frame(len(self.chunks), 202, b"".join(map(_encode_chunk, self.chunks)))

    @classmethod
    def from_body(cls, count: int, body: memoryview) -> Self:
        """Parse what follows the header.

        Some cameras leave out the zero that ends a chunk's items, and GStreamer appends none after a full
        word: the end of the packet ends a chunk as well.
        """
        chunks: list[SdesChunk] = []
        position = 0
        for _ in range(count):
            chunk, position = _decode_chunk(body, position)
            chunks.append(chunk)
        return cls(tuple(chunks))


def _encode_chunk(chunk: SdesChunk) -> bytes:
    encoded = bytearray(_SSRC.pack(chunk.ssrc))
    for kind, text in chunk.items:
        raw = text.encode()
        if not 0 < kind < 256:
            raise ValueError(f"an SDES item cannot be of kind {kind}")
        if len(raw) > _MAX_TEXT:
            raise ValueError(f"an SDES item holds {_MAX_TEXT} bytes of text, not {len(raw)}")
        encoded += bytes((kind, len(raw))) + raw
    # At least one zero, which ends the list of items, then as many as it takes to fill the word.
    encoded += bytes(4 - len(encoded) % 4)
    return bytes(encoded)


def _decode_chunk(body: memoryview, position: int) -> tuple[SdesChunk, int]:
    if position + _SSRC.size > len(body):
        raise MalformedPacket("SDES chunk is truncated")
    (ssrc,) = _SSRC.unpack_from(body, position)
    position += _SSRC.size
    items: list[SdesItem] = []
    while position < len(body) and body[position]:
        if position + 2 > len(body):
            raise MalformedPacket("SDES item is truncated")
        kind, length = body[position], body[position + 1]
        end = position + 2 + length
        if end > len(body):
            raise MalformedPacket("SDES item is truncated")
        items.append(SdesItem(kind, str(body[position + 2 : end], "utf-8", "replace")))
        position = end
    # Past the ending zero, to the next word; body starts on a word boundary.
    return SdesChunk(ssrc, tuple(items)), (position // 4 + 1) * 4
