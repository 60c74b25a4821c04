"""SRP-6a: two sides prove that they know a password, or its verifier, without showing it (RFC 5054, TR-06-2).

::

    x  = H( salt | Hi( user | ":" | password ) )       v = g^x
    k  = H( P(N) | P(g) )                              u = H( P(A) | P(B) )
    A  = g^a                                           B = k v + g^b
    S  = (A v^u)^b = (B - k g^x)^(a + u x)             K = H( S )
    M1 = Hi( H(N) xor H(g) | H(user) | salt | A | B | K )
    M2 = Hi( A | M1 | K )

H is SHA-256. RIST peers in the field disagree on P and Hi, so there are dialects:

============== ====================== ==================== ==========================================
dialect        P                      Hi                   who speaks it
============== ====================== ==================== ==========================================
`PADDED`       pad to N's length      SHA-256              libRIST from 0.2.16 (EAPOL version 3)
`UNPADDED`     as short as can be     SHA-256              libRIST 0.2.8 to 0.2.15 (version 3); builds
                                                           with Nettle that speak version 2
`ZERO_STATE`   as short as can be     SHA-256 from zeros   libRIST to 0.2.7 with mbedTLS (version 2),
                                                           which is what distributions ship
============== ====================== ==================== ==========================================

Everything that is not padded is written as short as can be, the salt included. Python's integers take time that
depends on their values; that this leaks something to who can time a login very closely is accepted, since an
exponent serves for one login only and x enters no server's arithmetic.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable
from hashlib import sha256
from typing import Final, TypeAlias

import attrs

from terzetto.crypto.srp_group import DEFAULT_GROUP, SrpError, SrpGroup
from terzetto.crypto.zero_state_sha import zero_state_sha256

__all__ = [
    "PADDED",
    "PRIVATE_SIZE",
    "PROOF_SIZE",
    "SALT_SIZE",
    "UNPADDED",
    "ZERO_STATE",
    "SrpClient",
    "SrpDialect",
    "SrpError",
    "SrpServer",
    "make_verifier",
]

PRIVATE_SIZE: Final = 32
"""Random bytes that each side's private exponent takes, fresh for each login."""

SALT_SIZE: Final = 32
PROOF_SIZE: Final = 32
_LARGEST_SALT: Final = 64

Digest: TypeAlias = Callable[[bytes], bytes]


def _sha256(data: bytes) -> bytes:
    return sha256(data).digest()


@attrs.frozen
class SrpDialect:
    """How a peer hashes: see the module's table."""

    name: str
    padded: bool
    credential_digest: Digest = attrs.field(repr=False)
    """Hi: the password's hash and both proofs."""
    digest: Digest = attrs.field(default=_sha256, repr=False)
    """H: everything else."""


PADDED: Final = SrpDialect("padded", padded=True, credential_digest=_sha256)
UNPADDED: Final = SrpDialect("unpadded", padded=False, credential_digest=_sha256)
ZERO_STATE: Final = SrpDialect("zero-state", padded=False, credential_digest=zero_state_sha256)


