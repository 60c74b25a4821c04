"""EAPOL and EAP, the envelopes of RIST's login (GRE type 0x888E; IEEE 802.1X, RFC 3748).

::

     0                   1                   2                   3
     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |    version    |     type      |            length             |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |     code      |  identifier   |            length             |
    |   EAP type    |  data ...
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+

The second length includes its own four bytes. libRIST to 0.2.7 writes version 2, later ones 3, and that is how a
login's dialect is told. Its quirks, all of them read here: Start frames from 0.2.8 to 0.2.16 claim four bytes of
body that are not there, and a Success may carry two zero bytes.
"""

from __future__ import annotations

from enum import IntEnum
from struct import Struct
from typing import Final, NamedTuple, Self

from terzetto.errors import MalformedPacket
from terzetto.primitives.datagrams import Buffer

__all__ = [
    "CURRENT_VERSION",
    "LEGACY_VERSION",
    "EapCode",
    "EapPacket",
    "EapType",
    "EapolFrame",
    "EapolType",
]

CURRENT_VERSION: Final = 3
LEGACY_VERSION: Final = 2

_EAPOL: Final = Struct("!BBH")
_EAP: Final = Struct("!BBH")


class EapolType(IntEnum):
    """Kinds of EAPOL frames."""

    EAP = 0
    START = 1
    LOGOFF = 2


class EapCode(IntEnum):
    """Kinds of EAP packets."""

    REQUEST = 1
    RESPONSE = 2
    SUCCESS = 3
    FAILURE = 4


class EapType(IntEnum):
    """What requests and responses are about."""

    IDENTITY = 1
    NAK = 3
    SRP = 0x13


class EapPacket(NamedTuple):
    """An EAP packet; Success and Failure have no type."""

    code: EapCode
    identifier: int
    kind: EapType | None = None
    data: bytes = b""

    def encode(self) -> bytes:
        """The packet as it goes into a frame."""
        body = self.data if self.kind is None else bytes((self.kind,)) + self.data
        return _EAP.pack(self.code, self.identifier, _EAP.size + len(body)) + body

    @classmethod
    def decode(cls, data: Buffer) -> Self:
        """Read a packet; MalformedPacket is the only way to fail."""
        if len(data) < _EAP.size:
            raise MalformedPacket("EAP header is truncated")
        code, identifier, length = _EAP.unpack_from(data)
        if not _EAP.size <= length <= len(data):
            raise MalformedPacket("EAP length is wrong")
        if code not in _CODES:
            raise MalformedPacket("unknown EAP code")
        body = bytes(data[_EAP.size : length])
        if code in (EapCode.SUCCESS, EapCode.FAILURE):
            return cls(EapCode(code), identifier, None, body)
        if not body:
            raise MalformedPacket("EAP packet has no type")
        if body[0] not in _TYPES:
            raise MalformedPacket("unknown EAP type")
        return cls(EapCode(code), identifier, EapType(body[0]), body[1:])


_CODES: Final = frozenset(EapCode)
_TYPES: Final = frozenset(EapType)


class EapolFrame(NamedTuple):
    """A frame; ``packet`` is there where the type is EAP."""

    version: int
    kind: EapolType
    packet: EapPacket | None = None

    def encode(self) -> bytes:
        """The frame as it goes into the tunnel."""
        body = b"" if self.packet is None else self.packet.encode()
        return _EAPOL.pack(self.version, self.kind, len(body)) + body

    @classmethod
    def decode(cls, data: Buffer) -> Self:
        """Read a frame; MalformedPacket is the only way to fail."""
        if len(data) < _EAPOL.size:
            raise MalformedPacket("EAPOL header is truncated")
        version, kind, length = _EAPOL.unpack_from(data)
        if kind == EapolType.EAP:
            if _EAPOL.size + length > len(data):
                raise MalformedPacket("EAPOL length is wrong")
            return cls(version, EapolType.EAP, EapPacket.decode(data[_EAPOL.size : _EAPOL.size + length]))
        if kind in (EapolType.START, EapolType.LOGOFF):
            return cls(version, EapolType(kind))
        raise MalformedPacket("unknown EAPOL type")
