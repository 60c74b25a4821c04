"""Range: from when to when to play (RFC 2326, section 12.29).

``npt`` counts seconds from the start of the presentation, ``smpte`` counts frames, ``clock`` is the date. Each end
may be open. Times are microseconds inside; SMPTE times stay what they are, since their frame rate is a matter of
the content.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final, TypeAlias

from attrs import frozen

from terzetto.errors import MalformedPacket
from terzetto.primitives.time import MICROS_PER_SECOND, Micros

__all__ = ["NOW", "ClockRange", "NptRange", "Range", "SmpteRange", "parse_range"]

NOW: Final = "now"
"""The live edge, in an npt range."""

_NPT_HMS: Final = re.compile(r"(\d{1,9}):(\d{1,2}):(\d{1,2}(?:\.\d*)?)")
_NPT_SECONDS: Final = re.compile(r"\d{1,12}(?:\.\d*)?|\.\d+")
_SMPTE_TIME: Final = re.compile(r"\d{1,3}:\d{1,2}:\d{1,2}(?::\d{1,3}(?:\.\d{1,3})?)?")
_CLOCK: Final = re.compile(r"(\d{8})T(\d{6})(?:\.(\d{1,9}))?Z")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_NptPoint: TypeAlias = "Micros | str | None"


@frozen
class NptRange:
    """Normal play time; ``start`` may be `NOW`. An open start with an end means the last so many seconds."""

    start: Micros | str | None = 0
    end: Micros | None = None
    when: Micros | None = None

    def __str__(self) -> str:
        return f"npt={_npt_text(self.start)}-{_npt_text(self.end)}{_when_text(self.when)}"


@frozen
class ClockRange:
    """Absolute time, in microseconds since 1970."""

    start: Micros
    end: Micros | None = None
    when: Micros | None = None

    def __str__(self) -> str:
        end = "" if self.end is None else _clock_text(self.end)
        return f"clock={_clock_text(self.start)}-{end}{_when_text(self.when)}"


@frozen
class SmpteRange:
    """Hours, minutes, seconds, frames and subframes, as written; ``unit`` is the frame rate's name."""

    start: str
    end: str | None = None
    unit: str = "smpte"
    when: Micros | None = None

    def __str__(self) -> str:
        return f"{self.unit}={self.start}-{self.end or ''}{_when_text(self.when)}"


Range: TypeAlias = NptRange | ClockRange | SmpteRange


def parse_range(text: str) -> Range:
    """Read a range of any unit; MalformedPacket is the only way to fail."""
    body, *parameters = (part.strip() for part in text.split(";"))
    when = None
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "time":
            when = _parse_clock(value.strip())
    unit, equals, span = body.partition("=")
    unit = unit.strip().lower()
    start, dash, end = (part.strip() for part in span.partition("-"))
    if not equals or not dash:
        raise MalformedPacket("Range has no span")
    if unit == "npt":
        return _parse_npt(start, end, when)
    if unit == "clock":
        return ClockRange(_parse_clock(start), _parse_clock(end) if end else None, when)
    if unit in ("smpte", "smpte-25", "smpte-30-drop"):
        for point in filter(None, (start, end)):
            if not _SMPTE_TIME.fullmatch(point):
                raise MalformedPacket("Range has a malformed SMPTE time")
        if not start:
            raise MalformedPacket("Range has no start")
        return SmpteRange(start, end or None, unit, when)
    raise MalformedPacket("Range has an unknown unit")


def _parse_npt(start: str, end: str, when: Micros | None) -> NptRange:
    if not start and not end:
        raise MalformedPacket("Range is open at both ends")
    first: Micros | str | None = None
    if start:
        first = NOW if start.lower() == NOW else _npt_micros(start)
    # "-now" occurs; the live edge as an end is no end at all.
    last = _npt_micros(end) if end and end.lower() != NOW else None
    return NptRange(first, last, when)


def _npt_micros(text: str) -> Micros:
    match = _NPT_HMS.fullmatch(text)
    if match is not None:
        whole = int(match[1]) * 3600 + int(match[2]) * 60
        return whole * MICROS_PER_SECOND + _decimal_micros(match[3])
    if not text.isascii() or not _NPT_SECONDS.fullmatch(text):
        raise MalformedPacket("Range has a malformed npt time")
    return _decimal_micros(text)


def _decimal_micros(text: str) -> Micros:
    whole, _, fraction = text.partition(".")
    return int(whole or 0) * MICROS_PER_SECOND + int((fraction + "000000")[:6])


def _npt_text(point: _NptPoint) -> str:
    if point is None or isinstance(point, str):
        return point or ""
    return f"{Decimal(point) / MICROS_PER_SECOND:f}"


def _parse_clock(text: str) -> Micros:
    match = _CLOCK.fullmatch(text)
    if match is None or not text.isascii():
        raise MalformedPacket("Range has a malformed date")
    try:
        moment = datetime.strptime(match[1] + match[2], "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        raise MalformedPacket("Range has an impossible date") from None
    fraction = int(((match[3] or "") + "000000")[:6])
    return (moment - _EPOCH) // timedelta(microseconds=1) + fraction


def _clock_text(moment: Micros) -> str:
    date = _EPOCH + timedelta(microseconds=moment)
    # Milliseconds are what ONVIF devices read; more digits only where they say something.
    fraction = f".{date.microsecond:06}".rstrip("0") if date.microsecond else ""
    return f"{date:%Y%m%dT%H%M%S}{fraction}Z"


def _when_text(when: Micros | None) -> str:
    return "" if when is None else f";time={_clock_text(when)}"
