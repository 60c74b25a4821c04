"""The header of the Advanced profile (TR-06-3, 5.2): an RTP packet whose payload begins with a word of flags.

::

     0                   1                   2                   3
     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |V=2|P|X|  CC=0 |0|   PT=127    |  sequence, lower half         |
    |                     timestamp, microseconds                   |
    |                             SSRC                              |
    |  X: extension of RTP ...                                      |
    |  sequence, upper half         |F|L|E|R|I|P|H| PSK |LPC| Type  |
    |  I: flow id                                                   |
    |  PSK 2 to 5, 7: hash, 16 bytes ...                            |
    |  PSK: nonce                                                   |
    |  PSK, but not 2: IV                                           |
    +---------------- from here on enciphered, if anything is ------+
    |  LPC 3: compression parameter index                           |
    |  P: payload format descriptor                                 |
    |  H: extension of RIST ...                                     |
    |  payload ...                                                  |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+

The even SSRC of a flow's pair is repeated on request, the odd one is not, and each counts on its own. A stream is runs
of packets whose headers differ in sequence, timestamp, hash and IV alone, so `decode_run` looks at the rest once a run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from enum import IntEnum, IntFlag
from struct import Struct
from typing import Final, NamedTuple, Self

from terzetto.errors import MalformedPacket
from terzetto.primitives.datagrams import Buffer
from terzetto.rtp.header import HeaderExtension

__all__ = [
    "FIXED",
    "HASH_SIZE",
    "LARGEST_CLEAR_PART",
    "PLAIN_START",
    "AdvancedBody",
    "AdvancedHeader",
    "AdvancedRun",
    "Compression",
    "Flag",
    "PayloadType",
    "PskMode",
    "decode_run",
    "looks_like_advanced",
]

FIXED: Final = Struct("!HHIIHH")
"""First two bytes, lower half of the sequence, timestamp, SSRC, upper half of the sequence, flags; without X."""

PLAIN_START: Final = 0x807F
"""The first two bytes of a packet with neither padding nor RTP's extension."""

HASH_SIZE: Final = 16
LARGEST_CLEAR_PART: Final = 16 + 4 + HASH_SIZE + 4 + 4
"""Bytes before what may be enciphered, without an extension of RTP."""

_RTP_PART: Final = Struct("!HHII")
_RIST_PART: Final = Struct("!HH")
_WORD: Final = Struct("!I")
_KEYS: Final = Struct("!4sI")
_EXTENSION: Final = Struct("!HH")
_START_MASK: Final = 0xCF7F  # all but padding, extension and marker
_PADDING: Final = 0x2000
_EXTENDED: Final = 0x1000
_MASK: Final = 0xFFFF_FFFF


class Flag(IntFlag):
    """The single bits of the word of flags."""

    FIRST = 0x8000
    LAST = 0x4000
    EXPEDITE = 0x2000
    RETRANSMISSION = 0x1000
    FLOW_ID = 0x0800
    DESCRIPTOR = 0x0400
    EXTENSION = 0x0200


class PskMode(IntEnum):
    """How a packet is enciphered or sealed."""

    NONE = 0
    CTR = 1
    HMAC = 2
    """Sealed, and in the clear."""
    CTR_HMAC = 3
    GCM = 4
    CHACHA20 = 5
    USER = 6
    USER_SEALED = 7


class Compression(IntEnum):
    """LPC: how a payload is compressed."""

    NONE = 0
    LZ4 = 1
    RESERVED = 2
    INDEXED = 3
    """As a field of its own says (RFC 3173)."""


class PayloadType(IntEnum):
    """What a packet carries."""

    RESERVED = 0
    IPV4 = 1
    IPV6 = 2
    REDUCED_UDP = 3
    CONTROL = 4
    DIRECT = 5
    ETHERNET = 6
    GRE = 7
    """As in RFC 2784."""
    MAIN = 8
    """A packet of the Main profile."""


_PSK_SHIFT: Final = 6
_PSK_MASK: Final = 0x01C0
_LPC_SHIFT: Final = 4
_LPC_MASK: Final = 0x0030
_TYPE_MASK: Final = 0x000F
_HASHED: Final = frozenset({2, 3, 4, 5, 7})
_WITH_IV: Final = frozenset({1, 3, 4, 5, 6, 7})


def psk_mode(flags: int) -> int:
    """The mode within a word of flags."""
    return (flags & _PSK_MASK) >> _PSK_SHIFT


