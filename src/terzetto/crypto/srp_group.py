"""The groups that SRP computes in: a large safe prime N and a generator g (RFC 5054, appendix A).

A server may name its own group, and a client that accepted any would let a false server pick one in which
logarithms are easy, and so test passwords at leisure against a single login. So strangers' groups are held to
sizes first, and then to the list.
"""

from __future__ import annotations

from typing import Final, Self

import attrs

__all__ = ["DEFAULT_GROUP", "RFC_5054_1024", "SrpError", "SrpGroup"]

_FEWEST_BITS: Final = 1024
_MOST_BITS: Final = 8192


class SrpError(Exception):
    """What the peer offers cannot be the work of an honest party: end the login. ``reason`` is a short phrase."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@attrs.frozen
class SrpGroup:
    """A modulus and a generator."""

    modulus: int
    generator: int

    @property
    def size(self) -> int:
        """Bytes in the modulus."""
        return (self.modulus.bit_length() + 7) // 8

    @classmethod
    def from_untrusted(cls, generator: bytes, modulus: bytes, *, allow_unknown: bool = False) -> Self:
        """A group that a peer named; SrpError unless it is one of RFC 5054's, or *allow_unknown* and sane."""
        if len(modulus) > _MOST_BITS // 8 or len(generator) > len(modulus):
            raise SrpError("SRP group is too large")
        group = cls(int.from_bytes(modulus, "big"), int.from_bytes(generator, "big"))
        if group.modulus.bit_length() < _FEWEST_BITS:
            raise SrpError("SRP group is too small")
        if not 1 < group.generator < group.modulus - 1 or not group.modulus & 1:
            raise SrpError("SRP group is degenerate")
        if not allow_unknown and group not in _KNOWN:
            raise SrpError("SRP group is not one of RFC 5054")
        return group


def _group(generator: int, modulus: str) -> SrpGroup:
    return SrpGroup(int(modulus.replace("\n", "").replace(" ", ""), 16), generator)


RFC_5054_1024: Final = _group(
    2,
    """
    EEAF0AB9ADB38DD69C33F80AFA8FC5E86072618775FF3C0B9EA2314C9C256576D674DF7496EA81D3383B4813D692C6E0
    E0D5D8E250B98BE48E495C1D6089DAD15DC7D7B46154D6B6CE8EF4AD69B15D4982559B297BCF1885C529F566660E57EC
    68EDBC3C05726CC02FD4CBF4976EAA9AFD5138FE8376435B9FC61D2FC0EB06E3
    """,
)

DEFAULT_GROUP: Final = _group(
    2,
    """
    AC6BDB41324A9A9BF166DE5E1389582FAF72B6651987EE07FC3192943DB56050A37329CBB4A099ED8193E0757767A13D
    D52312AB4B03310DCD7F48A9DA04FD50E8083969EDB767B0CF6095179A163AB3661A05FBD5FAAAE82918A9962F0B93B8
    55F97993EC975EEAA80D740ADBF4FF747359D041D5C33EA71D281E446B14773BCA97B43A23FB801676BD207A436C6481
    F1D2B9078717461A5B9D32E688F87748544523B524B0D57D5EA77A2775D2ECFA032CFBDBF52FB3786160279004E57AE6
    AF874E7303CE53299CCC041C7BC308D82A5698F3A8D0C38271AE35F8E9DBFBB694B5C803D89F7AE435DE236D525F5475
    9B65E372FCD68EF20FA7111F9E4AFF73
    """,
)
"""The 2048-bit group, which every RIST peer uses unless it says otherwise."""

_KNOWN: Final = frozenset({RFC_5054_1024, DEFAULT_GROUP})
