"""An address translator between some hosts and the rest of the network, which may rebind.

Outgoing datagrams get a public address and a port of their own. What comes back is let in only from where
something was sent to, as home routers do; and once the translator rebinds (it restarted, its table was full, the
telephone changed cells) everything leaves by new ports and the old ones lead nowhere. A TCP connection does not
survive that: what comes back for it is dropped, and who sends by it from inside is told by the other end, to whom
it is a stranger's.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from terzetto.net.endpoint import Address
from terzetto.primitives.time import Micros, micros

if TYPE_CHECKING:
    from terzetto.net.simulated.host import SimulatedHost
    from terzetto.net.simulated.network import SimulatedNetwork

__all__ = ["Nat"]

_FIRST_PORT: Final = 20_000
_PORTS: Final = 40_000


class _Binding:
    """One inside socket as the outside sees it."""

    __slots__ = ("generation", "inside", "peers", "public")

    def __init__(self, inside: Address, public: Address, generation: int) -> None:
        self.inside = inside
        self.public = public
        self.generation = generation
        self.peers: set[Address] = set()


class Nat:
    """Made by `SimulatedNetwork.add_nat`."""

    def __init__(
        self,
        network: SimulatedNetwork,
        name: str,
        addresses: Sequence[str],
        *,
        symmetric: bool,
        keeps_ports: bool,
    ) -> None:
        self.network = network
        self.name = name
        self.addresses = tuple(addresses)
        self._symmetric = symmetric
        self._keeps_ports = keeps_ports
        self._rebinds: list[Micros] = []
        self._by_inside: dict[tuple[Address, Address | None], _Binding] = {}
        self._by_public: dict[Address, _Binding] = {}
        self._ports_used = 0

    def shelter(self, *hosts: SimulatedHost) -> None:
        """Put *hosts* behind this translator; from outside only answers reach them."""
        for host in hosts:
            host.nat = self
        self.network.version += 1

    def rebind(self, *, at: float | None = None) -> None:
        """Forget every binding now, or at that moment of network time.

        What goes out afterwards gets a new port, and the next of the public addresses where there are several.
        """
        insort(self._rebinds, self.network.elapsed() if at is None else micros(at))

    # What follows is for routing.

    def is_inside(self, owner: SimulatedHost | Nat | None) -> bool:
        """Whether *owner* is reached without translation."""
        return owner is not None and not isinstance(owner, Nat) and owner.nat is self

    def translate(self, inside: Address, peer: Address, now: Micros) -> Address | None:
        """The public address that *inside* has for *peer*; None when we have none of that family."""
        generation = bisect_right(self._rebinds, now)
        key = (inside, peer if self._symmetric else None)
        binding = self._by_inside.get(key)
        if binding is None or binding.generation != generation:
            fitting = [address for address in self.addresses if (":" in address) == peer.is_ipv6]
            if not fitting:
                return None
            public = Address(fitting[generation % len(fitting)], inside.port)
            if not self._keeps_ports or self._is_taken(public, now):
                public = public._replace(port=_FIRST_PORT + self._ports_used % _PORTS)
                self._ports_used += 1
            binding = self._by_inside[key] = self._by_public[public] = _Binding(inside, public, generation)
        binding.peers.add(peer)
        return binding.public

    def find(
        self, public: Address, peer: Address, now: Micros
    ) -> tuple[Address | None, Callable[[Micros], bool] | None]:
        """Who is behind *public* for *peer*, and a check whether that still holds on arrival."""
        binding = self._by_public.get(public)
        if binding is None or not self._is_current(binding, now):
            return None, None
        held = binding
        return held.inside, lambda at: self._is_current(held, at) and peer in held.peers

    def _is_taken(self, public: Address, now: Micros) -> bool:
        binding = self._by_public.get(public)
        return binding is not None and self._is_current(binding, now)

    def _is_current(self, binding: _Binding, at: Micros) -> bool:
        return binding.generation == bisect_right(self._rebinds, at)

    def __repr__(self) -> str:
        return f"<Nat {self.name}: {', '.join(self.addresses)}>"
