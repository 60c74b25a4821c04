"""Which forward error correction to run beside a RIST flow, and what the standards allow.

Written as ``cols:10,rows:5``, with the words that SRT's packet filter uses for the same things; ``rows:1`` sums up
rows only, ``rows:-5`` columns of five only. ``layout:staircase`` lets each column begin a row below the one before.
``standard:2022-5`` takes that header instead of ST 2022-1's. ``carriage:tunnel`` keeps the parities of the Main profile
in its tunnel where they would go to ports of their own, and ``carriage:ports`` the other way round.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import attrs

from terzetto.errors import InvalidOption
from terzetto.primitives.fec import Layout

__all__ = ["LIMITS", "FecCarriage", "FecLayout", "FecLimits", "FecStandard", "RistFec"]

FecStandard: TypeAlias = Literal["2022-1", "2022-5"]
FecLayout: TypeAlias = Literal["even", "staircase"]
FecCarriage: TypeAlias = Literal["auto", "ports", "tunnel"]


@attrs.frozen(kw_only=True)
class FecLimits:
    """The matrices of one standard."""

    standard: FecStandard
    most_columns: int
    fewest_columns_with_rows: int
    fewest_rows: int
    most_rows: int
    most_packets: int

    def allow_row(self, columns: int) -> bool:
        """Whether a row may be as long."""
        return self.fewest_columns_with_rows <= columns <= self.most_columns

    def allow_column(self, columns: int, rows: int) -> bool:
        """Whether a column may be as long, in a matrix as wide."""
        return (
            1 <= columns <= self.most_columns
            and self.fewest_rows <= rows <= self.most_rows
            and columns * rows <= self.most_packets
        )


LIMITS: Final[dict[FecStandard, FecLimits]] = {
    "2022-1": FecLimits(
        standard="2022-1",
        most_columns=20,
        fewest_columns_with_rows=4,
        fewest_rows=4,
        most_rows=20,
        most_packets=100,
    ),
    "2022-5": FecLimits(
        standard="2022-5",
        most_columns=1020,
        fewest_columns_with_rows=4,
        fewest_rows=4,
        most_rows=255,
        most_packets=6000,
    ),
}

_KEYS: Final = ("cols", "rows", "layout", "standard", "carriage")


@attrs.frozen(kw_only=True)
class RistFec:
    """Forward error correction by ST 2022-1 or ST 2022-5.

    A sender sends by it. A receiver needs only the standard: each parity says itself which packets it covers.
    """

    columns: int = 10
    """Packets in a row."""
    rows: int = 5
    """Packets in a column; 1 sends parities of rows only, a negative number those of columns only."""
    layout: FecLayout = "even"
    """Whether columns begin side by side, or each a row below the one before."""
    standard: FecStandard = "2022-1"
    """Whose header: ST 2022-1 reaches 100 packets a matrix, ST 2022-5 6000, for high rates."""
    carriage: FecCarriage = "auto"
    """Where parities of the Main profile travel: two and four ports above the tunnel's, in plain UDP, or in the tunnel;
    by itself in the tunnel where there is a secret, a login or DTLS, and on ports where there is none."""

    def __attrs_post_init__(self) -> None:
        limits = LIMITS.get(self.standard)
        if limits is None:
            raise InvalidOption(f"fec standard is {self.standard!r}, must be one of '2022-1', '2022-5'")
        if self.layout not in ("even", "staircase"):
            raise InvalidOption(f"fec layout is {self.layout!r}, must be one of 'even', 'staircase'")
        if self.carriage not in ("auto", "ports", "tunnel"):
            raise InvalidOption(
                f"fec carriage is {self.carriage!r}, must be one of 'auto', 'ports', 'tunnel'"
            )
        if self.has_rows and not limits.allow_row(self.columns):
            raise InvalidOption(
                f"fec cols is {self.columns}, must lie between {limits.fewest_columns_with_rows} and "
                f"{limits.most_columns} in ST {self.standard} with parities of rows"
            )
        if not 1 <= self.columns <= limits.most_columns:
            raise InvalidOption(
                f"fec cols is {self.columns}, must lie between 1 and {limits.most_columns} in ST {self.standard}"
            )
        rows = abs(self.rows)
        if self.has_columns and not limits.fewest_rows <= rows <= limits.most_rows:
            raise InvalidOption(
                f"fec rows is {self.rows}, must be 1 (rows only), or between {limits.fewest_rows} and "
                f"{limits.most_rows} (negative for columns only) in ST {self.standard}"
            )
        if self.has_columns and self.columns * rows > limits.most_packets:
            raise InvalidOption(
                f"a fec matrix of {self.columns} x {rows} has {self.columns * rows} packets, "
                f"ST {self.standard} allows {limits.most_packets}",
                hint="" if self.standard == "2022-5" else "ST 2022-5 (standard:2022-5) allows larger ones",
            )

    @classmethod
    def parse(cls, text: str) -> RistFec:
        """Read ``cols:10,rows:5,layout:staircase,standard:2022-1``; what is left out keeps its default."""
        values: dict[str, str] = {}
        for part in text.split(","):
            key, colon, value = part.partition(":")
            if not colon or key not in _KEYS or key in values:
                why = "comes twice" if key in values else f"is none of {', '.join(_KEYS)}"
                raise InvalidOption(
                    f"fec {text!r}: {key!r} {why}" if colon else f"fec {text!r}: {part!r} is no key:value",
                    hint="write fec=cols:10,rows:5",
                )
            values[key] = value
        default = attrs.asdict(cls())
        return cls(
            columns=_integer(values.get("cols", str(default["columns"])), "cols"),
            rows=_integer(values.get("rows", str(default["rows"])), "rows"),
            layout=values.get("layout", "even"),  # type: ignore[arg-type]  # checked at construction
            standard=values.get("standard", "2022-1"),  # type: ignore[arg-type]
            carriage=values.get("carriage", "auto"),  # type: ignore[arg-type]
        )

    def __str__(self) -> str:
        carriage = "" if self.carriage == "auto" else f",carriage:{self.carriage}"
        return f"cols:{self.columns},rows:{self.rows},layout:{self.layout},standard:{self.standard}{carriage}"

    @property
    def has_rows(self) -> bool:
        """Whether parities of rows are sent."""
        return self.rows > 0

    @property
    def has_columns(self) -> bool:
        """Whether parities of columns are sent."""
        return self.rows != 1

    @property
    def limits(self) -> FecLimits:
        """What the standard allows."""
        return LIMITS[self.standard]

    def as_layout(self) -> Layout:
        """The matrix."""
        return Layout(
            columns=self.columns,
            rows=max(abs(self.rows), 1),
            has_rows=self.has_rows,
            has_columns=self.has_columns,
            is_staircase=self.layout == "staircase",
        )


def _integer(text: str, key: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise InvalidOption(f"fec {key} is {text!r}, must be a whole number") from None