class AdvancedHeader(NamedTuple):
    """The part of a header that is never enciphered; fields that are absent are None."""

    sequence: int
    timestamp: int
    ssrc: int
    kind: int = PayloadType.DIRECT
    flags: Flag = Flag.FIRST | Flag.LAST
    """FLOW_ID is set by there being a flow id."""
    psk: int = PskMode.NONE
    compression: int = Compression.NONE
    flow_id: int | None = None
    hash: bytes | None = None
    nonce: bytes | None = None
    iv: int | None = None
    rtp_extension: HeaderExtension | None = None
    is_padded: bool = False

    @property
    def size(self) -> int:
        """Bytes on the wire."""
        size = FIXED.size + (0 if self.flow_id is None else 4) + sum(_key_sizes(self.psk))
        return size if self.rtp_extension is None else size + 4 + len(self.rtp_extension.data)

    @property
    def word(self) -> int:
        """The word of flags."""
        flags = int(self.flags & ~Flag.FLOW_ID)
        if self.flow_id is not None:
            flags |= Flag.FLOW_ID
        return flags | self.psk << _PSK_SHIFT | self.compression << _LPC_SHIFT | self.kind

    def encode(self) -> bytes:
        """The header as it goes before what may be enciphered; hash, nonce and IV that are missing are zeros."""
        start = PLAIN_START | (_PADDING if self.is_padded else 0)
        extension = b""
        if self.rtp_extension is not None:
            start |= _EXTENDED
            extension = encode_extension(self.rtp_extension)
        parts = [
            _RTP_PART.pack(start, self.sequence & 0xFFFF, self.timestamp, self.ssrc),
            extension,
            _RIST_PART.pack(self.sequence >> 16 & 0xFFFF, self.word),
        ]
        if self.flow_id is not None:
            parts.append(_WORD.pack(self.flow_id))
        hashed, nonce, iv = _key_sizes(self.psk)
        if hashed:
            parts.append(self.hash or bytes(HASH_SIZE))
        if nonce:
            parts.append(self.nonce or bytes(4))
        if iv:
            parts.append(_WORD.pack(self.iv or 0))
        return b"".join(parts)

    @classmethod
    def decode(cls, data: Buffer) -> Self:
        """Read the clear part of a packet; MalformedPacket is the only way to fail."""
        if len(data) < FIXED.size:
            raise MalformedPacket("Advanced header is truncated")
        start, low, timestamp, ssrc = _RTP_PART.unpack_from(data)
        if start & _START_MASK != PLAIN_START & _START_MASK:
            raise MalformedPacket("not an Advanced packet")
        at = _RTP_PART.size
        extension = None
        if start & _EXTENDED:
            extension, at = decode_extension(data, at)
        if len(data) < at + _RIST_PART.size:
            raise MalformedPacket("Advanced header is truncated")
        high, word = _RIST_PART.unpack_from(data, at)
        at += _RIST_PART.size
        psk = psk_mode(word)
        hashed, nonced, with_iv = _key_sizes(psk)
        if len(data) < at + (4 if word & Flag.FLOW_ID else 0) + hashed + nonced + with_iv:
            raise MalformedPacket("Advanced header is truncated")
        flow_id = sealed = nonce = iv = None
        if word & Flag.FLOW_ID:
            (flow_id,) = _WORD.unpack_from(data, at)
            at += 4
        if hashed:
            sealed = bytes(data[at : at + HASH_SIZE])
            at += HASH_SIZE
        if nonced:
            nonce = bytes(data[at : at + 4])
            at += 4
        if with_iv:
            (iv,) = _WORD.unpack_from(data, at)
        return cls(
            sequence=high << 16 | low,
            timestamp=timestamp,
            ssrc=ssrc,
            kind=word & _TYPE_MASK,
            flags=Flag(word & 0xFE00),
            psk=psk,
            compression=(word & _LPC_MASK) >> _LPC_SHIFT,
            flow_id=flow_id,
            hash=sealed,
            nonce=nonce,
            iv=iv,
            rtp_extension=extension,
            is_padded=bool(start & _PADDING),
        )


class AdvancedBody(NamedTuple):
    """What follows the clear part, once deciphered: three optional fields, and the payload."""

    payload: Buffer
    descriptor: int | None = None
    """Payload format: four bits of who defined it, 28 of what."""
    compression_index: int | None = None
    extension: HeaderExtension | None = None

    def encode(self) -> bytes:
        """The body as it is enciphered; which fields there are the header's flags have to say."""
        parts: list[Buffer] = []
        if self.compression_index is not None:
            parts.append(_WORD.pack(self.compression_index))
        if self.descriptor is not None:
            parts.append(_WORD.pack(self.descriptor))
        if self.extension is not None:
            parts.append(encode_extension(self.extension))
        return b"".join([*parts, self.payload])

    @classmethod
    def decode(cls, data: Buffer, word: int, *, is_padded: bool = False) -> Self:
        """Read a body whose header has those flags; MalformedPacket is the only way to fail."""
        at = 0
        index = descriptor = extension = None
        if (word & _LPC_MASK) >> _LPC_SHIFT == Compression.INDEXED:
            index, at = _field(data, at)
        if word & Flag.DESCRIPTOR:
            descriptor, at = _field(data, at)
        if word & Flag.EXTENSION:
            extension, at = decode_extension(data, at)
        end = len(data)
        if is_padded:
            padding = data[-1] if end else 0
            if not 0 < padding <= end - at:
                raise MalformedPacket("Advanced packet's padding is longer than itself")
            end -= padding
        return cls(data[at:end], descriptor, index, extension)


