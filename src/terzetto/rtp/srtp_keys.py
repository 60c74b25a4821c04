"""The keys of SRTP: what the two ends agree upon, and what each packet is sealed with (RFC 3711, 6188, 7714).

A *master* key and salt are agreed upon elsewhere (MIKEY, SDES). Six *session* keys are derived from them, three for
RTP and three for RTCP, by running AES in counter mode over the number of the key wanted.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from attrs import field, frozen

from terzetto.crypto.aes_ctr import AesCtr
from terzetto.errors import InvalidOption

__all__ = ["MasterKey", "SessionKeys", "SrtpProfile", "derive_session_keys"]


class SrtpProfile(Enum):
    """A named choice of cipher and sizes: key, salt, tag of RTP, tag of RTCP, and whether it is AES-GCM."""

    AES_CM_128_HMAC_SHA1_80 = (16, 14, 10, 10, False)
    # Short tags are for media alone: a forged report does more harm than a forged packet (RFC 4568, 6.2.2).
    AES_CM_128_HMAC_SHA1_32 = (16, 14, 4, 10, False)
    AES_256_CM_HMAC_SHA1_80 = (32, 14, 10, 10, False)
    AES_256_CM_HMAC_SHA1_32 = (32, 14, 4, 10, False)
    AEAD_AES_128_GCM = (16, 12, 16, 16, True)
    AEAD_AES_256_GCM = (32, 12, 16, 16, True)

    @property
    def key_size(self) -> int:
        """Bytes of the master key, and of the session keys that encipher."""
        return self.value[0]

    @property
    def salt_size(self) -> int:
        """Bytes of the master salt."""
        return self.value[1]

    @property
    def rtp_tag_size(self) -> int:
        """Bytes that a media packet grows by."""
        return self.value[2]

    @property
    def rtcp_tag_size(self) -> int:
        """Bytes that a compound of reports grows by, besides its index."""
        return self.value[3]

    @property
    def is_gcm(self) -> bool:
        """Whether one operation enciphers and authenticates."""
        return self.value[4]


_LONGEST_MKI: Final = 128  # RFC 4568, 6.1; in the field it has one to four bytes


@frozen
class MasterKey:
    """Key and salt of one direction, and the identifier that packets name it by, where they do."""

    profile: SrtpProfile
    key: bytes = field(repr=False)
    salt: bytes = field(repr=False)
    mki: bytes = b""

    def __attrs_post_init__(self) -> None:
        wanted = self.profile.key_size, self.profile.salt_size
        if (len(self.key), len(self.salt)) != wanted:
            raise InvalidOption(
                f"an SRTP key for {self.profile.name} has {len(self.key)} bytes and its salt {len(self.salt)}, "
                f"must have {wanted[0]} and {wanted[1]}"
            )
        if len(self.mki) > _LONGEST_MKI:
            raise InvalidOption(f"an MKI has {len(self.mki)} bytes, must have at most {_LONGEST_MKI}")

    @classmethod
    def from_bytes(cls, profile: SrtpProfile, data: bytes, mki: bytes = b"") -> MasterKey:
        """Key and salt in one piece, as they travel."""
        return cls(profile, data[: profile.key_size], data[profile.key_size :], mki)

    def to_bytes(self) -> bytes:
        """Key and salt in one piece."""
        return self.key + self.salt


@frozen
class SessionKeys:
    """What one half of a session, RTP or RTCP, is sealed with."""

    cipher: bytes = field(repr=False)
    authentication: bytes = field(repr=False)
    salt: bytes = field(repr=False)


_AUTHENTICATION_KEY_SIZE: Final = 20
_RTP_LABEL: Final = 0
_RTCP_LABEL: Final = 3


def derive_session_keys(master: MasterKey) -> tuple[SessionKeys, SessionKeys]:
    """The keys of RTP, and the keys of RTCP; the key derivation rate is zero, as everywhere."""
    # The salt stands at bit 16 of the counter block, whether it has 14 bytes or, for GCM, 12 and two zeros.
    salt = int.from_bytes(master.salt.ljust(14, b"\0"), "big") << 16
    apply = AesCtr(master.key).apply

    def derive(label: int, size: int) -> bytes:
        return apply((salt ^ label << 64).to_bytes(16, "big"), bytes(size))

    def derive_three(first: int) -> SessionKeys:
        return SessionKeys(
            cipher=derive(first, master.profile.key_size),
            authentication=derive(first + 1, _AUTHENTICATION_KEY_SIZE),
            salt=derive(first + 2, master.profile.salt_size),
        )

    return derive_three(_RTP_LABEL), derive_three(_RTCP_LABEL)
