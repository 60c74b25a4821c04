"""Payloads on their way into packets of the Advanced profile: compressed where it helps, cut where it must be."""

from __future__ import annotations

from collections.abc import Sequence

from terzetto.errors import InvalidOption
from terzetto.primitives.datagrams import Buffer
from terzetto.rist.core.advanced_link import AdvancedLink
from terzetto.rist.core.advanced_pieces import LARGEST_PACKET, compress, fragment
from terzetto.rist.core.advanced_settings import AdvancedSettings
from terzetto.rist.core.counters import AdvancedCounters
from terzetto.rist.wire.keepalive import Capability

__all__ = ["Packing"]


class Packing:
    """Compresses and cuts, as far as the peer can undo it."""

    def __init__(self, settings: AdvancedSettings, counters: AdvancedCounters) -> None:
        self._settings = settings
        self._counters = counters

    def check(self, payloads: Sequence[Buffer], link: AdvancedLink) -> None:
        """Raise InvalidOption where one is too long, in pieces or whole."""
        longest = max(map(len, payloads), default=0)
        limit = self._settings.longest_fragment
        if longest > limit and not link.may(Capability.ADVANCED_FRAGMENTATION):
            raise InvalidOption(
                f"a payload has {longest} bytes, must have at most {limit}",
                hint="the peer does not put fragments together",
            )
        if longest > LARGEST_PACKET:
            raise InvalidOption(f"a payload has {longest} bytes, must have at most {LARGEST_PACKET}")

    def prepare(self, payloads: Sequence[Buffer], link: AdvancedLink) -> Sequence[Buffer]:
        """Each piece is a packet of its own."""
        if self._settings.compress and link.may(Capability.ADVANCED_COMPRESSION):
            payloads = [self._compress(payload) for payload in payloads]
        limit = self._settings.longest_fragment
        if max(map(len, payloads)) <= limit:
            return payloads
        return [piece for payload in payloads for piece in self._cut(payload, limit)]

    def _compress(self, payload: Buffer) -> Buffer:
        packed = compress(payload)
        if packed is not payload:
            self._counters.compressed += 1
            self._counters.compression_saved += len(payload) - len(packed)
        return packed

    def _cut(self, payload: Buffer, limit: int) -> Sequence[Buffer]:
        pieces = fragment(payload, limit)
        if len(pieces) > 1:
            self._counters.fragmented += 1
            self._counters.fragments_sent += len(pieces)
        return pieces
