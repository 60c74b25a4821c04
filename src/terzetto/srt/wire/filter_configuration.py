"""The packet filter's configuration string: ``fec,cols:10,rows:5,layout:staircase,arq:onreq``.

It travels in the handshake. Either side may leave keys out; what both give must be equal, what neither gives has its
default, and the merged set must say ``cols``.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final

import attrs

from terzetto.primitives.fec import Layout

__all__ = [
    "FILTER_OVERHEAD",
    "MOST_PACKETS",
    "FilterArq",
    "FilterConflict",
    "FilterRequest",
    "FilterSettings",
]

FILTER_OVERHEAD: Final = 4
"""Bytes of a parity before its body; every packet of the connection may be so much shorter."""

MOST_PACKETS: Final = 16_384
"""Packets in a matrix. libsrt knows no limit; a peer must not choose how much memory we use."""

# A column's number travels in a byte that libsrt reads as signed, -1 being a row.
_MOST_COLUMNS: Final = 128

_DEFAULTS: Final = {"rows": "1", "layout": "staircase", "arq": "onreq"}
_KEYS: Final = ("arq", "cols", "layout", "rows")


class FilterConflict(ValueError):
    """A configuration that cannot be, or two that do not go together; the message says why."""


class FilterArq(Enum):
    """What becomes of a loss that the filter may still mend."""

    ALWAYS = "always"
    """It is reported at once, filter or not."""
    ONREQ = "onreq"
    """It is reported when the filter has given it up."""
    NEVER = "never"
    """It is not reported."""


@attrs.frozen(kw_only=True)
class FilterSettings:
    """A complete configuration."""

    columns: int
    rows: int
    """1 is parities of rows only, a negative number those of columns only."""
    is_staircase: bool
    arq: FilterArq

    def __str__(self) -> str:
        layout = "staircase" if self.is_staircase else "even"
        return f"fec,arq:{self.arq.value},cols:{self.columns},layout:{layout},rows:{self.rows}"

    @property
    def layout(self) -> Layout:
        """The matrix."""
        return Layout(
            columns=self.columns,
            rows=abs(self.rows),
            has_rows=self.rows > 0,
            has_columns=self.rows != 1,
            is_staircase=self.is_staircase,
        )


@attrs.frozen
class FilterRequest:
    """What one side says: a filter's type, and some or all of its keys."""

    kind: str
    values: Mapping[str, str] = attrs.field(factory=dict)

    @classmethod
    def parse(cls, text: str) -> FilterRequest:
        """Read the string; `FilterConflict` when it does not follow the grammar."""
        kind, *parts = text.split(",")
        if kind != "fec":
            raise FilterConflict(f"packet filter {text!r}: there is no filter {kind!r}, only 'fec'")
        values: dict[str, str] = {}
        for part in parts:
            key, colon, value = part.partition(":")
            if not colon or ":" in value or not value:
                raise FilterConflict(f"packet filter {text!r}: {part!r} is no key:value")
            if key not in _KEYS:
                raise FilterConflict(f"packet filter {text!r}: {key!r} is none of {', '.join(_KEYS)}")
            if key in values:
                raise FilterConflict(f"packet filter {text!r}: {key} comes twice")
            values[key] = value
        _check(values)
        return cls(kind, values)

    def __str__(self) -> str:
        return ",".join([self.kind, *(f"{key}:{self.values[key]}" for key in sorted(self.values))])

    def merged(self, theirs: FilterRequest) -> FilterRequest:
        """What both say together, complete; `FilterConflict` when they contradict each other."""
        for key in _KEYS:
            own, other = self.values.get(key), theirs.values.get(key)
            if own is not None and other is not None and own != other:
                raise FilterConflict(
                    f"the packet filters differ: {key} is {own} here and {other} at the peer"
                )
        request = FilterRequest(self.kind, {**_DEFAULTS, **self.values, **theirs.values})
        request.settings()
        return request

    def overruled(self, theirs: FilterRequest) -> FilterRequest:
        """What the answer says goes before what we asked for."""
        request = FilterRequest(self.kind, {**self.values, **theirs.values})
        request.settings()
        return request

    def settings(self) -> FilterSettings:
        """The configuration, defaults filled in; `FilterConflict` without ``cols``."""
        values = {**_DEFAULTS, **self.values}
        if "cols" not in values:
            raise FilterConflict(f"packet filter '{self}': neither side says cols, the packets of a row")
        columns, rows = int(values["cols"]), int(values["rows"])
        if columns * abs(rows) > MOST_PACKETS:
            raise FilterConflict(
                f"packet filter '{self}': a matrix of {columns * abs(rows)} packets, at most {MOST_PACKETS} can be"
            )
        if rows != 1 and columns > _MOST_COLUMNS:
            raise FilterConflict(
                f"packet filter '{self}': cols is {columns}, at most {_MOST_COLUMNS} where columns have parities"
            )
        return FilterSettings(
            columns=columns,
            rows=rows,
            is_staircase=values["layout"] == "staircase",
            arq=FilterArq(values["arq"]),
        )


def _check(values: Mapping[str, str]) -> None:
    if "cols" in values and _integer(values["cols"], "cols") < 2:
        raise FilterConflict(f"packet filter: cols is {values['cols']}, must be at least 2")
    if "rows" in values and -2 < _integer(values["rows"], "rows") < 1:
        raise FilterConflict(
            f"packet filter: rows is {values['rows']}, must be at least 1, or at most -2 for columns only"
        )
    if values.get("layout", "even") not in ("even", "staircase"):
        raise FilterConflict(f"packet filter: layout is {values['layout']!r}, must be 'even' or 'staircase'")
    if values.get("arq", "onreq") not in [each.value for each in FilterArq]:
        raise FilterConflict(f"packet filter: arq is {values['arq']!r}, must be 'always', 'onreq' or 'never'")


def _integer(text: str, key: str) -> int:
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 9):
        raise FilterConflict(f"packet filter: {key} is {text!r}, must be a whole number")
    return int(text)
