"""A valid transport stream of any constant bit rate, made from a seed.

It is one programme: PAT, PMT and a clock in groups no more than 30 ms apart, one component of private data,
and null packets where the data does not fill the rate. Every data packet carries its number, and bytes that
follow from number and seed, so `terzetto.mpegts.verifier` can tell what was lost, repeated or changed on the
way::

    group:   PCR | PAT | PMT | data or null ...
    data:    header:32 | (in each 32nd: PES header, 14 bytes) | number:64 | pseudo-random bytes to the end
"""

from __future__ import annotations

from hashlib import shake_128
from struct import Struct
from typing import Final

from terzetto.errors import InvalidOption
from terzetto.mpegts.packet import (
    PACKET_SIZE,
    PCR_HERTZ,
    null_packet,
    pack_header,
    pack_pcr_packet,
)
from terzetto.mpegts.pcr import PCR_WRAP
from terzetto.mpegts.psi import PAT_PID, ElementaryStream, ProgramAssociation, ProgramMap, pack_section
from terzetto.primitives.time import MICROS_PER_SECOND, Micros

__all__ = [
    "DATA_PID",
    "LOWEST_BITRATE",
    "NUMBER",
    "PCR_PID",
    "PES_HEADER_SIZE",
    "PMT_PID",
    "TsGenerator",
    "data_header",
    "make_pool",
    "pool_start",
]

PMT_PID: Final = 0x1000
PCR_PID: Final = 0x0100
DATA_PID: Final = 0x0101

LOWEST_BITRATE: Final = 250_000
"""Below it a group with clock, tables and data does not fit between two references 30 ms apart."""

_PRIVATE_DATA: Final = 0x06
_PRIVATE_STREAM_1: Final = 0xBD

_BITS: Final = PACKET_SIZE * 8
# ISO/IEC 13818-1 wants references every 100 ms, DVB (TR 101 290) every 40 ms.
_GROUP_MILLIS: Final = 30
# At high rates groups stay short, so that asking for a few packets never makes thousands.
_LONGEST_GROUP: Final = 512
_TABLES: Final = 3
_PACKETS_PER_PES: Final = 32
PES_HEADER_SIZE: Final = 14
# Data is meant to be shown a while after it was sent.
_PTS_DELAY: Final = 9_000
_PTS_HERTZ: Final = 90_000

NUMBER: Final = Struct("!Q")
_BODY_SIZE: Final = PACKET_SIZE - 4 - NUMBER.size
_POOL_SIZE: Final = 1 << 16
# Odd, so that the starts of bodies go through the whole pool before they repeat.
_POOL_STRIDE: Final = 12_345

_HEADERS: Final = tuple(
    pack_header(DATA_PID, number, unit_start=not number % _PACKETS_PER_PES)
    for number in range(_PACKETS_PER_PES)
)


def make_pool(seed: int) -> bytes:
    """Pseudo-random bytes, enough of them that a body may start anywhere in the first 64 KiB."""
    return shake_128(f"terzetto {seed}".encode()).digest(_POOL_SIZE + _BODY_SIZE)


def pool_start(number: int) -> int:
    """Where in the pool the bytes of this data packet begin."""
    return number * _POOL_STRIDE % _POOL_SIZE


def data_header(number: int) -> bytes:
    """The header of this data packet; continuity counters and PES packets both repeat within 32."""
    return _HEADERS[number % _PACKETS_PER_PES]


