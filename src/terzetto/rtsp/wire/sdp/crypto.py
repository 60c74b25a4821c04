"""``a=crypto``: an SRTP key in the description itself (RFC 4568).

::

    a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:base64[|lifetime][|MKI:length] [parameters]

It is as readable as the description: acceptable only where the connection is enciphered.
"""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from typing import Final, Self

from attrs import frozen

from terzetto.errors import InvalidOption, MalformedPacket
from terzetto.rtp.srtp_keys import MasterKey, SrtpProfile

__all__ = ["Crypto"]

_ALIASES: Final = {
    "AES_256_CM_HMAC_SHA1_80": SrtpProfile.AES_256_CM_HMAC_SHA1_80,
    "AES_256_CM_HMAC_SHA1_32": SrtpProfile.AES_256_CM_HMAC_SHA1_32,
    "AES_CM_256_HMAC_SHA1_80": SrtpProfile.AES_256_CM_HMAC_SHA1_80,
    "AES_CM_256_HMAC_SHA1_32": SrtpProfile.AES_256_CM_HMAC_SHA1_32,
    **{profile.name: profile for profile in SrtpProfile},
}
_REFUSED: Final = frozenset({"UNENCRYPTED_SRTP", "UNAUTHENTICATED_SRTP", "UNENCRYPTED_SRTCP"})


@frozen
class Crypto:
    """One offered key, and the tag that an answer would name it by."""

    key: MasterKey
    tag: int = 1

    @classmethod
    def parse(cls, value: str) -> Self:
        """Read the attribute; MalformedPacket when it is damaged, or of a suite we do not speak."""
        words = value.split()
        if len(words) < 3 or not words[0].isascii() or not words[0].isdigit() or len(words[0]) > 9:
            raise MalformedPacket("crypto attribute is truncated")
        profile = _ALIASES.get(words[1].upper())
        if profile is None:
            raise MalformedPacket(f"crypto suite {words[1][:40]} is not known")
        if _REFUSED & {word.upper() for word in words[3:]}:
            raise MalformedPacket("crypto attribute wants SRTP without its protection")
        # Of several keys the first is the one in use.
        method, _, info = words[2].partition(":")
        if method.lower() != "inline":
            raise MalformedPacket("crypto attribute has no inline key")
        data, *rest = info.split(";")[0].split("|")
        mki = next((_mki(text) for text in rest if ":" in text), b"")
        try:
            return cls(MasterKey.from_bytes(profile, b64decode(data, validate=True), mki), int(words[0]))
        except (binascii.Error, ValueError, InvalidOption) as exc:
            raise MalformedPacket("crypto attribute has a key of a wrong size") from exc

    def __str__(self) -> str:
        mki = self.key.mki
        suffix = f"|{int.from_bytes(mki, 'big')}:{len(mki)}" if mki else ""
        return f"{self.tag} {self.key.profile.name} inline:{b64encode(self.key.to_bytes()).decode()}{suffix}"


def _mki(text: str) -> bytes:
    number, _, length = text.partition(":")
    for each in (number, length):
        if not (each.isascii() and each.isdigit() and len(each) <= 40):
            raise MalformedPacket("crypto attribute has an odd MKI")
    size = int(length)
    if not 1 <= size <= 128 or int(number) >= 1 << 8 * size:
        raise MalformedPacket("crypto attribute has an odd MKI")
    return int(number).to_bytes(size, "big")
