"""What happened to every packet, and one hash that says whether two runs were the same."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from terzetto.primitives.datagrams import Address
from terzetto.primitives.time import Micros

if TYPE_CHECKING:
    from hashlib import _Hash

__all__ = ["PacketRecord", "Trace", "Watcher"]


class PacketRecord(NamedTuple):
    """One packet as it entered a link, or as it came to nothing at its destination."""

    at: Micros
    """Network time."""
    place: str
    """The link's name, or the host's where the packet came to nothing on arrival."""
    source: Address
    destination: Address
    datagram: bytes
    fate: str
    """On a link: ``passed``, ``corrupted``, ``lost``, ``queue full``, ``too big`` or ``partitioned``.

    At a host: ``refused`` (nobody listened), ``no room`` (a receive buffer was full) or ``not admitted`` (by a
    translator)."""
    arrivals: tuple[Micros, ...]
    """When it arrives; more than one for a duplicate, none for a drop."""

    @property
    def is_on_a_link(self) -> bool:
        """Whether this is a packet entering a link, rather than one that came to nothing at a host."""
        return self.fate not in ("refused", "no room", "not admitted")

    @property
    def passed(self) -> bool:
        """Whether this is a packet that got through its link."""
        return bool(self.arrivals)


Watcher: TypeAlias = Callable[[PacketRecord], None]


class Trace:
    """Keeps the last packets, up to *keep* bytes of them, and a hash of all of them."""

    def __init__(self, *, keep: int) -> None:
        self._keep = keep
        self._kept: deque[PacketRecord] = deque()
        self._kept_bytes = 0
        self._forgotten = 0
        self._watchers: list[Watcher] = []
        # One for each place: within a place the order of events is a fact, between places it is an accident.
        self._hashes: dict[str, _Hash] = {}

    @property
    def packets(self) -> list[PacketRecord]:
        """The packets that are kept, oldest first."""
        return sorted(self._kept, key=lambda packet: packet[:2])

    @property
    def forgotten(self) -> int:
        """How many older packets were let go to stay within bounds."""
        return self._forgotten

    def watch(self, watcher: Watcher) -> Callable[[], None]:
        """Call *watcher* with every packet from now on; call what is returned to stop."""
        self._watchers.append(watcher)
        return lambda: self._watchers.remove(watcher)

    def hash(self) -> str:
        """SHA-256, in hexadecimal, over everything that was recorded."""
        total = hashlib.sha256()
        for place in sorted(self._hashes):
            total.update(f"{place}\n".encode() + self._hashes[place].digest())
        return total.hexdigest()

    def record(
        self,
        at: Micros,
        place: str,
        source: Address,
        destination: Address,
        datagram: bytes,
        fate: str,
        arrivals: tuple[Micros, ...],
    ) -> None:
        """A packet entered the link *place*."""
        digest = self._hashes.get(place)
        if digest is None:
            digest = self._hashes[place] = hashlib.sha256()
        line = f"{at} {source} {destination} {fate} {arrivals} {len(datagram)}\n"
        digest.update(line.encode() + datagram)
        record = PacketRecord(at, place, source, destination, datagram, fate, arrivals)
        self._kept.append(record)
        self._kept_bytes += len(datagram) + 64
        while self._kept_bytes > self._keep:
            self._kept_bytes -= len(self._kept.popleft().datagram) + 64
            self._forgotten += 1
        for watcher in self._watchers:
            watcher(record)

    def note(
        self, at: Micros, place: str, source: Address, destination: Address, datagram: bytes, fate: str
    ) -> None:
        """A packet came to nothing at the host *place*."""
        self.record(at, f"{place}:{destination.port}", source, destination, datagram, fate, ())
