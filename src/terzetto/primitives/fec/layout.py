"""Which packets one parity covers, and how lines are laid over a stream of packets.

A matrix of ``columns`` x ``rows`` is filled row by row. Its columns are even, or each begins one row below the one
before it, from the top again when the rows are used up; here 4 x 3, a letter for each column::

    even           staircase
    a  b  c  d     a  .  .  d
    a  b  c  d     a  b  .  d
    a  b  c  d     a  b  c  d
                   .  b  c  .
                   .  .  c  .

Even columns all end in the last row, so that their parities leave in one burst; a staircase spreads them.
"""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import attrs

__all__ = ["Layout", "Line"]


class Line(NamedTuple):
    """The packets ``base``, ``base + step``, ... ``size`` of them."""

    base: int
    step: int
    size: int

    @property
    def last(self) -> int:
        """The newest of them."""
        return self.base + self.step * (self.size - 1)

    @property
    def members(self) -> range:
        """All of them."""
        return range(self.base, self.base + self.step * self.size, self.step)


@attrs.frozen(kw_only=True, slots=False)
class Layout:
    """Rows of ``columns`` packets, columns of ``rows`` packets, or both."""

    columns: int = attrs.field(validator=attrs.validators.ge(1))
    rows: int = attrs.field(default=1, validator=attrs.validators.ge(1))
    has_rows: bool = True
    has_columns: bool = False
    is_staircase: bool = False

    @property
    def size(self) -> int:
        """Packets in one matrix."""
        return self.columns * self.rows

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """Where the first series of columns begins, counted from the first packet of the stream."""
        if not self.is_staircase:
            return tuple(range(self.columns))
        starts = [0]
        for column in range(1, self.columns):
            is_top = column % self.rows == 0
            starts.append(column if is_top else starts[-1] + 1 + self.columns)
        return tuple(starts)

    def row_of(self, position: int) -> Line:
        """The row that covers *position*, counted from the first packet of the stream."""
        return Line(position - position % self.columns, 1, self.columns)

    def column_of(self, position: int) -> Line | None:
        """The column that covers *position*; above the first stairs there is none."""
        columns = self.columns
        start = self.starts[position % columns]
        if position < start:
            return None
        base = start + (position - start) // self.size * self.size
        return Line(base, columns, self.rows)
