"""Control messages of the Advanced profile (TR-06-3, 5.3): one to a packet, told apart by an index.

::

     0                   1                   2                   3
     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |         control index         |            length             |
    |  message, of so many bytes ...                                |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+

Requests for repeats have a file of their own (`advanced_nack`), logins are EAPOL frames, and link quality and parities
are those of the other profiles without their envelopes.
"""

from __future__ import annotations

from enum import IntEnum
from struct import Struct
from typing import Final, NamedTuple, Self

from terzetto.errors import MalformedPacket
from terzetto.primitives.datagrams import Buffer
from terzetto.rist.wire.keepalive import MAC_SIZE, Capability, Keepalive

__all__ = [
    "PROTECTABLE",
    "ControlIndex",
    "Echo",
    "FutureNonce",
    "Unsupported",
    "decode_control",
    "decode_keepalive",
    "decode_text",
    "encode_control",
    "encode_keepalive",
    "encode_text",
    "is_vendors",
]

PROTECTABLE: Final = 0x8000
"""Messages from this index on may travel in the protected flow, be fragmented and be compressed."""

_HEAD: Final = Struct("!HH")
_ECHO: Final = Struct("!IQI")
_UNSUPPORTED: Final = Struct("!IH6s")
_LIBRIST_KEEPALIVE: Final = Struct("!6sI")
_LIBRIST_NONCE: Final = Struct("!4sHH")
_FIRST_BYTES: Final = 6
_LONGEST_BODY: Final = 0xFFFF

# libRIST's word of capabilities.
_WORD_BITS: Final = {
    0x8000_0000: Capability.ADVANCED,
    0x4000_0000: Capability.ADVANCED_FRAGMENTATION,
    0x2000_0000: Capability.ADVANCED_COMPRESSION,
}


class ControlIndex(IntEnum):
    """What a control message is about."""

    NACK_BITMASK = 0x0000
    NACK_RANGE = 0x0001
    LINK_QUALITY = 0x0002
    LINK_QUALITY_OF_PATH = 0x0003
    ECHO_REQUEST = 0x0010
    ECHO_RESPONSE = 0x0011
    FEC_2022_5_ROW = 0x0020
    FEC_2022_5_COLUMN = 0x0021
    FEC_2022_1_ROW = 0x0022
    FEC_2022_1_COLUMN = 0x0023
    KEEPALIVE = 0x8000
    FLOW_ATTRIBUTE = 0x8001
    LOGIN = 0x8010
    FUTURE_NONCE = 0x8011
    UNSUPPORTED = 0x8020


def is_vendors(index: int) -> bool:
    """Whether the index belongs to the ranges that vendors use as they like."""
    return index & 0x7800 == 0x7800


def encode_control(index: int, body: Buffer) -> bytes:
    """The payload of a control packet."""
    if len(body) > _LONGEST_BODY:
        raise ValueError("a control message has at most 65535 bytes")
    return _HEAD.pack(index, len(body)) + bytes(body)


def decode_control(payload: Buffer) -> tuple[int, Buffer]:
    """Index and message; MalformedPacket is the only way to fail.

    What follows the message is passed over: libRIST understates the length of one of its own.
    """
    if len(payload) < _HEAD.size:
        raise MalformedPacket("control message is truncated")
    index, length = _HEAD.unpack_from(payload)
    if len(payload) < _HEAD.size + length:
        raise MalformedPacket("control message is shorter than it says")
    return index, payload[_HEAD.size : _HEAD.size + length]


class Echo(NamedTuple):
    """A question for the round trip, or its answer."""

    ssrc: int
    """Of who asks."""
    token: int
    held_for: int = 0
    """Microseconds between question and answer."""
    padding: bytes = b""

    def encode(self) -> bytes:
        """The message's body; padding is cut to whole words."""
        return _ECHO.pack(self.ssrc, self.token, self.held_for) + self.padding[: len(self.padding) // 4 * 4]

    @classmethod
    def decode(cls, body: Buffer) -> Self:
        """Read a body; MalformedPacket is the only way to fail."""
        if len(body) < _ECHO.size:
            raise MalformedPacket("echo is truncated")
        ssrc, token, held_for = _ECHO.unpack_from(body)
        return cls(ssrc, token, held_for, bytes(body[_ECHO.size :]))


class FutureNonce(NamedTuple):
    """The nonce that the sender of this will go over to."""

    nonce: bytes
    key_bits: int = 0
    """libRIST says for which size of key; 0 where nothing is said."""

    def encode(self) -> bytes:
        """The message's body: four bytes, or libRIST's eight."""
        return _LIBRIST_NONCE.pack(self.nonce, self.key_bits, 0) if self.key_bits else self.nonce

    @classmethod
    def decode(cls, body: Buffer) -> Self:
        """Read a body; MalformedPacket is the only way to fail."""
        if len(body) < 4:
            raise MalformedPacket("future nonce is truncated")
        bits = int.from_bytes(body[4:6], "big") if len(body) >= _LIBRIST_NONCE.size else 0
        return cls(bytes(body[:4]), bits)


class Unsupported(NamedTuple):
    """Somebody did not understand a control message: whose, which, and how it began."""

    ssrc: int
    control_index: int
    beginning: bytes

    def encode(self) -> bytes:
        """The message's body."""
        return _UNSUPPORTED.pack(self.ssrc, self.control_index, self.beginning[:_FIRST_BYTES])

    @classmethod
    def decode(cls, body: Buffer) -> Self:
        """Read a body; MalformedPacket is the only way to fail."""
        if len(body) < _UNSUPPORTED.size:
            raise MalformedPacket("control message on an unsupported one is truncated")
        return cls(*_UNSUPPORTED.unpack_from(body))


def encode_keepalive(keepalive: Keepalive) -> bytes:
    """A keepalive as the specification has it, or with ``has_word`` as libRIST does."""
    if keepalive.has_word:
        word = sum(bit for bit, capability in _WORD_BITS.items() if capability in keepalive.capabilities)
        return _LIBRIST_KEEPALIVE.pack(keepalive.mac, word)
    text = keepalive.json + b"\0" if keepalive.json else b""
    return keepalive._replace(json=text).encode()


def decode_keepalive(body: Buffer) -> Keepalive:
    """Read either form; MalformedPacket is the only way to fail.

    libRIST's has ten bytes and ends in half a word of zeros, where the specification's has JSON or nothing.
    """
    if len(body) == _LIBRIST_KEEPALIVE.size and body[MAC_SIZE + 2] != 0x7B:
        mac, word = _LIBRIST_KEEPALIVE.unpack(body)
        capabilities = Capability(0)
        for bit, capability in _WORD_BITS.items():
            if word & bit:
                capabilities |= capability
        return Keepalive(mac, capabilities, has_word=True)
    # Its own form of the Main profile puts a word between flags and JSON, which nobody sends here.
    keepalive = Keepalive.decode(body[: MAC_SIZE + 2])
    return keepalive._replace(json=bytes(body[MAC_SIZE + 2 :]).rstrip(b"\0"))


def encode_text(text: str) -> bytes:
    """JSON as control messages carry it, with the zero that ends it."""
    return text.encode() + b"\0"


def decode_text(body: Buffer) -> str:
    """Such JSON's text, with or without the zero; MalformedPacket is the only way to fail."""
    try:
        return bytes(body).rstrip(b"\0").decode()
    except UnicodeDecodeError as exc:
        raise MalformedPacket("text of a control message is not UTF-8") from exc
