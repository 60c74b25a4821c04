"""SHA-256 with one thing changed: its eight words of state start at zero.

libRIST up to 0.2.7, as distributions build it, forgot to initialise a streaming digest, and so its password
hashes and login proofs are made with this. It is no weaker or stronger than it needs to be to talk to them: the
login itself rests on the discrete logarithm. Written out in Python because no library offers such a start; a
login hashes a dozen blocks of it.
"""

from __future__ import annotations

from struct import Struct
from typing import Final

__all__ = ["zero_state_sha256"]

_BLOCK: Final = 64
_WORDS: Final = Struct("!16I")
_STATE: Final = Struct("!8I")
_MASK: Final = 0xFFFF_FFFF


def _fractional_cube_roots() -> tuple[int, ...]:
    """The round constants of FIPS 180-4: 32 bits of the fractions of the cube roots of the first 64 primes."""
    constants: list[int] = []
    candidate = 2
    while len(constants) < 64:
        if all(candidate % divisor for divisor in range(2, candidate)):
            # The integer cube root of p * 2**96 is the cube root of p with 32 binary places.
            low, high = 0, 1 << 36
            while low < high:
                middle = (low + high + 1) // 2
                if middle**3 <= candidate << 96:
                    low = middle
                else:
                    high = middle - 1
            constants.append(low & _MASK)
        candidate += 1
    return tuple(constants)


_ROUND_CONSTANTS: Final = _fractional_cube_roots()


def _rotated(word: int, places: int) -> int:
    return (word >> places | word << (32 - places)) & _MASK


def _compress(state: tuple[int, ...], block: bytes) -> tuple[int, ...]:
    """FIPS 180-4, section 6.2.2, in its names."""
    schedule = list(_WORDS.unpack(block))
    for t in range(16, 64):
        before15, before2 = schedule[t - 15], schedule[t - 2]
        sigma0 = _rotated(before15, 7) ^ _rotated(before15, 18) ^ before15 >> 3
        sigma1 = _rotated(before2, 17) ^ _rotated(before2, 19) ^ before2 >> 10
        schedule.append((schedule[t - 16] + sigma0 + schedule[t - 7] + sigma1) & _MASK)
    a, b, c, d, e, f, g, h = state
    for constant, word in zip(_ROUND_CONSTANTS, schedule, strict=True):
        choice = e & f ^ ~e & _MASK & g
        majority = a & b ^ a & c ^ b & c
        temporary1 = h + (_rotated(e, 6) ^ _rotated(e, 11) ^ _rotated(e, 25)) + choice + constant + word
        temporary2 = (_rotated(a, 2) ^ _rotated(a, 13) ^ _rotated(a, 22)) + majority
        a, b, c, d, e, f, g, h = (temporary1 + temporary2) & _MASK, a, b, c, (d + temporary1) & _MASK, e, f, g
    return tuple((was + now) & _MASK for was, now in zip(state, (a, b, c, d, e, f, g, h), strict=True))


def zero_state_sha256(data: bytes, *, initial: tuple[int, ...] = (0,) * 8) -> bytes:
    """The digest of *data*; with FIPS 180-4's own *initial* words it is ordinary SHA-256."""
    padding = b"\x80" + bytes(-(len(data) + 9) % _BLOCK) + (8 * len(data)).to_bytes(8, "big")
    padded = data + padding
    state = initial
    for start in range(0, len(padded), _BLOCK):
        state = _compress(state, padded[start : start + _BLOCK])
    return _STATE.pack(*state)
