"""What has to be read of DTLS records without their keys, and the one answer that is given without state.

A record (RFC 6347 section 4.1)::

     0        1                 3                 5                             11                13
    | type   | version         | epoch           | sequence number             | length          | fragment ...

A ClientHello that a listening end will look at is the first and only message of its first record, in one piece::

    | 1      | length (3) | message_seq (2) | fragment_offset (3) | fragment_length (3) |
    | client_version (2) | random (32) | session_id <0..32> | cookie <0..255> | cipher_suites ...
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import IntEnum
from typing import Final

import attrs

from terzetto.errors import MalformedPacket
from terzetto.primitives.datagrams import Buffer

__all__ = [
    "ClientHello",
    "ContentType",
    "bad_certificate",
    "epoch_of",
    "hello_verify_request",
    "is_client_hello",
    "is_record",
    "is_single_record",
    "number_of",
    "pack_records",
    "split_records",
    "with_number",
]

HEADER_SIZE: Final = 13
_MESSAGE_HEADER_SIZE: Final = 12
_FIXED: Final = HEADER_SIZE + _MESSAGE_HEADER_SIZE
_CLIENT_HELLO: Final = 1
_HELLO_VERIFY_REQUEST: Final = 3
_RANDOM_SIZE: Final = 32

# DTLS 1.0: section 4.2.1 wants it in a HelloVerifyRequest whatever version will be agreed on.
_VERSION_1_0: Final = b"\xfe\xff"
_VERSION_1_2: Final = b"\xfe\xfd"

_FATAL: Final = 2
_BAD_CERTIFICATE: Final = 42


class ContentType(IntEnum):
    """What a record carries."""

    CHANGE_CIPHER_SPEC = 20
    ALERT = 21
    HANDSHAKE = 22
    APPLICATION_DATA = 23


def is_record(datagram: Buffer) -> bool:
    """Whether a datagram begins like a DTLS record."""
    return len(datagram) > HEADER_SIZE and 20 <= datagram[0] <= 23 and datagram[1] == 0xFE


def epoch_of(record: Buffer) -> int:
    """The epoch of a datagram's first record: 0 is before encryption."""
    return record[3] << 8 | record[4]


def is_single_record(datagram: Buffer) -> bool:
    """Whether a datagram is exactly one record."""
    return len(datagram) == HEADER_SIZE + (datagram[11] << 8 | datagram[12])


def is_client_hello(datagram: Buffer) -> bool:
    """Whether a datagram that `is_record` begins with an unencrypted ClientHello."""
    return datagram[0] == ContentType.HANDSHAKE and not epoch_of(datagram) and datagram[13] == _CLIENT_HELLO


def split_records(stream: bytes) -> Iterator[bytes]:
    """The records that OpenSSL has written one after the other."""
    start = 0
    while start < len(stream):
        end = start + HEADER_SIZE + (stream[start + 11] << 8 | stream[start + 12])
        yield stream[start:end]
        start = end


def number_of(record: Buffer) -> int:
    """The sequence number of a record, within its epoch."""
    return int.from_bytes(record[5:11], "big")


def with_number(record: bytes, number: int) -> bytes:
    """The same record under another sequence number; only one without encryption survives that."""
    return record[:5] + number.to_bytes(6, "big") + record[11:]


def pack_records(records: Iterable[bytes], mtu: int) -> list[bytes]:
    """Records as datagrams of at most *mtu* bytes, as many in each as fit."""
    datagrams: list[bytes] = []
    for record in records:
        if datagrams and len(datagrams[-1]) + len(record) <= mtu:
            datagrams[-1] += record
        else:
            datagrams.append(record)
    return datagrams


@attrs.frozen
class ClientHello:
    """What the cookie exchange needs to know of a ClientHello."""

    sequence: bytes
    """Epoch and sequence number of its record, which the answer repeats."""
    cookie: bytes
    parameters: bytes
    """Everything but the cookie: a client must repeat it unchanged (section 4.2.1)."""

    @classmethod
    def decode_untrusted(cls, datagram: Buffer) -> ClientHello:
        """Parse a datagram that `is_client_hello`; `MalformedPacket` is the only way to fail."""
        record_length = int.from_bytes(datagram[11:13], "big")
        record = bytes(datagram[HEADER_SIZE : HEADER_SIZE + record_length])
        if len(record) < record_length or record_length < _MESSAGE_HEADER_SIZE:
            raise MalformedPacket("ClientHello is truncated")
        length, fragment_length = int.from_bytes(record[1:4], "big"), int.from_bytes(record[9:12], "big")
        if record[6:9] != b"\0\0\0" or fragment_length != length:
            # To put it together would be state for a stranger; no client of this protocol needs it.
            raise MalformedPacket("ClientHello is fragmented")
        body = record[_MESSAGE_HEADER_SIZE:]
        if len(body) != length:
            raise MalformedPacket("ClientHello is truncated")
        session_at = 2 + _RANDOM_SIZE
        if len(body) <= session_at or body[session_at] > 32:
            raise MalformedPacket("ClientHello is truncated")
        cookie_at = session_at + 1 + body[session_at]
        if len(body) <= cookie_at:
            raise MalformedPacket("ClientHello is truncated")
        after = cookie_at + 1 + body[cookie_at]
        # Two cipher suites' length and one suite, one compression method and its length: the least that may follow.
        if len(body) < after + 6:
            raise MalformedPacket("ClientHello is truncated")
        return cls(bytes(datagram[3:11]), body[cookie_at + 1 : after], body[:cookie_at] + body[after:])


def hello_verify_request(hello: ClientHello, cookie: bytes) -> bytes:
    """The datagram that asks a client to repeat its ClientHello with *cookie*.

    Never longer than the shortest ClientHello for cookies of up to 32 bytes, so nobody gains by having it sent to
    somebody else.
    """
    body = _VERSION_1_0 + bytes([len(cookie)]) + cookie
    length = len(body).to_bytes(3, "big")
    message = bytes([_HELLO_VERIFY_REQUEST]) + length + b"\0\0" + b"\0\0\0" + length + body
    # The record repeats the client's sequence number, as a server that keeps no state cannot count its own.
    return (
        bytes([ContentType.HANDSHAKE])
        + _VERSION_1_0
        + hello.sequence
        + len(message).to_bytes(2, "big")
        + message
    )


def bad_certificate() -> bytes:
    """The alert that refuses a peer's certificate, as a record without encryption and with number 0."""
    alert = bytes([_FATAL, _BAD_CERTIFICATE])
    return bytes([ContentType.ALERT]) + _VERSION_1_2 + bytes(8) + len(alert).to_bytes(2, "big") + alert
