"""MIKEY: the message that carries SRTP keys in RTSP (RFC 3830, 4567), with no encryption of its own.

::

    HDR    version | data type | next | V, PRF | CSB id | number of crypto sessions | map type 0
           for each session: policy | SSRC | rollover counter
    T      next | type | time                                  payload 5
    SP     next | policy | protocol | length | type, length, value ...      payload 10
    RAND   next | length | bytes                               payload 11
    KEMAC  next | encryption 0 | length | key data | MAC 0     payload 1

The keys stand in it readable: whoever sends it must have a connection that nobody else reads.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import Final, Self

from attrs import field, frozen

from terzetto.errors import MalformedPacket
from terzetto.rtp.srtp_keys import MasterKey, SrtpProfile

__all__ = ["CryptoSession", "Mikey"]

_HEADER: Final = Struct("!BBBBIBB")
_SESSION: Final = Struct("!BII")
_POLICY: Final = Struct("!BBBH")
_KEMAC: Final = Struct("!BBH")
_KEY: Final = Struct("!BBH")

_VERSION: Final = 1
_PRE_SHARED: Final = 0
_SRTP_ID_MAP: Final = 0
_SRTP: Final = 0
_NTP_UTC: Final = 0
_TEK: Final = 2
_KEY_WITH_SALT: Final = 3  # RFC 3830, 6.13: traffic key with a salt of its own behind it
_LAST, _KEMAC_TYPE, _TIME_TYPE, _POLICY_TYPE, _RAND_TYPE = 0, 1, 5, 10, 11
_TIME_SIZE: Final = {0: 8, 1: 8, 2: 4}

_ENCRYPTION, _KEY_LENGTH, _TAG_LENGTH, _AEAD_TAG_LENGTH = 0, 1, 11, 20
_NULL, _AES_CM, _AES_GCM = 0, 1, 6
_RAND_SIZE: Final = 16

_SESSION_LIMIT: Final = 64
_SIZE_LIMIT: Final = 8192


@frozen
class CryptoSession:
    """One source of packets under the key: who it is, and how often its sequence numbers have wrapped."""

    ssrc: int
    rollover: int = 0
    policy: int = 0


@frozen(kw_only=True)
class Mikey:
    """A key, and the sources it is for; without sources, or with SSRC 0, it is for any."""

    key: MasterKey
    sessions: tuple[CryptoSession, ...] = ()
    bundle: int = 0
    """The identifier of the message's crypto session bundle, drawn at random."""
    time: int = 0
    """When it was made, in NTP's format."""
    nonce: bytes = field(default=bytes(_RAND_SIZE), repr=False)

    @property
    def rollovers(self) -> dict[int, int]:
        """The rollover counters of the sources that are named."""
        return {session.ssrc: session.rollover for session in self.sessions if session.ssrc}

    def encode(self) -> bytes:
        """The message, in the order that every peer reads."""
        profile = self.key.profile
        parts = [
            _HEADER.pack(_VERSION, _PRE_SHARED, _TIME_TYPE, 0, self.bundle, len(self.sessions), _SRTP_ID_MAP),
            *(_SESSION.pack(each.policy, each.ssrc, each.rollover) for each in self.sessions),
            bytes((_RAND_TYPE, _NTP_UTC)) + self.time.to_bytes(8, "big"),
            bytes((_POLICY_TYPE, len(self.nonce))) + self.nonce,
        ]
        parameters = b"".join(bytes((kind, 1, value)) for kind, value in _policy_of(profile))
        parts.append(_POLICY.pack(_KEMAC_TYPE, 0, _SRTP, len(parameters)) + parameters)
        mki = self.key.mki
        data = self.key.to_bytes()
        key = _KEY.pack(0, _TEK << 4 | bool(mki), len(data)) + data
        if mki:
            key += bytes((len(mki),)) + mki
        parts.append(_KEMAC.pack(_LAST, _NULL, len(key)) + key + b"\0")
        return b"".join(parts)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Parse bytes from the network; MalformedPacket is the only way to fail."""
        if len(data) > _SIZE_LIMIT:
            raise MalformedPacket("MIKEY message is too long")
        reader = _Reader(data)
        version, data_type, following, _, bundle, count, map_type = reader.unpack(_HEADER)
        if version != _VERSION or data_type != _PRE_SHARED or map_type != _SRTP_ID_MAP:
            raise MalformedPacket("MIKEY message is of a version or type that nobody uses for SRTP")
        if count > _SESSION_LIMIT:
            raise MalformedPacket("MIKEY message has too many crypto sessions")
        sessions = []
        for _ in range(count):
            policy, ssrc, rollover = reader.unpack(_SESSION)
            sessions.append(CryptoSession(ssrc, rollover, policy))
        payloads = _Payloads()
        while following != _LAST:
            following = payloads.take(following, reader)
        # Milestone's cameras put one byte more behind it.
        if reader.rest not in (b"", b"\0"):
            raise MalformedPacket("MIKEY message goes on after its last payload")
        if payloads.key is None:
            raise MalformedPacket("MIKEY message has no key")
        data, mki = payloads.key
        return cls(
            key=_master_key(payloads.policy, data, mki),
            sessions=tuple(sessions),
            bundle=bundle,
            time=payloads.time,
            nonce=payloads.nonce,
        )


def _policy_of(profile: SrtpProfile) -> Iterator[tuple[int, int]]:
    """The security policy of a profile: numbers and values of its parameters."""
    yield _ENCRYPTION, _AES_GCM if profile.is_gcm else _AES_CM
    yield _KEY_LENGTH, profile.key_size
    if not profile.is_gcm:
        yield 2, 1  # HMAC-SHA1
        yield 3, 20  # with a key of twenty bytes
    yield 7, 1  # SRTP and
    yield 8, 1  # SRTCP are enciphered
    if profile.is_gcm:
        yield _AEAD_TAG_LENGTH, profile.rtp_tag_size
    else:
        yield 10, 1  # SRTP is authenticated
        yield _TAG_LENGTH, profile.rtp_tag_size


def _profile_from(policy: dict[int, int], key_and_salt: int) -> SrtpProfile:
    """Which profile a policy describes; what it leaves unsaid is RFC 3830's default, or seen from the key."""
    if not (policy.get(7, 1) and policy.get(8, 1)):
        raise MalformedPacket("MIKEY message wants SRTP without encryption")
    if not policy.get(10, 1):
        raise MalformedPacket("MIKEY message wants SRTP without authentication")
    cipher = policy.get(_ENCRYPTION, _AES_CM)
    for profile in SrtpProfile:
        wanted = _AES_GCM if profile.is_gcm else _AES_CM
        tag = policy.get(_AEAD_TAG_LENGTH if profile.is_gcm else _TAG_LENGTH, 16 if profile.is_gcm else 10)
        sizes = profile.key_size + profile.salt_size, profile.rtp_tag_size
        if cipher == wanted and sizes == (key_and_salt, tag):
            return profile
    raise MalformedPacket(
        f"MIKEY message wants cipher {cipher} with a key of {key_and_salt} bytes, unknown here"
    )


