"""What a reader who joins needs to see a picture at once: everything since the last one that needs no other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from terzetto.primitives.datagrams import Buffer
from terzetto.rtp.header import FIXED_HEADER, FIXED_HEADER_SIZE
from terzetto.rtsp.core.random_access import starts_clock_test
from terzetto.rtsp.wire.description import Media

__all__ = ["PictureCache"]


class PictureCache:
    """Keeps the packets of all medias from the beginning of a key picture on, up to *limit* bytes.

    The first video media with a codec whose packets show where decoding may begin leads; without one nothing is kept.
    Beyond the limit everything is let go until the next key picture: half of what is needed is of no use.
    """

    def __init__(self, medias: Sequence[Media], limit: int) -> None:
        self._limit: Final = limit
        self._tests = {}
        self._leader: int | None = None
        for index, media in enumerate(medias):
            tests = {each.payload_type: starts_clock_test(each.codec) for each in media.formats}
            if media.kind == "video" and any(tests.values()):
                self._leader, self._tests = index, tests
                break
        self._kept: list[tuple[int, Buffer]] = []
        self._size = 0
        self._key_timestamp: int | None = None

    def add(self, media: int, packets: Sequence[Buffer]) -> None:
        """Packets that were sent just now."""
        if self._leader is None:
            return
        for packet in packets:
            if media == self._leader:
                self._look_for_key(packet)
            if self._key_timestamp is None:
                continue
            self._size += len(packet)
            if self._size > self._limit:
                self._let_go()
                continue
            self._kept.append((media, packet))

    def since_key(self, media: int) -> list[Buffer]:
        """The packets of *media* that are kept, oldest first."""
        return [packet for index, packet in self._kept if index == media]

    def _look_for_key(self, packet: Buffer) -> None:
        _, second, _, timestamp, _ = FIXED_HEADER.unpack_from(packet)
        test = self._tests.get(second & 0x7F)
        if test is None or not test(memoryview(packet)[FIXED_HEADER_SIZE:]):
            return
        # Parameter sets and slices of one picture all look like beginnings; the first of them is.
        if timestamp != self._key_timestamp:
            self._let_go()
            self._key_timestamp = timestamp

    def _let_go(self) -> None:
        self._kept.clear()
        self._size = 0
        self._key_timestamp = None