class TsGenerator:
    """Makes the packets of the stream in order, as many at a time as are asked for.

    ``data_bitrate`` says how much of ``bitrate`` carries data, headers of its packets included; what the
    tables do not need and the data does not fill is null packets. None fills it all with data.
    """

    def __init__(self, bitrate: int, *, seed: int = 0, data_bitrate: int | None = None) -> None:
        if bitrate < LOWEST_BITRATE:
            raise InvalidOption(f"bitrate is {bitrate} and must be at least {LOWEST_BITRATE} bit/s")
        if data_bitrate is not None and not 0 <= data_bitrate <= bitrate:
            raise InvalidOption(
                f"data_bitrate is {data_bitrate} and must be between 0 and bitrate, {bitrate}"
            )
        self.bitrate: Final = bitrate
        self._group: Final = min(_LONGEST_GROUP, bitrate * _GROUP_MILLIS // (1000 * _BITS))
        slots = self._group - _TABLES
        share = (
            slots
            if data_bitrate is None
            else min(slots, (2 * self._group * data_bitrate + bitrate) // (2 * bitrate))
        )
        # Data and nulls take turns as evenly as whole packets allow.
        self._carries_data: Final = [
            (slot + 1) * share // slots > slot * share // slots for slot in range(slots)
        ]
        self._share: Final = share
        self._pool: Final = make_pool(seed)
        self._pat: Final = ProgramAssociation(1, ((1, PMT_PID),)).encode()
        self._pmt: Final = ProgramMap(1, PCR_PID, (ElementaryStream(_PRIVATE_DATA, DATA_PID),)).encode()
        self._next_group = 0
        self._left = b""
        self._made = 0

    @property
    def packets_made(self) -> int:
        """How many packets have been handed out."""
        return self._made

    def due(self, packet: int) -> Micros:
        """When the packet of this number leaves, counted from the first."""
        return packet * _BITS * MICROS_PER_SECOND // self.bitrate

    def take(self, count: int) -> bytes:
        """The next *count* packets, joined."""
        wanted = count * PACKET_SIZE
        parts = [self._left]
        size = len(self._left)
        while size < wanted:
            group = self._make_group(self._next_group)
            self._next_group += 1
            parts.append(group)
            size += len(group)
        joined = b"".join(parts)
        self._left = joined[wanted:]
        self._made += count
        return joined[:wanted]

    def take_due(self, elapsed: Micros, *, multiple: int = 1) -> bytes:
        """The packets that are due *elapsed* after the first and were not taken yet, in whole multiples."""
        # The first packet whose `due` is later than this is the one that many packets come before, rounded
        # up.
        due = -(-(elapsed + 1) * self.bitrate // (_BITS * MICROS_PER_SECOND)) - self._made
        return self.take(due // multiple * multiple) if due >= multiple else b""

    def _make_group(self, group: int) -> bytes:
        bits = group * self._group * _BITS
        pcr = bits * PCR_HERTZ // self.bitrate % PCR_WRAP
        parts = [
            pack_pcr_packet(PCR_PID, 0, pcr),
            pack_section(self._pat, PAT_PID, group),
            pack_section(self._pmt, PMT_PID, group),
        ]
        number = group * self._share
        null = null_packet()
        pool = self._pool
        pack_number = NUMBER.pack
        for slot, carries_data in enumerate(self._carries_data):
            if not carries_data:
                parts.append(null)
                continue
            start = number * _POOL_STRIDE % _POOL_SIZE
            if in_pes := number % _PACKETS_PER_PES:
                parts += (_HEADERS[in_pes], pack_number(number), pool[start : start + _BODY_SIZE])
            else:
                sent = (bits + (_TABLES + slot) * _BITS) * _PTS_HERTZ // self.bitrate
                body = pool[start : start + _BODY_SIZE - PES_HEADER_SIZE]
                parts += (_HEADERS[0], _pes_header(sent + _PTS_DELAY), pack_number(number), body)
            number += 1
        return b"".join(parts)


def _pes_header(pts: int) -> bytes:
    length = _PACKETS_PER_PES * (PACKET_SIZE - 4) - 6
    time = bytes(
        (
            0x21 | pts >> 29 & 0x0E,
            pts >> 22 & 0xFF,
            pts >> 14 & 0xFE | 1,
            pts >> 7 & 0xFF,
            pts << 1 & 0xFE | 1,
        )
    )
    return b"\0\0\x01" + bytes((_PRIVATE_STREAM_1,)) + length.to_bytes(2, "big") + b"\x84\x80\x05" + time
