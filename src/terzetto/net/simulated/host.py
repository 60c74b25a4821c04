"""What an application runs on: a `Network` with addresses of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import TYPE_CHECKING, Final

import trio

from terzetto.errors import AddressInUse, InvalidOption, NoRoute, UnknownHost
from terzetto.net.endpoint import Address, EndpointOptions, Run, Trouble
from terzetto.net.network import Network
from terzetto.net.simulated.addresses import canonical, is_group, is_loopback, is_numeric
from terzetto.net.simulated.endpoint import SimulatedEndpoint
from terzetto.net.simulated.port import Parcel, Port
from terzetto.net.simulated.routing import Route, choose_routes
from terzetto.net.simulated.tcp import SimulatedListener, SimulatedStream, connect, listen
from terzetto.net.stream import StreamOptions
from terzetto.primitives.datagrams import Buffer
from terzetto.primitives.impairment.machine import IPV4_HEADERS, IPV6_HEADERS, Drop
from terzetto.primitives.time import MICROS_PER_SECOND, Micros

if TYPE_CHECKING:
    from terzetto.net.simulated.nat import Nat
    from terzetto.net.simulated.network import SimulatedNetwork

__all__ = ["SIMULATED_EPOCH", "SimulatedHost"]

SIMULATED_EPOCH: Final[Micros] = 1_767_225_600 * MICROS_PER_SECOND
"""The date at which trio's clock calls zero, on every host unless set: 1 January 2026, 00:00 UTC."""

# IANA's dynamic ports; handed out in order, so that a run can be read twice.
_EPHEMERAL: Final = range(49152, 65536)

_LONGEST_UDP: Final = {False: 65_507, True: 65_527}
_LOOPBACKS: Final = ("127.0.0.1", "::1")


