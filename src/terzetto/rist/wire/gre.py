"""RIST's GRE header (TR-06-2): what every datagram of the Main profile begins with.

::

     0                   1                   2                   3
     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |C|R|K|S|0 0 0 0|0|H| RV  | Ver |        protocol type          |
    |  C: checksum, reserved                                        |
    |  K: nonce                                                     |
    |  S: sequence                                                  |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+

H: the key is of 256 bits. RV: the revision of RIST's GRE (0 of 2020, 1 of 2021, 2 of 2022; 3 and 4 are read as 2).
R and Ver must be zero. With K, everything after the header is enciphered.

A stream is runs of datagrams whose headers differ in their sequence alone, so `decode_run` and `encode_run` look at
the rest once for each run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from struct import Struct
from typing import Final, NamedTuple, Self

from terzetto.errors import MalformedPacket
from terzetto.primitives.datagrams import Buffer
from terzetto.rist.wire.advanced_header import looks_like_advanced

__all__ = [
    "EAPOL",
    "IPV4",
    "KEEPALIVE",
    "LARGEST_HEADER",
    "NEWEST_VERSION",
    "REDUCED",
    "VSF",
    "GreHeader",
    "GreRun",
    "decode_run",
    "encode_run",
    "looks_like_gre",
]

# Protocol types.
REDUCED: Final = 0x88B6
KEEPALIVE: Final = 0x88B5
IPV4: Final = 0x0800
EAPOL: Final = 0x888E
VSF: Final = 0xCCE0

NEWEST_VERSION: Final = 2
_NEWEST_READ_AS_2: Final = 4

LARGEST_HEADER: Final = 12
"""Bytes of a header with nonce and sequence; nobody sends checksums."""

_CHECKSUM: Final = 0x80
_ROUTING: Final = 0x40
_KEY: Final = 0x20
_SEQUENCE: Final = 0x10
_RESERVED: Final = 0x0F
_WIDE_KEY: Final = 0x40
_SECOND_MUST_BE_ZERO: Final = 0x87

_FIXED: Final = Struct("!BBH")
_WORD: Final = Struct("!I")
_BARE_LOGIN: Final = Struct("!HH")
_LOGIN_VERSIONS: Final = (2, 3)
_LAST_LOGIN_TYPE: Final = 2
_MASK: Final = 0xFFFF_FFFF

# The headers of streams, by their first byte: everything before the sequence as one number, and the sequence.
# libRIST 0.2.7 sends none in the clear.
_LEADS: Final = {0: Struct("!I0s"), _SEQUENCE: Struct("!II"), _KEY | _SEQUENCE: Struct("!QI")}


def _no_lead(_datagram: Buffer) -> tuple[int, int]:
    return -2, 0


_KNOWN_TYPES: Final = frozenset({REDUCED, KEEPALIVE, IPV4, EAPOL, VSF})


class GreHeader(NamedTuple):
    """The header's fields; those that are absent are None."""

    protocol_type: int
    version: int = NEWEST_VERSION
    sequence: int | None = None
    nonce: bytes | None = None
    wide_key: bool = False
    """Enciphered with AES-256 rather than AES-128."""
    checksum: int | None = None
    """Checksum and the reserved half of its word."""

    @property
    def size(self) -> int:
        """Bytes on the wire."""
        return 4 + 4 * ((self.checksum is not None) + (self.nonce is not None) + (self.sequence is not None))

    def encode(self) -> bytes:
        """The header as it goes before the payload."""
        first = 0
        tail = b""
        if self.checksum is not None:
            first |= _CHECKSUM
            tail += _WORD.pack(self.checksum)
        if self.nonce is not None:
            first |= _KEY
            tail += self.nonce
        if self.sequence is not None:
            first |= _SEQUENCE
            tail += _WORD.pack(self.sequence)
        second = self.version << 3 | (_WIDE_KEY if self.wide_key else 0)
        return _FIXED.pack(first, second, self.protocol_type) + tail

    @classmethod
    def decode(cls, data: Buffer) -> Self:
        """Read a datagram's header; its payload begins at ``size``. MalformedPacket is the only way to fail."""
        if len(data) < _FIXED.size:
            raise MalformedPacket("GRE header is truncated")
        first, second, protocol_type = _FIXED.unpack_from(data)
        if first & (_ROUTING | _RESERVED) or second & _SECOND_MUST_BE_ZERO:
            raise MalformedPacket("not RIST's GRE")
        version = second >> 3 & 7
        if version > _NEWEST_READ_AS_2:
            raise MalformedPacket("unknown revision of RIST's GRE")
        position = _FIXED.size
        needed = position + 4 * (first >> 4).bit_count()
        if len(data) < needed:
            raise MalformedPacket("GRE header is truncated")
        checksum = sequence = nonce = None
        if first & _CHECKSUM:
            (checksum,) = _WORD.unpack_from(data, position)
            position += 4
        if first & _KEY:
            nonce = bytes(data[position : position + 4])
            position += 4
        if first & _SEQUENCE:
            (sequence,) = _WORD.unpack_from(data, position)
        wide_key = bool(second & _WIDE_KEY)
        return cls(protocol_type, min(version, NEWEST_VERSION), sequence, nonce, wide_key, checksum)


