"""From packets to parities, at the sender."""

from __future__ import annotations

from typing import Final

from terzetto.primitives.datagrams import Buffer
from terzetto.primitives.fec.layout import Layout, Line
from terzetto.primitives.fec.parity import Parity, Sum

__all__ = ["Encoder"]

_from_bytes: Final = int.from_bytes


class Encoder:
    """Sums up packets in order; holds one sum for the row and one for every column, and no packets."""

    def __init__(self, layout: Layout, *, first: int) -> None:
        self.layout: Final = layout
        self._first = first
        self._next = first
        self._row = Sum()
        self._columns = [Sum() for _ in range(layout.columns)] if layout.has_columns else []
        self._begun = [-1] * len(self._columns)
        self._row_begun = -1

    def feed(self, sequence: int, payload: Buffer, fields: int = 0) -> list[Parity]:
        """Take in the next packet; the parities that it completes, its column's before its row's.

        A packet may be left out: the lines that it belongs to get no parity. One from behind is not counted again.
        """
        if sequence < self._next:
            return []
        self._next = sequence + 1
        position = sequence - self._first
        number = _from_bytes(payload, "little")
        length = len(payload)
        finished: list[Parity] = []
        layout = self.layout
        columns = layout.columns
        if layout.has_columns:
            column = position % columns
            start = layout.starts[column]
            if position >= start:
                base = position - (position - start) % layout.size
                total = self._columns[column]
                if self._begun[column] != base:
                    self._begun[column] = base
                    total = self._columns[column] = Sum()
                total.add_number(number, length, fields)
                if total.count == layout.rows:
                    finished.append(total.parity(Line(self._first + base, columns, layout.rows)))
        if layout.has_rows:
            base = position - position % columns
            if self._row_begun != base:
                self._row_begun = base
                self._row = Sum()
            self._row.add_number(number, length, fields)
            if self._row.count == columns:
                finished.append(self._row.parity(Line(self._first + base, 1, columns)))
        return finished
