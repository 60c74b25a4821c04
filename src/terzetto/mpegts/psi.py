"""PAT and PMT: the tables that say which programmes a stream has and what each is made of.

::

    section:  table_id:8 | 1011 | section_length:12 | id:16 | 11 | version:5 | current:1 | number:8 | last:8
              ... entries ... | CRC-32/MPEG:32
    PAT (0):  program_number:16 | 111 | PID of its PMT:13                              for each programme
    PMT (2):  111 | PCR PID:13 | 1111 | length:12, descriptors                         then for each stream
              stream_type:8 | 111 | PID:13 | 1111 | length:12, descriptors

In a packet a pointer byte comes before the section. Sections that span packets are not read: a PAT or PMT
that fills more than a packet belongs to streams with dozens of programmes, which we carry without looking
inside.
"""

from __future__ import annotations

from struct import Struct
from typing import ClassVar, Final, NamedTuple, Self

from attrs import frozen

from terzetto.errors import MalformedPacket
from terzetto.mpegts.packet import PACKET_SIZE, TsHeader, pack_header
from terzetto.primitives.datagrams import Buffer

__all__ = [
    "PAT_PID",
    "ElementaryStream",
    "ProgramAssociation",
    "ProgramMap",
    "crc32_mpeg",
    "pack_section",
    "unpack_section",
]

PAT_PID: Final = 0
_STUFFING: Final = b"\xff"

_SECTION_HEAD: Final = Struct("!BHHBBB")
_ENTRY: Final = Struct("!HH")
_STREAM: Final = Struct("!BHH")
_CRC: Final = Struct("!I")


def _crc_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        register = byte << 24
        for _ in range(8):
            register = (register << 1 & 0xFFFFFFFF) ^ (0x04C11DB7 if register >> 31 else 0)
        table.append(register)
    return tuple(table)


_CRC_TABLE: Final = _crc_table()


def crc32_mpeg(data: Buffer) -> int:
    """CRC-32/MPEG-2: the polynomial of Ethernet, most significant bit first, nothing inverted at the end."""
    register = 0xFFFFFFFF
    for byte in data:
        register = (register << 8 & 0xFFFFFFFF) ^ _CRC_TABLE[register >> 24 ^ byte]
    return register


@frozen
class ProgramAssociation:
    """PAT: where the PMT of each programme is."""

    TABLE_ID: ClassVar[int] = 0

    transport_stream_id: int
    programs: tuple[tuple[int, int], ...]
    """Programme number and PID of its PMT; number 0 stands for the network information table."""
    version: int = 0

    def encode(self) -> bytes:
        """The section."""
        entries = b"".join(_ENTRY.pack(number, 0xE000 | pid) for number, pid in self.programs)
        return _encode_section(self.TABLE_ID, self.transport_stream_id, self.version, entries)

    @classmethod
    def decode(cls, section: Buffer) -> Self:
        """Parse a section; MalformedPacket is the only way to fail."""
        stream_id, version, body = _decode_section(section, cls.TABLE_ID)
        if len(body) % _ENTRY.size:
            raise MalformedPacket("PAT is truncated")
        programs = tuple((number, pid & 0x1FFF) for number, pid in _ENTRY.iter_unpack(body))
        return cls(stream_id, programs, version)


class ElementaryStream(NamedTuple):
    """One component of a programme."""

    stream_type: int
    pid: int
    descriptors: bytes = b""


