"""MPEG transport streams (RFC 2250, section 2): whole packets of 188 bytes."""

from __future__ import annotations

from typing import Final

from terzetto.rtsp.formats.contract import AccessUnit, Depacketizer, Packetizer, Payload, cut

__all__ = ["MpegTsDepacketizer", "MpegTsPacketizer"]

_PACKET: Final = 188
_SYNC: Final = 0x47


class MpegTsPacketizer(Packetizer):
    """Seven packets to a payload, or as many as fit."""

    def pack(self, unit: AccessUnit) -> list[Payload]:
        data = unit.data
        if not data or len(data) % _PACKET or set(data[::_PACKET]) != {_SYNC}:
            raise ValueError("these are no whole packets of a transport stream")
        step = max(1, min(7, self._size // _PACKET)) * _PACKET
        return [Payload(piece, unit.timestamp) for piece in cut(data, step)]


class MpegTsDepacketizer(Depacketizer):
    """What begins and goes on with sync bytes; the rest of a damaged payload is dropped."""

    def __init__(self) -> None:
        super().__init__()
        self._lost = False

    def push(self, payload: Payload) -> list[AccessUnit]:
        self._lost = self._lost or payload.lost_before > 0
        data = payload.data
        whole = len(data) - len(data) % _PACKET
        if not whole or set(data[:whole:_PACKET]) != {_SYNC}:
            self.dropped["payload is no transport stream"] += 1
            self._lost = True
            return []
        if whole != len(data):
            self.dropped["payload has a part of a packet"] += 1
        lost, self._lost = self._lost, False
        return [AccessUnit((data[:whole],), payload.timestamp, True, lost)]
