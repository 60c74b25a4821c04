"""Hosts, links and names; one seed decides everything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Final, TypeAlias

import trio

from terzetto.errors import UnknownHost
from terzetto.net.simulated.addresses import canonical
from terzetto.net.simulated.capture import streaming_capture, write_capture
from terzetto.net.simulated.host import SimulatedHost
from terzetto.net.simulated.link import Link
from terzetto.net.simulated.nat import Nat
from terzetto.net.simulated.trace import Trace
from terzetto.primitives.impairment import PERFECT, LinkConditions
from terzetto.primitives.time import MICROS_PER_SECOND, Micros, seconds

if TYPE_CHECKING:
    from os import PathLike

__all__ = ["DEFAULT_CONDITIONS", "SimulatedNetwork"]

# A local network. Not nothing: in no time at all, two hosts that answer one another would never let the clock move.
DEFAULT_CONDITIONS: Final = LinkConditions(delay=0.0005)

End: TypeAlias = SimulatedHost | Nat | str
"""One end of a link: a host or translator (all its addresses), its name, or one address."""


class SimulatedNetwork:
    """Hosts that reach one another over links of any quality.

    Every pair of addresses has a link of its own in each direction, under *default* conditions unless `link` or
    `connect` said otherwise. All luck derives from *seed*. *keep* bounds the bytes of packets that are kept for
    `trace` and `write_capture`; the oldest go first::

        network = SimulatedNetwork(seed=7)
        alice, bob = network.add_host("alice"), network.add_host("bob")
        network.connect(alice, bob, LinkConditions(delay=0.040, loss=0.05))
        with use_network(alice):
            ...
    """

    def __init__(
        self, seed: int | str = 0, *, default: LinkConditions = DEFAULT_CONDITIONS, keep: int = 64 << 20
    ) -> None:
        self.seed = seed
        self.trace = Trace(keep=keep)
        self._default = default
        self._hosts: dict[str, SimulatedHost] = {}
        self._nats: dict[str, Nat] = {}
        self._owners: dict[str, SimulatedHost | Nat] = {}
        self._names: dict[str, list[str]] = {}
        self._links: dict[tuple[str, str], Link] = {}
        self._origin: Micros | None = None
        self._last_elapsed: Micros = 0
        self.version = 0
        """Counts changes of the topology, so that routes may be remembered in between."""

    def add_host(
        self,
        name: str,
        *addresses: str,
        interfaces: Mapping[str, Sequence[str]] | None = None,
        uplink_rate: float | None = None,
    ) -> SimulatedHost:
        """A host called *name*, with these addresses on ``eth0``, or with several *interfaces*.

        Without any it gets one of each family. *uplink_rate* is what its own network card takes, in bits per
        second; only then can a send buffer be full.
        """
        self._check_name(name)
        cards = dict(interfaces or {})
        if addresses or not cards:
            number = len(self._hosts) + 1
            cards["eth0"] = [
                *(addresses or (f"10.0.{number >> 8}.{number & 255}", f"fd00::{number:x}")),
                *cards.get("eth0", ()),
            ]
        cards = {card: [canonical(address) for address in owned] for card, owned in cards.items()}
        host = SimulatedHost(self, name, cards, uplink_rate=uplink_rate)
        self._claim(host.addresses, host)
        self._hosts[name] = host
        self._names[name] = list(host.addresses)
        return host

    def add_nat(self, name: str, *addresses: str, symmetric: bool = False, keeps_ports: bool = False) -> Nat:
        """A translator with these public addresses; put hosts behind it with `Nat.shelter`.

        A *symmetric* one uses another port for every destination. One that *keeps ports* gives a socket the port that
        it has inside, where nobody else has it.
        """
        self._check_name(name)
        nat = Nat(
            self,
            name,
            [canonical(address) for address in addresses],
            symmetric=symmetric,
            keeps_ports=keeps_ports,
        )
        self._claim(nat.addresses, nat)
        self._nats[name] = nat
        return nat

    def add_name(self, name: str, *addresses: str) -> None:
        """Let *name* resolve to *addresses*, the preferred one first."""
        self._names[name] = [canonical(address) for address in addresses]

    def link(self, source: End, destination: End, conditions: LinkConditions) -> Link:
        """What happens from *source* to *destination*, one way.

        Either end may be a host (all its addresses share the link) or one address; the most specific link wins.
        """
        key = (self._end(source), self._end(destination))
        if key in self._links:
            raise ValueError(f"there is a link {key[0]} -> {key[1]} already; use its change()")
        self.version += 1
        link = Link(self, "{} -> {}".format(*key), conditions)
        self._links[key] = link
        return link

    def connect(
        self, one: End, other: End, conditions: LinkConditions, back: LinkConditions | None = None
    ) -> tuple[Link, Link]:
        """A link each way; the way *back* is under the same conditions unless it has its own."""
        there = self.link(one, other, conditions)
        return there, self.link(other, one, conditions if back is None else back)

    def partition(self, one: End, other: End, start: float, end: float) -> None:
        """Let nothing pass between these two, either way, from *start* to *end* of network time."""
        for link in self.links_between(one, other):
            link.partition(start, end)

    def links_between(self, one: End, other: End) -> tuple[Link, Link]:
        """The link each way, made under default conditions where there is none yet."""
        ends = self._end(one), self._end(other)
        return self._link_named(*ends), self._link_named(*reversed(ends))

    def elapsed(self) -> Micros:
        """Network time: microseconds since the network was first used inside `trio.run`."""
        try:
            clock = round(trio.current_time() * MICROS_PER_SECOND)
        except RuntimeError:
            return self._last_elapsed  # set up before the run, or looked at after it
        if self._origin is None:
            self._origin = clock
        self._last_elapsed = clock - self._origin
        return self._last_elapsed

    def clock_time(self, at: Micros) -> float:
        """Network time *at* on trio's clock."""
        return seconds(at + (self._origin or 0))

    def trace_hash(self) -> str:
        """SHA-256 over every packet so far: when, from where to where, what became of it, and its bytes."""
        self.settle()
        return self.trace.hash()

    def write_capture(self, path: str | PathLike[str]) -> None:
        """Write the packets that are kept as a pcapng file for Wireshark."""
        self.settle()
        write_capture(path, self.trace.packets)

    def capture(self, path: str | PathLike[str]) -> AbstractContextManager[None]:
        """Write every packet from now on as a pcapng file: ``with network.capture("run.pcapng"): ...``."""
        return streaming_capture(self, path)

    def settle(self) -> None:
        """Bring everything that is due to where it goes, read or not."""
        now = self.elapsed()
        for host in self._hosts.values():
            host.settle(now)

    # What follows is for hosts and endpoints.

    def owner(self, address: str) -> SimulatedHost | Nat | None:
        """Who has *address*."""
        return self._owners.get(address)

    def hosts(self) -> list[SimulatedHost]:
        """All hosts, in the order they were added."""
        return list(self._hosts.values())

    def lookup(self, name: str) -> list[str]:
        """The addresses of *name*."""
        try:
            return self._names[name]
        except KeyError:
            known = ", ".join(sorted(self._names)) or "none"
            raise UnknownHost(f"unknown host {name!r}", hint=f"this network knows: {known}") from None

    def link_for(self, sources: Sequence[str], destinations: Sequence[str]) -> Link:
        """The link between two ends, each known by several names, the most specific one first."""
        links = self._links
        for source in sources:
            for destination in destinations:
                link = links.get((source, destination))
                if link is not None:
                    return link
        return self._link_named(sources[0], destinations[0])

    def loopback(self, name: str) -> Link:
        """What a host sends to itself takes."""
        key = (name, name)
        if key not in self._links:
            self._links[key] = Link(self, f"{name} -> itself", PERFECT)
        return self._links[key]

    def has_link(self, source: str, destination: str) -> bool:
        """Whether somebody described a link between exactly these addresses."""
        return (source, destination) in self._links

    def _link_named(self, source: str, destination: str) -> Link:
        return self._links.get((source, destination)) or self.link(source, destination, self._default)

    def _end(self, end: End) -> str:
        if isinstance(end, (SimulatedHost, Nat)):
            return end.name
        if end in self._hosts or end in self._nats:
            return end
        address = canonical(end)
        if address not in self._owners:
            raise ValueError(f"{end!r} is neither a host nor an address of this network")
        return address

    def _claim(self, addresses: Sequence[str], owner: SimulatedHost | Nat) -> None:
        for address in addresses:
            if address in self._owners:
                raise ValueError(f"{self._owners[address].name} has the address {address} already")
        self._owners.update(dict.fromkeys(addresses, owner))
        self.version += 1

    def _check_name(self, name: str) -> None:
        if name in self._hosts or name in self._nats:
            raise ValueError(f"there is a {name!r} on this network already")