def _minimal(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


class _Arithmetic:
    """The formulas in one group and dialect."""

    __slots__ = ("_credential_digest", "_digest", "_pad_to", "group")

    def __init__(self, group: SrpGroup, dialect: SrpDialect) -> None:
        self.group = group
        self._pad_to = group.size if dialect.padded else 0
        self._digest = dialect.digest
        self._credential_digest = dialect.credential_digest

    def _hash_pair(self, first: int, second: int) -> int:
        parts = (_minimal(first).rjust(self._pad_to, b"\0"), _minimal(second).rjust(self._pad_to, b"\0"))
        return int.from_bytes(self._digest(b"".join(parts)), "big")

    def x(self, username: bytes, password: bytes, salt: bytes) -> int:
        credentials = self._credential_digest(username + b":" + password)
        return int.from_bytes(self._digest(salt.lstrip(b"\0") + credentials), "big")

    def k(self) -> int:
        return self._hash_pair(self.group.modulus, self.group.generator)

    def u(self, client_key: int, server_key: int) -> int:
        scrambler = self._hash_pair(client_key, server_key)
        if scrambler % self.group.modulus == 0:
            raise SrpError("SRP scrambler is zero")
        return scrambler

    def session_key(self, secret: int) -> bytes:
        return self._digest(_minimal(secret))

    def client_proof(self, username: bytes, salt: bytes, keys: bytes, session_key: bytes) -> bytes:
        n = int.from_bytes(self._digest(_minimal(self.group.modulus)), "big")
        g = self._digest(_minimal(self.group.generator))
        mixed = (n ^ int.from_bytes(g, "big")).to_bytes(len(g), "big")
        parts = (mixed, self._digest(username), salt.lstrip(b"\0"), keys, session_key)
        return self._credential_digest(b"".join(parts))

    def server_proof(self, client_key: bytes, client_proof: bytes, session_key: bytes) -> bytes:
        return self._credential_digest(client_key + client_proof + session_key)

    def public_key_from_untrusted(self, data: bytes) -> int:
        """A peer's A or B: not nothing, no longer than N, and no multiple of it, which would fix the secret."""
        if not data or len(data) > self.group.size:
            raise SrpError("SRP public key has an impossible length")
        key = int.from_bytes(data, "big")
        if key % self.group.modulus == 0:
            raise SrpError("SRP public key is zero")
        return key


def _private(data: bytes) -> int:
    if len(data) < PRIVATE_SIZE:
        raise ValueError(f"an SRP private exponent takes {PRIVATE_SIZE} random bytes, not {len(data)}")
    return int.from_bytes(data, "big")


def _check_salt(salt: bytes) -> None:
    if not 0 < len(salt) <= _LARGEST_SALT:
        raise SrpError("SRP salt has an impossible length")


def make_verifier(
    username: bytes, password: bytes, salt: bytes, *, dialect: SrpDialect, group: SrpGroup = DEFAULT_GROUP
) -> int:
    """What a server keeps instead of the password; `PADDED` and `UNPADDED` share theirs."""
    return pow(group.generator, _Arithmetic(group, dialect).x(username, password, salt), group.modulus)


class SrpClient:
    """The side that knows the password; good for one login.

    *private* is `PRIVATE_SIZE` random bytes.
    """

    def __init__(
        self,
        username: bytes,
        password: bytes,
        salt: bytes,
        *,
        private: bytes,
        dialect: SrpDialect,
        group: SrpGroup = DEFAULT_GROUP,
    ) -> None:
        _check_salt(salt)
        self._arithmetic = _Arithmetic(group, dialect)
        self._username = username
        self._salt = salt
        self._x = self._arithmetic.x(username, password, salt)
        self._a = _private(private)
        self._public = pow(group.generator, self._a, group.modulus)
        self._expected = b""
        self.session_key = b""
        """K, once `prove` has run; not to be used before `accepts` said yes."""

    @property
    def public_key(self) -> bytes:
        """A, for the server."""
        return _minimal(self._public)

    def prove(self, server_key_untrusted: bytes) -> bytes:
        """M1, which only who knows the password can make; SrpError where the server's B is degenerate."""
        arithmetic, group = self._arithmetic, self._arithmetic.group
        server_key = arithmetic.public_key_from_untrusted(server_key_untrusted)
        u = arithmetic.u(self._public, server_key)
        base = server_key - arithmetic.k() * pow(group.generator, self._x, group.modulus)
        secret = pow(base % group.modulus, self._a + u * self._x, group.modulus)
        self.session_key = arithmetic.session_key(secret)
        keys = self.public_key + _minimal(server_key)
        proof = arithmetic.client_proof(self._username, self._salt, keys, self.session_key)
        self._expected = arithmetic.server_proof(self.public_key, proof, self.session_key)
        return proof

    def accepts(self, server_proof_untrusted: bytes) -> bool:
        """Whether the server's M2 shows that it knows the verifier."""
        return bool(self._expected) and hmac.compare_digest(server_proof_untrusted, self._expected)


class SrpServer:
    """The side that knows the verifier; good for one login.

    *private* is `PRIVATE_SIZE` random bytes.
    """

    def __init__(
        self,
        username: bytes,
        verifier: int,
        salt: bytes,
        *,
        private: bytes,
        dialect: SrpDialect,
        group: SrpGroup = DEFAULT_GROUP,
    ) -> None:
        _check_salt(salt)
        if verifier % group.modulus == 0:
            raise SrpError("SRP verifier is zero")
        self._arithmetic = _Arithmetic(group, dialect)
        self._dialect = dialect
        self._username = username
        self._verifier = verifier
        self._salt = salt
        self._b = _private(private)
        public = self._arithmetic.k() * verifier + pow(group.generator, self._b, group.modulus)
        self._public = public % group.modulus
        if not self._public:
            raise SrpError("SRP public key is zero")
        self._client_key = b""
        self.session_key = b""
        """K, once the client's key is known; not to be used before `accepts` said yes."""
        self.proof = b""
        """M2, for the client, once `accepts` said yes."""

    @property
    def public_key(self) -> bytes:
        """B, for the client."""
        return _minimal(self._public)

    def take_client_key(self, client_key_untrusted: bytes) -> None:
        """Learn the client's A; SrpError where it is degenerate, which would let anybody in."""
        arithmetic, group = self._arithmetic, self._arithmetic.group
        client_key = arithmetic.public_key_from_untrusted(client_key_untrusted)
        u = arithmetic.u(client_key, self._public)
        secret = pow(client_key * pow(self._verifier, u, group.modulus), self._b, group.modulus)
        self._client_key = _minimal(client_key)
        self.session_key = arithmetic.session_key(secret)

    def accepts(self, client_proof_untrusted: bytes, *, also: Iterable[SrpDialect] = ()) -> bool:
        """Whether the client's M1 shows that it knows the password.

        The proof's digest is the one part of a dialect that enters nothing before it, so proofs in the manner of
        the dialects *also* named are accepted, and answered in kind.
        """
        if not self._client_key:
            return False
        for dialect in (self._dialect, *also):
            arithmetic = _Arithmetic(self._arithmetic.group, dialect)
            keys = self._client_key + self.public_key
            expected = arithmetic.client_proof(self._username, self._salt, keys, self.session_key)
            if hmac.compare_digest(client_proof_untrusted, expected):
                self.proof = arithmetic.server_proof(self._client_key, expected, self.session_key)
                return True
        return False