class SimulatedHost(Network):
    """Made by `SimulatedNetwork.add_host`; install it with `terzetto.net.network.use_network`."""

    def __init__(
        self,
        network: SimulatedNetwork,
        name: str,
        interfaces: Mapping[str, Sequence[str]],
        *,
        uplink_rate: float | None,
    ) -> None:
        self.network = network
        self.name = name
        self.interfaces = {card: tuple(owned) for card, owned in interfaces.items()}
        self.addresses = tuple(address for owned in self.interfaces.values() for address in owned)
        self.nat: Nat | None = None
        self.epoch: Micros = SIMULATED_EPOCH
        """What `wall_clock_offset` answers; set it to give this host a clock of its own."""
        self._random = Random(f"{network.seed}/entropy/{name}")
        self._ports: dict[int, Port] = {}
        self._routes: dict[tuple[SimulatedEndpoint, Address, str | None], list[Route]] = {}
        self._routes_version = -1
        self.tcp_listeners: dict[int, SimulatedListener] = {}
        self._tcp_ports = 0
        self._next_ephemeral = 0
        self._us_per_byte = 8 * MICROS_PER_SECOND / uplink_rate if uplink_rate else 0.0
        self._card_busy_until = 0.0

    async def open_datagram_endpoint(self, options: EndpointOptions) -> SimulatedEndpoint:
        """Open and bind a datagram endpoint."""
        await trio.lowlevel.checkpoint()
        return self.bind(options)

    async def open_tcp_stream(self, peer: Address, options: StreamOptions) -> SimulatedStream:
        """Connect to *peer*."""
        del options
        self._tcp_ports += 1
        return await connect(self, peer, _EPHEMERAL[self._tcp_ports % len(_EPHEMERAL)])

    async def open_tcp_listeners(self, local: Address, options: StreamOptions) -> Sequence[SimulatedListener]:
        """Listen on *local*."""
        await trio.lowlevel.checkpoint()
        if local.host not in ("", "0.0.0.0", "::") and not self.owns(canonical(local.host)):
            raise NoRoute(f"{local.host} is not an address of {self.name}")
        port = local.port or next(number for number in _EPHEMERAL if number not in self.tcp_listeners)
        if port in self.tcp_listeners:
            raise AddressInUse(
                f"{local} on {self.name} is in use", hint="choose another port, or 0 for any free one"
            )
        return [listen(self, Address(local.host, port), options.backlog)]

    async def resolve(self, host: str, port: int, *, family: int = 0) -> list[Address]:
        """Addresses of a host or name of this network."""
        await trio.lowlevel.checkpoint()
        if is_numeric(host):
            found: Sequence[str] = [canonical(host)]
        elif host == "localhost":
            found = _LOOPBACKS
        else:
            found = self.network.lookup(host)
        fitting = [address for address in found if family == 0 or (":" in address) == (family == 6)]
        if not fitting:
            raise UnknownHost(f"{host!r} has no IPv{family} address", hint=f"it has {', '.join(found)}")
        return [Address(address, port) for address in fitting]

    def entropy(self, size: int) -> bytes:
        """Bytes that follow from the network's seed and this host's name."""
        return self._random.randbytes(size)

    def wall_clock_offset(self) -> Micros:
        """Microseconds since the Unix epoch at the moment that trio's clock calls zero."""
        return self.epoch

    def bind(self, options: EndpointOptions) -> SimulatedEndpoint:
        """`open_datagram_endpoint` without the checkpoint."""
        bound = self._bindable(options)
        number = options.local.port or self._free_port(bound, options)
        port = self.port(number)
        if self._conflicts(port, bound, options):
            raise AddressInUse(
                f"{Address(bound, number)} on {self.name} is in use",
                hint="choose another port, or 0 for any free one",
            )
        endpoint = SimulatedEndpoint(self, options, Address(bound, number), port)
        port.attach(endpoint, self.now())
        if options.groups:
            self.network.version += 1
        return endpoint

    # What follows is for the network and its endpoints.

    def port(self, number: int) -> Port:
        """Our UDP port *number*."""
        found = self._ports.get(number)
        if found is None:
            found = self._ports[number] = Port(number, self._note)
        return found

    def bound_ports(self) -> list[int]:
        """The ports that endpoints of this host are bound to now; empty when an application has cleaned up."""
        return sorted(number for number, port in self._ports.items() if port.endpoints)

    def members(self, number: int, group: str) -> list[SimulatedEndpoint]:
        """Who on this host listens to *group* on this port."""
        port = self._ports.get(number)
        return [] if port is None else [each for each in port.endpoints if group in each.options.groups]

    def interface_address(self, interface: str | None, *, ipv6: bool) -> str | None:
        """The first address of that family, on *interface* (a name or an address) where one is named."""
        owned: Sequence[str] = self.addresses
        if interface is not None:
            owned = self.interfaces.get(interface) or (canonical(interface),)
        return next((address for address in owned if (":" in address) == ipv6), None)

    def owns(self, address: str) -> bool:
        """Whether a datagram to *address* stays on this host."""
        return address in self.addresses or is_loopback(address)

    def now(self) -> Micros:
        """Network time."""
        return self.network.elapsed()

    def clock_time(self, at: Micros) -> float:
        """Network time *at* on trio's clock."""
        return self.network.clock_time(at)

    def forget(self, endpoint: SimulatedEndpoint) -> None:
        """It was closed."""
        endpoint.port.detach(endpoint, self.now())
        self._routes.clear()
        if endpoint.options.groups:
            self.network.version += 1

    def settle(self, now: Micros) -> None:
        """Bring what is due to its endpoints."""
        for port in list(self._ports.values()):
            port.settle(now)

    def transmit(self, endpoint: SimulatedEndpoint, run: Run, send_buffer: int) -> int:
        """Send the datagrams of *run* that find room on our network card; how many did."""
        now = self.now()
        routes = self._routes_for(endpoint, run, now)
        if isinstance(routes, str):
            endpoint.take_trouble(Trouble(run.peer, "unreachable", routes))
            return len(run.datagrams)
        if not self._us_per_byte:
            for datagram in run.datagrams:
                self._send_one(endpoint, run.peer, datagram, routes, now)
            return len(run.datagrams)
        for taken, datagram in enumerate(run.datagrams):
            departure = self._departure(len(datagram), send_buffer, now)
            if departure is None:
                return taken
            self._send_one(endpoint, run.peer, datagram, routes, departure)
        return len(run.datagrams)

    async def wait_for_room(self, size: int, send_buffer: int) -> None:
        """Sleep until our network card takes a datagram of *size* bytes."""
        room = max(send_buffer - size - IPV4_HEADERS, 0)
        free_at = round(self._card_busy_until - room * self._us_per_byte) + 1
        await trio.sleep_until(self.clock_time(free_at))

    def _departure(self, size: int, send_buffer: int, now: Micros) -> Micros | None:
        queued = max(self._card_busy_until - now, 0.0)
        takes = (size + IPV4_HEADERS) * self._us_per_byte
        if queued and queued + takes > send_buffer * self._us_per_byte:
            return None
        self._card_busy_until = now + queued + takes
        return round(self._card_busy_until)

    def _send_one(
        self, endpoint: SimulatedEndpoint, peer: Address, datagram: Buffer, routes: list[Route], now: Micros
    ) -> None:
        if len(datagram) > _LONGEST_UDP[peer.is_ipv6]:
            endpoint.take_trouble(
                Trouble(peer, "too_big", f"{len(datagram)} bytes exceed what UDP can carry")
            )
            return
        # A copy only where somebody sent a view: what is kept for the trace must not pin a whole batch.
        data = datagram if isinstance(datagram, bytes) else bytes(datagram)
        trace = self.network.trace
        for route in routes:
            link, source, destination = route.link, route.source, route.destination
            passage = link.offer(data, now, ipv6=peer.is_ipv6)
            if isinstance(passage, Drop):
                trace.record(now, link.name, source, destination, data, passage.value, ())
                if passage is Drop.TOO_BIG:
                    self._too_big(endpoint, peer, data, route)
                continue
            arrived = passage[0].datagram
            assert isinstance(arrived, bytes)
            fate = "passed" if arrived is data else "corrupted"
            arrivals = tuple([arrival.at for arrival in passage])
            trace.record(now, link.name, source, destination, arrived, fate, arrivals)
            parcel = Parcel(
                source,
                destination,
                arrived,
                sender=endpoint,
                local_host=route.local_host,
                return_delay=route.way_back.usual_delay if route.way_back is not None else 0,
                group=route.group,
                admitted=route.admitted,
            )
            if route.port is None:
                self._note(parcel, "not admitted", arrivals[0])
                continue
            for at in arrivals:
                route.port.expect(parcel, at, link.name, link.offered)

    def _too_big(self, endpoint: SimulatedEndpoint, peer: Address, data: bytes, route: Route) -> None:
        size = len(data) + (IPV6_HEADERS if peer.is_ipv6 else IPV4_HEADERS)
        text = f"a packet of {size} bytes does not fit the MTU of {route.link.conditions.mtu} to {peer}"
        endpoint.take_trouble(Trouble(peer, "too_big", text))

    def _routes_for(self, endpoint: SimulatedEndpoint, run: Run, now: Micros) -> list[Route] | str:
        if self.nat is not None:
            return choose_routes(
                endpoint, self, run.peer, run.local, now
            )  # translation depends on the moment
        if self._routes_version != self.network.version:
            self._routes.clear()
            self._routes_version = self.network.version
        key = (endpoint, run.peer, run.local)
        routes = self._routes.get(key)
        if routes is None:
            chosen = choose_routes(endpoint, self, run.peer, run.local, now)
            if isinstance(chosen, str):
                return chosen
            routes = chosen
            if not any(route.is_momentary for route in routes):
                self._routes[key] = routes
        return routes

    def _note(self, parcel: Parcel, fate: str, at: Micros) -> None:
        self.network.trace.note(at, self.name, parcel.source, parcel.destination, parcel.datagram, fate)

    def _bindable(self, options: EndpointOptions) -> str:
        for group in options.groups:
            if not is_numeric(group) or not is_group(canonical(group)):
                raise InvalidOption(f"groups names {group!r}, which is not a multicast address")
        interface = options.interface
        if interface is not None and interface not in self.interfaces and not self._is_own(interface):
            raise NoRoute(f"{self.name} has no interface {interface!r}", hint=self._what_we_have())
        host = options.local.host
        if not host:
            return "0.0.0.0" if options.family == 4 else "::"
        if not is_numeric(host):
            raise NoRoute(f"{host!r} is not a numeric address to bind", hint=self._what_we_have())
        host = canonical(host)
        if host in ("0.0.0.0", "::") or self.owns(host) or is_group(host):
            return host
        raise NoRoute(f"{host} is not an address of {self.name}", hint=self._what_we_have())

    def _is_own(self, text: str) -> bool:
        return is_numeric(text) and self.owns(canonical(text))

    def _what_we_have(self) -> str:
        cards = (f"{card} ({', '.join(owned)})" for card, owned in self.interfaces.items())
        return f"it has {', '.join(cards)}"

    def _free_port(self, bound: str, options: EndpointOptions) -> int:
        for step in range(len(_EPHEMERAL)):
            number = _EPHEMERAL[(self._next_ephemeral + step) % len(_EPHEMERAL)]
            port = self._ports.get(number)
            # Not even shared with those who would share: any free port means a free one.
            if port is None or not port.endpoints:
                self._next_ephemeral += step + 1
                return number
        raise AddressInUse(f"{self.name} has no free port left for {bound}")

    def _conflicts(self, port: Port, bound: str, options: EndpointOptions) -> bool:
        wildcard = bound in ("0.0.0.0", "::")
        for other in port.endpoints:
            if other.options.reuse_port and options.reuse_port:
                continue
            if other.local_address.host == bound:
                return True
            if (wildcard and other.has_family_of(bound)) or (
                other.is_wildcard and other.has_family_of(bound)
            ):
                return True
            if bound == "::" and options.family != 6 and wildcard:
                return True
        return False

    def __repr__(self) -> str:
        return f"<SimulatedHost {self.name}: {', '.join(self.addresses)}>"
