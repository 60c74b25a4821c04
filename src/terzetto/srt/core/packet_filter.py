"""The packet filter: parities beside the data, so that losses are mended without asking.

It works on packets as they are on the wire, encrypted, with 31-bit numbers unwrapped to positions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from terzetto.errors import MalformedPacket
from terzetto.primitives.datagrams import Buffer
from terzetto.primitives.fec import Decoder, Encoder, Line, Parity, Rebuilt
from terzetto.srt.core.counters import Counters
from terzetto.srt.wire.data import (
    DATA_HEADER,
    HEADER_SIZE,
    KEY_MASK,
    KEY_SHIFT,
    MESSAGE_NUMBER_MASK,
    RETRANSMITTED_FLAG,
    SOLO_FLAGS,
)
from terzetto.srt.wire.filter_configuration import FilterSettings
from terzetto.srt.wire.filter_packet import ROW_GROUP, FilterPacket
from terzetto.srt.wire.numbers import SEQUENCE_MASK, unwrap_sequence

__all__ = ["FilterReceiver", "FilterSender"]

_CONTROL: Final = 0x8000_0000
_TIMESTAMP_MASK: Final = 0xFFFF_FFFF
_TIMESTAMP_BITS: Final = 32

# Columns of a staircase reach over two matrices; the rest is for packets and parities that come late.
_MATRICES: Final = 4
_LEAST_WINDOW: Final = 256

# A rebuilt packet counts as a repeat, as libsrt marks it, and as a message of its own.
_REBUILT_FLAGS: Final = SOLO_FLAGS | RETRANSMITTED_FLAG | 1


class FilterSender:
    """Weaves parities into the originals that leave."""

    def __init__(self, settings: FilterSettings, *, first: int, size: int, destination: int) -> None:
        self._layout = settings.layout
        self._encoder = Encoder(self._layout, first=first)
        self._first = first
        self._size = size
        self._destination = destination

    def weave(self, packets: Sequence[bytes], position: int) -> list[bytes]:
        """*packets*, the first of them at *position*, each followed by the parities that it completes."""
        woven: list[bytes] = []
        unpack = DATA_HEADER.unpack_from
        feed = self._encoder.feed
        for packet in packets:
            woven.append(packet)
            _, flags, timestamp, _ = unpack(packet)
            key = (flags & KEY_MASK) >> KEY_SHIFT
            parities = feed(position, packet[HEADER_SIZE:], key << _TIMESTAMP_BITS | timestamp)
            if parities:
                woven += [self._packet(parity, position, flags) for parity in parities]
            position += 1
        return woven

    def _packet(self, parity: Parity, position: int, flags: int) -> bytes:
        line = parity.line
        return FilterPacket(
            sequence=position & SEQUENCE_MASK,
            timestamp=parity.fields & _TIMESTAMP_MASK,
            destination=self._destination,
            group=ROW_GROUP if line.step == 1 else (line.base - self._first) % self._layout.columns,
            key=parity.fields >> _TIMESTAMP_BITS,
            length=parity.length,
            body=parity.body,
            flags=flags,
        ).encode(self._size)


class FilterReceiver:
    """Rebuilds lost packets from what arrives, and says which losses it has given up."""

    def __init__(
        self, settings: FilterSettings, counters: Counters, *, first: int, longest: int, own_id: int
    ) -> None:
        layout = settings.layout
        self._layout = layout
        self._first = first
        self._counters = counters
        self._own_id = own_id
        self._newest = first - 1
        self._decoder = Decoder(
            window=max(_MATRICES * layout.size, _LEAST_WINDOW), longest=longest, lead=layout.size
        )

    def screen(
        self, packets: Sequence[Buffer], start: int
    ) -> tuple[int, list[tuple[list[Buffer], list[bytes]]]]:
        """Sort the data packets from index *start* on, up to the first that is not ours to take.

        Gives its index, and what to do before it: data packets that arrived, then packets rebuilt from them, in turn.
        """
        unpack = DATA_HEADER.unpack_from
        steps: list[tuple[list[Buffer], list[bytes]]] = []
        data: list[Buffer] = []
        index = start
        for index in range(start, len(packets)):
            packet = packets[index]
            if len(packet) < HEADER_SIZE:
                break
            sequence, flags, timestamp, destination = unpack(packet)
            if sequence >= _CONTROL or destination != self._own_id:
                break
            if flags & MESSAGE_NUMBER_MASK:
                data.append(packet)
                position = unwrap_sequence(sequence, self._newest)
                if position > self._newest:
                    self._newest = position
                key = (flags & KEY_MASK) >> KEY_SHIFT
                found = self._decoder.take(position, packet[HEADER_SIZE:], key << _TIMESTAMP_BITS | timestamp)
            else:
                found = self._take_parity(packet)
            if found:
                steps.append((data, self._packets(found)))
                data = []
        else:
            index = len(packets)
        if data:
            steps.append((data, []))
        return index, steps

    def _take_parity(self, packet: Buffer) -> list[Rebuilt]:
        counters = self._counters
        counters.filter_received += 1
        try:
            parity = FilterPacket.decode(packet)
            line = self._line_of(parity)
        except MalformedPacket as exc:
            counters.count_malformed(exc.reason)
            return []
        fields = parity.key << _TIMESTAMP_BITS | parity.timestamp
        return self._decoder.take_parity(Parity(line, fields, parity.length, parity.body))

    def _line_of(self, parity: FilterPacket) -> Line:
        position = unwrap_sequence(parity.sequence, self._newest)
        last = position - self._first
        layout = self._layout
        if last >= 0 and parity.group == ROW_GROUP:
            line = layout.row_of(last) if layout.has_rows else None
        elif last >= 0 and layout.has_columns and last % layout.columns == parity.group:
            line = layout.column_of(last)
        else:
            line = None
        if line is None or line.last != last:
            raise MalformedPacket("packet filter's packet fits no line of the matrix")
        return line._replace(base=self._first + line.base)

    def _packets(self, found: Sequence[Rebuilt]) -> list[bytes]:
        self._counters.filter_rebuilt += len(found)
        packets: list[bytes] = []
        for position, payload, fields in sorted(found):
            self._newest = max(self._newest, position)
            key = fields >> _TIMESTAMP_BITS
            header = DATA_HEADER.pack(
                position & SEQUENCE_MASK,
                _REBUILT_FLAGS | key << KEY_SHIFT,
                fields & _TIMESTAMP_MASK,
                self._own_id,
            )
            packets.append(header + payload)
        return packets
