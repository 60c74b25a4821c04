"""The header of a transport packet.

::

     0                   1                   2                   3
     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |   sync 0x47   |E|U|T|          PID            |SC |A|P|  CC   |
    |  length of the adaptation field (A) | D R . P O . . . | PCR ...
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+

    E transport error   U a unit starts here   T priority   SC scrambling
    A adaptation field follows   P payload follows   CC continuity counter
    D discontinuity   R random access   P (of the field) a PCR follows: 33 bits base, 6 reserved, 9 extension
"""

from __future__ import annotations

from struct import Struct
from typing import Final, NamedTuple, Self

from terzetto.errors import MalformedPacket
from terzetto.primitives.datagrams import Buffer

__all__ = [
    "NULL_PID",
    "PACKET_SIZE",
    "PCR_HERTZ",
    "SYNC_BYTE",
    "AdaptationField",
    "TsHeader",
    "is_null_packet",
    "null_packet",
    "pack_header",
    "pack_pcr_packet",
    "read_pid",
]

PACKET_SIZE: Final = 188
SYNC_BYTE: Final = 0x47
NULL_PID: Final = 0x1FFF
PCR_HERTZ: Final = 27_000_000

_PCR_BASE_WRAP: Final = 1 << 33
_HEADER: Final = Struct("!BHB")
_NULL_START: Final = b"\x47\x1f\xff"
_NULL_PACKET: Final = b"\x47\x1f\xff\x10" + b"\xff" * (PACKET_SIZE - 4)


class AdaptationField(NamedTuple):
    """What stands between header and payload; ``pcr`` counts 27 MHz ticks, 42 bits' worth."""

    size: int
    """Bytes of the field, the one of its length included."""
    discontinuity: bool = False
    random_access: bool = False
    pcr: int | None = None


class TsHeader(NamedTuple):
    """What a packet says about itself."""

    pid: int
    unit_start: bool
    continuity: int
    has_payload: bool
    adaptation: AdaptationField | None = None
    transport_error: bool = False
    priority: bool = False
    scrambling: int = 0

    @classmethod
    def decode(cls, packet: Buffer, start: int = 0) -> Self:
        """Read the header of the packet at *start*; MalformedPacket is the only way to fail."""
        if len(packet) - start < PACKET_SIZE:
            raise MalformedPacket("TS packet is truncated")
        sync, flags, control = _HEADER.unpack_from(packet, start)
        if sync != SYNC_BYTE:
            raise MalformedPacket("TS packet has no sync byte")
        adaptation = _decode_adaptation(packet, start + 4, bool(control & 0x10)) if control & 0x20 else None
        return cls(
            pid=flags & 0x1FFF,
            unit_start=bool(flags & 0x4000),
            continuity=control & 0x0F,
            has_payload=bool(control & 0x10),
            adaptation=adaptation,
            transport_error=bool(flags & 0x8000),
            priority=bool(flags & 0x2000),
            scrambling=control >> 6,
        )

    @property
    def payload_offset(self) -> int:
        """Where the payload begins, counted from the sync byte."""
        return 4 + (self.adaptation.size if self.adaptation is not None else 0)


def read_pid(packet: Buffer, start: int = 0) -> int:
    """The PID of the packet at *start*, which is known to be one."""
    return (packet[start + 1] & 0x1F) << 8 | packet[start + 2]


def is_null_packet(packet: Buffer, start: int = 0) -> bool:
    """Whether this is stuffing that a receiver may make up again.

    Error, start and priority bits must be clear as well: a packet with those set is somebody's, and stays.
    """
    return packet[start : start + 3] == _NULL_START


def null_packet() -> bytes:
    """A packet of stuffing."""
    return _NULL_PACKET


def pack_header(pid: int, continuity: int, *, unit_start: bool = False, control: int = 0x10) -> bytes:
    """The four bytes of a header; *control*: 0x10 payload follows, 0x20 adaptation field, 0x30 both."""
    return _HEADER.pack(SYNC_BYTE, pid | (0x4000 if unit_start else 0), control | (continuity & 0x0F))


def pack_pcr_packet(pid: int, continuity: int, pcr: int, *, discontinuity: bool = False) -> bytes:
    """A packet with a clock reference and no payload; its continuity counter repeats the last."""
    base, extension = divmod(pcr, 300)
    packed = (base % _PCR_BASE_WRAP) << 15 | 0x3F << 9 | extension
    field = bytes((PACKET_SIZE - 5, 0x90 if discontinuity else 0x10)) + packed.to_bytes(6, "big")
    return (pack_header(pid, continuity, control=0x20) + field).ljust(PACKET_SIZE, b"\xff")


def _decode_adaptation(packet: Buffer, start: int, has_payload: bool) -> AdaptationField:
    length = packet[start]
    # 183 bytes fill the packet; a payload takes at least one of them.
    if length > PACKET_SIZE - 5 - has_payload:
        raise MalformedPacket("TS adaptation field is longer than the packet")
    if not length:
        return AdaptationField(1)
    flags = packet[start + 1]
    pcr = None
    if flags & 0x10:
        if length < 7:
            raise MalformedPacket("TS adaptation field is too short for its PCR")
        packed = int.from_bytes(packet[start + 2 : start + 8], "big")
        pcr = (packed >> 15) * 300 + (packed & 0x1FF)
    return AdaptationField(1 + length, bool(flags & 0x80), bool(flags & 0x40), pcr)
