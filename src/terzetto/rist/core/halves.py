"""Every payload as two packets of half its size, and two packets as the payload they were (libRIST's split and merge).

Nothing on the wire says that a packet is a half, so the pair is told by its numbers: the first is even, the second
follows, and both have the same time. A half whose sibling is lost goes to the user as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from terzetto.mpegts.packet import PACKET_SIZE, SYNC_BYTE
from terzetto.primitives.datagrams import Buffer
from terzetto.rist.events import RistPacket
from terzetto.rist.options import Split

__all__ = ["HalvesMerger", "halved"]

_NOTHING: Final = b""


def halved(payloads: Sequence[Buffer], mode: Split) -> list[Buffer]:
    """Two for each of *payloads*; with ``auto`` transport streams are cut between two of their packets.

    A payload too short to be cut has an empty first half: the numbers must stay even and odd.
    """
    halves: list[Buffer] = []
    for payload in payloads:
        cut = len(payload) // 2
        if mode == "auto" and payload and payload[0] == SYNC_BYTE and not len(payload) % PACKET_SIZE:
            cut = len(payload) // PACKET_SIZE // 2 * PACKET_SIZE or cut
        halves += (payload[:cut], payload[cut:]) if cut else (_NOTHING, payload)
    return halves


class HalvesMerger:
    """Puts halves together as they leave the recovery buffer, in order."""

    def __init__(self) -> None:
        self._first: RistPacket | None = None

    def take(self, packets: Sequence[RistPacket]) -> list[RistPacket]:
        """The payloads that are whole now; a first half waits for whatever follows it."""
        whole: list[RistPacket] = []
        first = self._first
        for packet in packets:
            if first is not None:
                if (
                    packet.sequence == first.sequence + 1
                    and packet.source_time == first.source_time
                    and packet.flow_id == first.flow_id
                ):
                    whole.append(first._replace(payload=first.payload + packet.payload))
                    first = None
                    continue
                whole.append(first)
                first = None
            if packet.sequence & 1:
                whole.append(packet)
            else:
                first = packet
        self._first = first
        return whole

    def flush(self) -> list[RistPacket]:
        """The half that waits, where nothing will follow."""
        first, self._first = self._first, None
        return [] if first is None else [first]
