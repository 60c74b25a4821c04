"""NTP-64 time stamps, 32 bits of seconds since 1900 and 32 of fraction, and the units made from them.

The cores count in microseconds, so a time stamp is ``now`` plus an offset that was handed in. The seconds
wrap in February 2036; a time stamp is read as lying between 1968 and 2104, which is what its highest bit can
tell (RFC 4330, section 3).
"""

from __future__ import annotations

from typing import Final

from terzetto.primitives.time import MICROS_PER_SECOND, Micros

__all__ = [
    "NTP_UNIX_OFFSET_SECONDS",
    "delay_units",
    "micros_from_delay_units",
    "middle_32",
    "ntp_difference",
    "ntp_from_unix",
    "round_trip",
    "rtp_ticks",
    "unix_from_ntp",
]

NTP_UNIX_OFFSET_SECONDS: Final = 2_208_988_800
"""From the start of 1900 to the start of 1970."""

_MASK_32: Final = 0xFFFF_FFFF
_MASK_64: Final = 0xFFFF_FFFF_FFFF_FFFF


def ntp_from_unix(moment: Micros) -> int:
    """The NTP-64 time stamp of a moment given in microseconds since 1970, to the nearest 2^-32 s."""
    micros = moment + NTP_UNIX_OFFSET_SECONDS * MICROS_PER_SECOND
    return ((micros << 32) + MICROS_PER_SECOND // 2) // MICROS_PER_SECOND & _MASK_64


def unix_from_ntp(ntp: int) -> Micros:
    """Microseconds since 1970 at an NTP-64 time stamp."""
    if not ntp >> 63:  # era 1, which begins in 2036
        ntp += 1 << 64
    return _scale_down(ntp) - NTP_UNIX_OFFSET_SECONDS * MICROS_PER_SECOND


def ntp_difference(later: int, earlier: int) -> Micros:
    """Microseconds from *earlier* to *later*; negative when the names are wrong, right across a wrap."""
    return _scale_down(((later - earlier + (1 << 63)) & _MASK_64) - (1 << 63))


def middle_32(ntp: int) -> int:
    """The middle 32 bits of a time stamp, 1/65536 s: what LSR and LRR carry."""
    return ntp >> 16 & _MASK_32


def delay_units(delay: Micros) -> int:
    """*delay* in 1/65536 s, the unit of DLSR and DLRR; what does not fit the field is its nearest end."""
    return max(0, min(_MASK_32, (delay << 16) // MICROS_PER_SECOND))


def micros_from_delay_units(units: int) -> Micros:
    """Microseconds in *units* of 1/65536 s."""
    return units * MICROS_PER_SECOND >> 16


def round_trip(arrival_ntp: int, last_report: int, delay: int) -> Micros | None:
    """The round-trip time that LSR and DLSR (or LRR and DLRR) give: arrival - LSR - DLSR.

    None when there was no report yet, or when the sum is negative, as it is for forged and stale fields:
    taken as an unsigned number, such a sample would pin the estimate at its upper limit.
    """
    if not last_report:
        return None
    elapsed = (middle_32(arrival_ntp) - last_report - delay) & _MASK_32
    return None if elapsed >> 31 else micros_from_delay_units(elapsed)


def rtp_ticks(ntp: int, clock_rate: int) -> int:
    """The RTP timestamp of a clock that started with NTP time, as libRIST derives its own."""
    return ntp * clock_rate >> 32 & _MASK_32


def _scale_down(ntp: int) -> Micros:
    return (ntp * MICROS_PER_SECOND + (1 << 31)) >> 32