class GreRun(NamedTuple):
    """Consecutive datagrams whose headers differ in their sequence alone.

    ``sequences`` is empty where the header has none, else it has one for each payload.
    """

    protocol_type: int
    version: int
    nonce: bytes | None
    wide_key: bool
    sequences: list[int]
    payloads: list[Buffer]


def decode_run(datagrams: Iterable[Buffer], dropped: Counter[str]) -> list[GreRun]:
    """Datagrams as runs of payloads, in order; what has no such header is counted in *dropped*.

    Payloads are slices of the datagrams: views of views, copies of bytes.
    """
    runs: list[GreRun] = []
    lead = -1  # what the next datagram must begin with to be one of the current run
    size = 0
    unpack: Callable[[Buffer], tuple[int, int]] = _no_lead
    sequences: list[int] = []
    payloads: list[Buffer] = []
    for datagram in datagrams:
        if len(datagram) >= size:
            this_lead, sequence = unpack(datagram)
            if this_lead == lead:
                if sequences:
                    sequences.append(sequence)
                payloads.append(datagram[size:])
                continue
        try:
            header = GreHeader.decode(datagram)
        except MalformedPacket as malformed:
            if _is_bare_login(datagram):
                runs.append(GreRun(EAPOL, NEWEST_VERSION, None, False, [], [datagram]))
                lead, unpack, size = -1, _no_lead, 0
                continue
            # The first minute's mistake has a name.
            dropped["RIST Advanced profile" if looks_like_advanced(datagram) else malformed.reason] += 1
            continue
        sequences = [] if header.sequence is None else [header.sequence]
        payloads = [datagram[header.size :]]
        runs.append(
            GreRun(header.protocol_type, header.version, header.nonce, header.wide_key, sequences, payloads)
        )
        # Headers of other shapes are too rare for a short path.
        shape = _LEADS.get(datagram[0])
        if shape is None:
            lead, unpack, size = -1, _no_lead, 0
        else:
            unpack, size = shape.unpack_from, shape.size
            lead = unpack(datagram)[0]
    return runs


def encode_run(
    payloads: Sequence[Buffer],
    *,
    protocol_type: int,
    version: int,
    first_sequence: int,
    nonce: bytes | None = None,
    wide_key: bool = False,
) -> list[Buffer]:
    """Datagrams for *payloads*, each with a sequence, counting up from *first_sequence* and wrapping."""
    lead = GreHeader(protocol_type, version, 0, nonce, wide_key).encode()[:-4]
    pack = _WORD.pack
    return [
        b"".join((lead, pack(sequence & _MASK), payload))
        for sequence, payload in enumerate(payloads, first_sequence)
    ]


def _is_bare_login(data: Buffer) -> bool:
    """Whether it is an EAPOL frame without GRE: so libRIST 0.2.8 to 0.2.12 repeats what was not answered.

    No header of GRE begins with its version, and its length has to be right to the byte.
    """
    return (
        len(data) >= _BARE_LOGIN.size
        and data[0] in _LOGIN_VERSIONS
        and data[1] <= _LAST_LOGIN_TYPE
        and _BARE_LOGIN.unpack_from(data)[1] == len(data) - _BARE_LOGIN.size
    )


def looks_like_gre(data: Buffer) -> bool:
    """Whether a datagram on a port that also knows other protocols is RIST's GRE with a type of ours."""
    if _is_bare_login(data):
        return True
    try:
        header = GreHeader.decode(data)
    except MalformedPacket:
        return False
    return header.protocol_type in _KNOWN_TYPES