class AdvancedRun(NamedTuple):
    """Consecutive packets of one SSRC with headers alike, flow id included; whole datagrams, as hashes cover all."""

    header: AdvancedHeader
    """Of the first of them."""
    word: int
    clear_size: int
    """Where in each datagram the body begins."""
    sequences: list[int]
    timestamps: list[int]
    ivs: list[int]
    """Empty where the mode has none."""
    datagrams: list[Buffer]

    @property
    def hash_at(self) -> int:
        """Where in each datagram the hash begins, in modes that have one."""
        return self.clear_size - HASH_SIZE - (8 if self.ivs else 4)

    def bodies(self) -> list[Buffer]:
        """What follows the clear part of each."""
        size = self.clear_size
        return [datagram[size:] for datagram in self.datagrams]


def decode_run(datagrams: Iterable[Buffer], dropped: Counter[str]) -> list[AdvancedRun]:
    """Datagrams as runs, in order; what has no such header is counted in *dropped*."""
    runs: list[AdvancedRun] = []
    lead = (-1, -1, -1)
    nonce = label = b""
    keys_at = size = 0
    unpack = FIXED.unpack_from
    keys = _KEYS.unpack_from
    sequences: list[int] = []
    timestamps: list[int] = []
    ivs: list[int] = []
    chosen: list[Buffer] = []
    for datagram in datagrams:
        if len(datagram) >= size > 0:
            start, low, timestamp, ssrc, high, word = unpack(datagram)
            if (start, ssrc, word) == lead and (not label or datagram[16:20] == label):
                if not keys_at:
                    sequences.append(high << 16 | low)
                    timestamps.append(timestamp)
                    chosen.append(datagram)
                    continue
                this_nonce, iv = keys(datagram, keys_at)
                if this_nonce == nonce:
                    sequences.append(high << 16 | low)
                    timestamps.append(timestamp)
                    ivs.append(iv)
                    chosen.append(datagram)
                    continue
        try:
            header = AdvancedHeader.decode(datagram)
        except MalformedPacket as malformed:
            dropped[malformed.reason] += 1
            continue
        sequences, timestamps, chosen = [header.sequence], [header.timestamp], [datagram]
        ivs = [] if header.iv is None else [header.iv]
        word = header.word
        runs.append(AdvancedRun(header, word, header.size, sequences, timestamps, ivs, chosen))
        # Shapes that are too rare for the short way begin a run each.
        if header.rtp_extension is not None or header.is_padded or header.psk == PskMode.HMAC:
            size = 0
            continue
        size = header.size
        lead = (PLAIN_START, header.ssrc, word)
        nonce = header.nonce or b""
        label = b"" if header.flow_id is None else header.flow_id.to_bytes(4, "big")
        keys_at = size - _KEYS.size if nonce else 0
    return runs


def looks_like_advanced(data: Buffer) -> bool:
    """Whether a datagram on a port that also knows other protocols is one of the Advanced profile."""
    return len(data) >= FIXED.size and data[0] & 0xC0 == 0x80 and data[1] & 0x7F == 0x7F


def encode_extension(extension: HeaderExtension) -> bytes:
    """An extension as RFC 3550 has it, for RTP's place and for RIST's."""
    if len(extension.data) % 4:
        raise ValueError("an extension is a whole number of 32-bit words")
    return _EXTENSION.pack(extension.profile, len(extension.data) // 4) + extension.data


def decode_extension(data: Buffer, at: int) -> tuple[HeaderExtension, int]:
    """The extension at that place, and where what follows begins."""
    if len(data) < at + _EXTENSION.size:
        raise MalformedPacket("extension of an Advanced packet is truncated")
    profile, words = _EXTENSION.unpack_from(data, at)
    start = at + _EXTENSION.size
    end = start + 4 * words
    if len(data) < end:
        raise MalformedPacket("extension of an Advanced packet is truncated")
    return HeaderExtension(profile, bytes(data[start:end])), end


def _field(data: Buffer, at: int) -> tuple[int, int]:
    if len(data) < at + 4:
        raise MalformedPacket("Advanced packet ends within its header")
    return int.from_bytes(data[at : at + 4], "big"), at + 4


def _key_sizes(psk: int) -> tuple[int, int, int]:
    """Bytes of hash, nonce and IV in that mode."""
    return HASH_SIZE if psk in _HASHED else 0, 4 if psk else 0, 4 if psk in _WITH_IV else 0
