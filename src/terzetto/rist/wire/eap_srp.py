"""The messages of an SRP login (EAP type 0x13): a subtype, then what the step needs.

=======  =================================  ==================================
subtype  in a request                       in a response
=======  =================================  ==================================
1        `Challenge`: salt and group        client's public key A
2        server's public key B              client's `Validator`: flags, M1
3        server's `Validator`: flags, M2    nothing (version 2 only)
0x10     nothing: tell me your passphrase   `PassphraseAnswer`
=======  =================================  ==================================

TR-06-2 gives the lengths in a challenge one byte, every implementation in the field gives them two. So two it is, and
one where two make no sense and one fits exactly.
"""

from __future__ import annotations

from enum import IntEnum
from struct import Struct
from typing import Final, NamedTuple, Self

from terzetto.errors import MalformedPacket

__all__ = [
    "Challenge",
    "PassphraseAnswer",
    "SrpSubtype",
    "Validator",
    "decode_srp",
    "encode_srp",
]

_LENGTH: Final = Struct("!H")
_FLAGS: Final = Struct("!I")
_PROOF_SIZE: Final = 32
_USE_SESSION_KEY: Final = 0x0000_0001
_ANSWER_USE_SESSION_KEY: Final = 0x80
_ANSWER_WIDE_KEY: Final = 0x40

# What libRIST's tables hold for a name; far more than any salt.
_LONGEST_FIELD: Final = 1500


class SrpSubtype(IntEnum):
    """The steps, in their order."""

    CHALLENGE_OR_CLIENT_KEY = 1
    SERVER_KEY_OR_CLIENT_VALIDATOR = 2
    SERVER_VALIDATOR = 3
    PASSPHRASE = 0x10


_SUBTYPES: Final = frozenset(SrpSubtype)


def encode_srp(subtype: SrpSubtype, body: bytes = b"") -> bytes:
    """The data of an EAP packet of type SRP."""
    return bytes((subtype,)) + body


def decode_srp(data: bytes) -> tuple[SrpSubtype, bytes]:
    """Subtype and body of an EAP packet of type SRP; MalformedPacket is the only way to fail."""
    if not data:
        raise MalformedPacket("SRP message is truncated")
    if data[0] not in _SUBTYPES:
        raise MalformedPacket("unknown SRP subtype")
    return SrpSubtype(data[0]), data[1:]


class Challenge(NamedTuple):
    """The server's salt, and its group unless that is the default one (then both numbers are empty)."""

    salt: bytes
    generator: bytes = b""
    modulus: bytes = b""
    server_name: bytes = b""

    def encode(self) -> bytes:
        """The body, with the two-byte lengths that everybody reads."""
        parts = [self.server_name, self.salt, self.generator]
        return b"".join(_LENGTH.pack(len(part)) + part for part in parts) + self.modulus

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Read either form; MalformedPacket is the only way to fail."""
        for length_size in (_LENGTH.size, 1):
            fields = _read_fields(body, length_size)
            if fields is not None:
                name, salt, generator, modulus = fields
                return cls(salt, generator, modulus, name)
        raise MalformedPacket("SRP challenge cannot be read")


def _read_fields(body: bytes, length_size: int) -> tuple[bytes, bytes, bytes, bytes] | None:
    """Name, salt, generator and modulus; None where they make no sense."""
    fields: list[bytes] = []
    position = 0
    for _ in range(3):
        start = position + length_size
        if start > len(body):
            return None
        length = int.from_bytes(body[position:start], "big")
        position = start + length
        if position > len(body) or length > _LONGEST_FIELD:
            return None
        fields.append(body[start:position])
    name, salt, generator = fields
    modulus = body[position:]
    # A group is named whole or not at all, and a login without salt there is none.
    if not salt or bool(generator) != bool(modulus):
        return None
    return name, salt, generator, modulus


class Validator(NamedTuple):
    """One side's proof, and whether it will use the session key as the passphrase of what it sends."""

    proof: bytes
    use_session_key: bool = False

    def encode(self) -> bytes:
        """The body."""
        return _FLAGS.pack(_USE_SESSION_KEY if self.use_session_key else 0) + self.proof

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Read a validator; MalformedPacket is the only way to fail."""
        if len(body) < _FLAGS.size + _PROOF_SIZE:
            raise MalformedPacket("SRP validator is truncated")
        (flags,) = _FLAGS.unpack_from(body)
        return cls(body[_FLAGS.size : _FLAGS.size + _PROOF_SIZE], bool(flags & _USE_SESSION_KEY))


class PassphraseAnswer(NamedTuple):
    """The passphrase of what its author sends: the session key, or another one enciphered with that key."""

    ciphertext: bytes = b""
    use_session_key: bool = False
    wide_key: bool = True

    def encode(self) -> bytes:
        """The body."""
        if self.use_session_key:
            return bytes((_ANSWER_USE_SESSION_KEY,))
        return bytes((_ANSWER_WIDE_KEY if self.wide_key else 0,)) + self.ciphertext

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Read an answer; MalformedPacket is the only way to fail."""
        if not body:
            raise MalformedPacket("SRP passphrase answer is truncated")
        if body[0] & _ANSWER_USE_SESSION_KEY:
            return cls(b"", use_session_key=True)
        if len(body) < 2:
            raise MalformedPacket("SRP passphrase answer is empty")
        return cls(body[1:], wide_key=bool(body[0] & _ANSWER_WIDE_KEY))
