"""From what arrived, packets and parities in any order, to what was lost.

A parity that lacks one packet gives it back at once; that packet may be the last but one of another line, and so on
until nothing moves. Packets are only remembered, not summed, as long as nothing is lost.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from terzetto.primitives.datagrams import Buffer
from terzetto.primitives.fec.layout import Line
from terzetto.primitives.fec.parity import Parity, Sum

__all__ = ["Decoder", "Rebuilt"]

# Room for this many unfilled places of waiting parities, for each packet of the window. An honest sender's packet
# stands in two lines; the rest is slack for parities that were sent twice in different shapes.
_PLACES_PER_PACKET: Final = 4

# The window's end is cleared this many packets at a time.
_SWEEP: Final = 64


class Rebuilt(NamedTuple):
    """A packet that never arrived."""

    sequence: int
    payload: bytes
    fields: int


class _Waiting:
    """A parity that lacks more than it can give back."""

    __slots__ = ("lacks", "parity", "places")

    def __init__(self, parity: Parity, lacks: int) -> None:
        self.parity = parity
        self.lacks = lacks
        self.places: Final = lacks


_NOTHING: Final[list[Rebuilt]] = []


class Decoder:
    """Gives back lost packets.

    Remembers the packets of the last *window* sequences, and the parities that lie in it. Nothing longer than
    *longest* is ever rebuilt, and nothing that lies more than *lead* beyond the newest packet that arrived: such a
    parity waits until the stream has come that far.
    """

    def __init__(self, *, window: int, longest: int, lead: int = 0) -> None:
        self.window = window
        """How many sequences to look back; may be raised at any time."""
        self._longest = longest
        self._lead = lead
        self._packets: dict[int, tuple[Buffer, int]] = {}
        self._newest: int | None = None
        self._floor = 0
        self._waiting: dict[Line, _Waiting] = {}
        self._by_packet: dict[int, list[_Waiting]] = {}
        self._early: list[_Waiting] = []
        self._places = 0
        self.rebuilt = 0
        """Packets given back."""
        self.rejected = 0
        """Parities that were absurd, or that gave something that cannot have been a packet."""

    @property
    def newest(self) -> int | None:
        """The highest sequence there is."""
        return self._newest

    @property
    def parities_waiting(self) -> int:
        """Parities that lack more than one packet."""
        return len(self._waiting)

    @property
    def packets_held(self) -> int:
        """Packets remembered."""
        return len(self._packets)

    def __contains__(self, sequence: int) -> bool:
        return sequence in self._packets

    def reset(self) -> None:
        """Forget everything: the stream begins anew."""
        self._packets.clear()
        self._waiting.clear()
        self._by_packet.clear()
        self._early.clear()
        self._places = 0
        self._newest = None

    def take(self, sequence: int, payload: Buffer, fields: int = 0) -> list[Rebuilt]:
        """A packet arrived; the packets that can be given back now. Do not change the list."""
        newest = self._newest
        packets = self._packets
        if newest is None:
            self._newest = sequence
            self._floor = sequence - self.window + 1
        elif sequence > newest:
            self._newest = sequence
            if sequence - self._floor >= self.window + _SWEEP:
                self._sweep()
        elif sequence < self._floor or sequence in packets:
            return _NOTHING
        packets[sequence] = (payload, fields)
        if not self._waiting:
            return _NOTHING
        ready = self._arrived(sequence)
        if self._early:
            ready += self._early
            self._early = []
        return self._rebuild_all(ready) if ready else _NOTHING

    def take_parity(self, parity: Parity) -> list[Rebuilt]:
        """A parity arrived; the packets that can be given back now. Do not change the list."""
        line = parity.line
        newest = self._newest
        if newest is None or line in self._waiting:
            return _NOTHING
        last = line.last
        if line.size < 1 or line.step < 1 or last - line.base >= self.window or last >= newest + self.window:
            self.rejected += 1
            return _NOTHING
        if line.base < self._floor:
            return _NOTHING
        packets = self._packets
        missing = [sequence for sequence in line.members if sequence not in packets]
        if not missing:
            return _NOTHING
        waiting = self._waiting[line] = _Waiting(parity, len(missing))
        for sequence in missing:
            self._by_packet.setdefault(sequence, []).append(waiting)
        self._places += len(missing)
        while self._places > _PLACES_PER_PACKET * self.window:
            self._forget(next(iter(self._waiting.values())))
        return self._rebuild_all([waiting]) if len(missing) == 1 else _NOTHING

    def _arrived(self, sequence: int) -> list[_Waiting]:
        """Note that *sequence* is there; the lines that now lack a single one."""
        ready: list[_Waiting] = []
        for waiting in self._by_packet.pop(sequence, ()):
            waiting.lacks -= 1
            if waiting.lacks == 1:
                ready.append(waiting)
            elif not waiting.lacks:
                self._drop(waiting)
        return ready

    def _rebuild_all(self, ready: list[_Waiting]) -> list[Rebuilt]:
        rebuilt: list[Rebuilt] = []
        packets = self._packets
        while ready:
            waiting = ready.pop()
            line = waiting.parity.line
            if waiting.lacks != 1 or self._waiting.get(line) is not waiting:
                continue  # another line gave back the same packet meanwhile
            sequence = next(each for each in line.members if each not in packets)
            newest = self._newest
            assert newest is not None
            if sequence > newest + self._lead:
                self._early.append(waiting)
                continue
            found = self._remainder(waiting.parity, sequence)
            if found is None:
                self.rejected += 1
                self._forget(waiting)
                continue
            packets[sequence] = found
            ready += self._arrived(sequence)
            rebuilt.append(Rebuilt(sequence, *found))
            if sequence > newest:
                self._newest = sequence
        self.rebuilt += len(rebuilt)
        return rebuilt

    def _remainder(self, parity: Parity, lost: int) -> tuple[bytes, int] | None:
        total = Sum()
        total.add_parity(parity)
        packets = self._packets
        for sequence in parity.line.members:
            if sequence != lost:
                total.add(*packets[sequence])
        return total.remainder(self._longest)

    def _drop(self, waiting: _Waiting) -> None:
        """The line is complete: nobody waits for it any more."""
        if self._waiting.pop(waiting.parity.line, None) is not None:
            self._places -= waiting.places

    def _forget(self, waiting: _Waiting) -> None:
        """Give a line up that still lacks packets."""
        self._drop(waiting)
        by_packet = self._by_packet
        for sequence in waiting.parity.line.members:
            waiters = by_packet.get(sequence)
            if waiters is not None and waiting in waiters:
                waiters.remove(waiting)
                if not waiters:
                    del by_packet[sequence]

    def _sweep(self) -> None:
        """Forget what lies before the window; a line that lacks one of those packets is hopeless."""
        newest = self._newest
        assert newest is not None
        floor = newest - self.window + 1
        packets = self._packets
        if floor - self._floor > 2 * self.window:
            for sequence in [each for each in packets if each < floor]:
                del packets[sequence]
        else:
            for sequence in range(self._floor, floor):
                packets.pop(sequence, None)
        self._floor = floor
        for waiting in [each for each in self._waiting.values() if each.parity.line.base < floor]:
            self._forget(waiting)