@frozen
class ProgramMap:
    """PMT: what a programme is made of."""

    TABLE_ID: ClassVar[int] = 2

    program_number: int
    pcr_pid: int
    streams: tuple[ElementaryStream, ...] = ()
    descriptors: bytes = b""
    version: int = 0

    def encode(self) -> bytes:
        """The section."""
        parts = [_ENTRY.pack(0xE000 | self.pcr_pid, 0xF000 | len(self.descriptors)), self.descriptors]
        for stream_type, pid, descriptors in self.streams:
            parts += [_STREAM.pack(stream_type, 0xE000 | pid, 0xF000 | len(descriptors)), descriptors]
        return _encode_section(self.TABLE_ID, self.program_number, self.version, b"".join(parts))

    @classmethod
    def decode(cls, section: Buffer) -> Self:
        """Parse a section; MalformedPacket is the only way to fail."""
        program_number, version, body = _decode_section(section, cls.TABLE_ID)
        if len(body) < _ENTRY.size:
            raise MalformedPacket("PMT is truncated")
        pcr_pid, length = _ENTRY.unpack_from(body)
        position = _ENTRY.size
        descriptors, position = _take(body, position, length & 0x0FFF)
        streams: list[ElementaryStream] = []
        while position < len(body):
            if position + _STREAM.size > len(body):
                raise MalformedPacket("PMT is truncated")
            stream_type, pid, length = _STREAM.unpack_from(body, position)
            own, position = _take(body, position + _STREAM.size, length & 0x0FFF)
            streams.append(ElementaryStream(stream_type, pid & 0x1FFF, own))
        return cls(program_number, pcr_pid & 0x1FFF, tuple(streams), descriptors, version)


def pack_section(section: bytes, pid: int, continuity: int) -> bytes:
    """The packet that carries *section*; ValueError where it does not fit one."""
    packet = pack_header(pid, continuity, unit_start=True) + b"\0" + section
    if len(packet) > PACKET_SIZE:
        raise ValueError(f"a section of {len(section)} bytes does not fit one packet")
    return packet.ljust(PACKET_SIZE, _STUFFING)


def unpack_section(packet: Buffer) -> memoryview:
    """The section that begins in *packet*; MalformedPacket where none does, or where it goes on elsewhere."""
    header = TsHeader.decode(packet)
    if not (header.has_payload and header.unit_start):
        raise MalformedPacket("no section begins in this packet")
    view = memoryview(packet)[:PACKET_SIZE]
    # The pointer byte itself is there, because an adaptation field leaves a byte to the payload.
    start = header.payload_offset + 1 + view[header.payload_offset]
    if start + 3 > PACKET_SIZE:
        raise MalformedPacket("section is truncated")
    end = start + 3 + (int.from_bytes(view[start + 1 : start + 3], "big") & 0x0FFF)
    if end > PACKET_SIZE:
        raise MalformedPacket("section is truncated")
    return view[start:end]


def _encode_section(table_id: int, table_id_extension: int, version: int, body: bytes) -> bytes:
    length = _SECTION_HEAD.size - 3 + len(body) + _CRC.size
    if length > 1021:
        raise ValueError("a PAT or PMT has at most 1021 bytes after its length")
    head = _SECTION_HEAD.pack(table_id, 0xB000 | length, table_id_extension, 0xC1 | version << 1, 0, 0)
    return head + body + _CRC.pack(crc32_mpeg(head + body))


def _decode_section(section: Buffer, table_id: int) -> tuple[int, int, memoryview]:
    """The table id extension, the version, and what lies between head and checksum."""
    if len(section) < _SECTION_HEAD.size + _CRC.size:
        raise MalformedPacket("section is truncated")
    found, length, extension, version, _, _ = _SECTION_HEAD.unpack_from(section)
    if found != table_id:
        raise MalformedPacket("section is of another table")
    if 3 + (length & 0x0FFF) != len(section):
        raise MalformedPacket("section is truncated")
    # Over a section with its checksum the register ends at zero.
    if crc32_mpeg(section):
        raise MalformedPacket("section has a wrong checksum")
    return extension, version >> 1 & 0x1F, memoryview(section)[_SECTION_HEAD.size : -_CRC.size]


def _take(body: memoryview, start: int, length: int) -> tuple[bytes, int]:
    end = start + length
    if end > len(body):
        raise MalformedPacket("PMT is truncated")
    return bytes(body[start:end]), end
