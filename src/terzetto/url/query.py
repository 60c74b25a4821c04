"""Typed reading of a URL's query, by which classes of options take their values from it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Final, NoReturn, TypeVar

from terzetto.errors import InvalidUrl
from terzetto.url.endpoint import EndpointUrl, is_secret
from terzetto.url.parse import NAME_PATTERN

__all__ = ["QueryReader"]

T = TypeVar("T")

_BOOLEANS: Final = {
    **dict.fromkeys(("1", "yes", "on", "true"), True),
    **dict.fromkeys(("0", "no", "off", "false"), False),
}


class QueryReader:
    """Takes parameters out of a URL one by one; each is None where the URL does not have it.

    After the last one `finish` refuses the parameters that nobody asked for::

        reader = QueryReader(url)
        buffer = reader.milliseconds("buffer", lo=50, hi=30_000)   # seconds, as options are
        profile = reader.choice("profile", {"simple": 0, "0": 0, "main": 1, "1": 1})
        reader.finish()
    """

    def __init__(self, url: EndpointUrl) -> None:
        self._scheme: Final = url.scheme
        self._values: Final = dict(url.query)
        self._known: Final[set[str]] = set()

    def text(self, name: str, *, max_bytes: int | None = None) -> str | None:
        """The value as it is, of at most *max_bytes* in UTF-8."""
        value = self._take(name)
        if value is not None and max_bytes is not None and len(value.encode()) > max_bytes:
            _refuse(name, value, f"it may have {max_bytes} bytes at most", hide=True)
        return value

    def integer(self, name: str, lo: int | None = None, hi: int | None = None) -> int | None:
        """A whole number from *lo* to *hi*, both included."""
        value = self._take(name)
        if value is None:
            return None
        digits = value.removeprefix("-")
        # A number of thousands of digits would only be refused by int() after much work.
        if not (digits.isascii() and digits.isdigit() and len(digits) < 20):
            _refuse(name, value, "write a whole number" + _range(lo, hi))
        number = int(value)
        if not _within(number, lo, hi):
            _refuse(name, value, "write a whole number" + _range(lo, hi))
        return number

    def number(self, name: str, lo: float | None = None, hi: float | None = None) -> float | None:
        """A number, with or without a fraction, from *lo* to *hi*, both included."""
        return self._number(name, lo, hi, "write a number")

    def milliseconds(self, name: str, lo: float | None = None, hi: float | None = None) -> float | None:
        """A duration written in milliseconds, as seconds; the limits are in milliseconds."""
        duration = self._number(name, lo, hi, "write milliseconds")
        return None if duration is None else duration / 1000

    def boolean(self, name: str) -> bool | None:
        """A switch: 1, yes, on, true or 0, no, off, false."""
        value = self._take(name)
        if value is None:
            return None
        if value.lower() not in _BOOLEANS:
            _refuse(name, value, "write 1 or 0 (yes, on, true and no, off, false will do)")
        return _BOOLEANS[value.lower()]

    def choice(self, name: str, choices: Mapping[str, T]) -> T | None:
        """One of several words, as what it stands for."""
        value = self._take(name)
        if value is None:
            return None
        if value not in choices:
            _refuse(name, value, f"write one of {', '.join(choices)}")
        return choices[value]

    def finish(self) -> None:
        """Refuse parameters that nobody asked for, naming the nearest that exists."""
        previous = ""
        for name in self._values:
            if name not in self._known:
                self._fail_unknown(name, previous)
            previous = name

    def _take(self, name: str) -> str | None:
        self._known.add(name)
        return self._values.get(name)

    def _number(self, name: str, lo: float | None, hi: float | None, hint: str) -> float | None:
        value = self._take(name)
        if value is None:
            return None
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not math.isfinite(number) or not _within(number, lo, hi):
            _refuse(name, value, hint + _range(lo, hi))
        return number

    def _fail_unknown(self, name: str, previous: str) -> NoReturn:
        close = get_close_matches(name.lower(), sorted(self._known), 1, cutoff=0.7)
        if close and NAME_PATTERN.fullmatch(name):
            raise InvalidUrl(
                f"{self._scheme} URLs have no parameter {name!r}", hint=f"did you mean {close[0]}=?"
            )
        if is_secret(previous) or not NAME_PATTERN.fullmatch(name):
            # Perhaps the rest of a secret with a '&' in it, so it is not shown.
            after = f" (the one after {previous!r})" if previous in self._known else ""
            raise InvalidUrl(
                f"{self._scheme} URLs have no such parameter{after}",
                hint="write an '&' inside a value as %26",
            )
        known = ", ".join(sorted(self._known))
        raise InvalidUrl(f"{self._scheme} URLs have no parameter {name!r}", hint=f"there are {known}")


def _within(number: float, lo: float | None, hi: float | None) -> bool:
    return (lo is None or number >= lo) and (hi is None or number <= hi)


def _range(lo: float | None, hi: float | None) -> str:
    if lo is not None and hi is not None:
        return f" from {lo} to {hi}"
    if lo is not None:
        return f" of at least {lo}"
    return f" of at most {hi}" if hi is not None else ""


def _refuse(name: str, value: str, hint: str, *, hide: bool = False) -> NoReturn:
    shown = "" if hide or is_secret(name) else f"={value[:40]}"
    raise InvalidUrl(f"the parameter {name}{shown} cannot be", hint=hint)