def _master_key(policy: dict[int, int], data: bytes, mki: bytes) -> MasterKey:
    profile = _profile_from(policy, len(data))
    return MasterKey.from_bytes(profile, data, mki)


class _Reader:
    """Takes bytes from the front; MalformedPacket when they run out."""

    def __init__(self, data: bytes) -> None:
        self.rest = data

    def take(self, size: int) -> bytes:
        if len(self.rest) < size:
            raise MalformedPacket("MIKEY message is truncated")
        taken, self.rest = self.rest[:size], self.rest[size:]
        return taken

    def unpack(self, layout: Struct) -> tuple[int, ...]:
        return layout.unpack(self.take(layout.size))


class _Payloads:
    """What the payloads behind the header say, in whatever order they come."""

    def __init__(self) -> None:
        self.time = 0
        self.nonce = b""
        self.policy: dict[int, int] = {}
        self.key: tuple[bytes, bytes] | None = None

    def take(self, kind: int, reader: _Reader) -> int:
        """Read one payload; the kind of the next."""
        if kind == _KEMAC_TYPE:
            return self._take_key(reader)
        if kind == _POLICY_TYPE:
            return self._take_policy(reader)
        following, value = reader.take(2)
        if kind == _TIME_TYPE:
            size = _TIME_SIZE.get(value)
            if size is None:
                raise MalformedPacket("MIKEY message has a time of unknown type")
            self.time = int.from_bytes(reader.take(size), "big")
        elif kind == _RAND_TYPE:
            self.nonce = reader.take(value)
        else:
            # Its length cannot be known, so neither can what follows.
            raise MalformedPacket(f"MIKEY message has a payload of unknown type {kind}")
        return following

    def _take_policy(self, reader: _Reader) -> int:
        following, _, protocol, size = reader.unpack(_POLICY)
        parameters = _Reader(reader.take(size))
        if protocol != _SRTP:
            raise MalformedPacket("MIKEY message is for something other than SRTP")
        while parameters.rest:
            kind, length = parameters.take(2)
            self.policy[kind] = int.from_bytes(parameters.take(length), "big")
        return following

    def _take_key(self, reader: _Reader) -> int:
        following, encryption, size = reader.unpack(_KEMAC)
        keys = _Reader(reader.take(size))
        if encryption != _NULL or reader.take(1) != b"\0":
            raise MalformedPacket("MIKEY message is enciphered or signed with a key of its own")
        if self.key is not None:
            raise MalformedPacket("MIKEY message has more than one key")
        another, kind, length = keys.unpack(_KEY)
        if another:
            raise MalformedPacket("MIKEY message has more than one key")
        data = keys.take(length)
        if kind >> 4 == _KEY_WITH_SALT:
            data += keys.take(int.from_bytes(keys.take(2), "big"))
        elif kind >> 4 != _TEK:
            raise MalformedPacket("MIKEY message has a key that is none for traffic")
        mki = b""
        if kind & 0x0F == 1:
            mki = keys.take(keys.take(1)[0])
        self.key = data, mki
        return following
