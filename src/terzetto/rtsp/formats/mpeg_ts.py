"""MPEG transport streams (RFC 2250, section 2): whole packets of 188 bytes."""

from __future__ import annotations

from typing import Final

from terzetto.rtsp.formats.contract import AccessUnit, Depacketizer, Packetizer, Payload, cut

__all__ = ["PACKET_SIZE", "PER_PAYLOAD", "MpegTsDepacketizer", "MpegTsPacketizer"]

PACKET_SIZE: Final = 188
PER_PAYLOAD: Final = 7
"""Packets that fit an Ethernet frame beside the headers."""

_SYNC: Final = 0x47


class MpegTsPacketizer(Packetizer):
    """Seven packets to a payload, or as many as fit."""

    def pack(self, unit: AccessUnit) -> list[Payload]:
        data = unit.data
        if not data or len(data) % PACKET_SIZE or set(data[::PACKET_SIZE]) != {_SYNC}:
            raise ValueError("these are no whole packets of a transport stream")
        step = max(1, min(PER_PAYLOAD, self._size // PACKET_SIZE)) * PACKET_SIZE
        return [Payload(piece, unit.timestamp) for piece in cut(data, step)]


class MpegTsDepacketizer(Depacketizer):
    """What begins and goes on with sync bytes; the rest of a damaged payload is dropped."""

    def __init__(self) -> None:
        super().__init__()
        self._lost = False

    def push(self, payload: Payload) -> list[AccessUnit]:
        self._lost = self._lost or payload.lost_before > 0
        data = payload.data
        whole = len(data) - len(data) % PACKET_SIZE
        if not whole or set(data[:whole:PACKET_SIZE]) != {_SYNC}:
            self.dropped["payload is no transport stream"] += 1
            self._lost = True
            return []
        if whole != len(data):
            self.dropped["payload has a part of a packet"] += 1
        lost, self._lost = self._lost, False
        return [AccessUnit((data[:whole],), payload.timestamp, True, lost)]
