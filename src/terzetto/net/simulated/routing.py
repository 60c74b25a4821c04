"""From sender to receiver: which address a datagram leaves by, which link it takes, and whose port it reaches."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from terzetto.net.endpoint import Address
from terzetto.net.simulated.addresses import canonical, is_group, is_loopback, is_numeric
from terzetto.net.simulated.nat import Nat
from terzetto.primitives.time import Micros

if TYPE_CHECKING:
    from terzetto.net.simulated.endpoint import SimulatedEndpoint
    from terzetto.net.simulated.host import SimulatedHost
    from terzetto.net.simulated.link import Link
    from terzetto.net.simulated.port import Port

__all__ = ["Route", "choose_routes"]


class Route(NamedTuple):
    """One way to one receiving port; a datagram to a group takes several."""

    link: Link
    source: Address
    """As the receiver sees us."""
    destination: Address
    """As we address it."""
    port: Port | None
    """None: a translator is in the way that lets nothing of ours in."""
    local_host: str
    """The receiver's own address."""
    way_back: Link | None = None
    group: str | None = None
    admitted: Callable[[Micros], bool] | None = None
    is_momentary: bool = False
    """Whether a translator was asked, whose answer holds for this moment only."""


def choose_routes(
    endpoint: SimulatedEndpoint, host: SimulatedHost, peer: Address, local: str | None, now: Micros
) -> list[Route] | str:
    """The routes for datagrams from *endpoint* to *peer*, or why there are none, in words."""
    if not is_numeric(peer.host):
        return f"{peer.host!r} is not a numeric address"
    target = canonical(peer.host)
    if not endpoint.has_family_of(target):
        return f"a socket bound to {endpoint.local_address.host} cannot send to {peer}"
    if is_group(target):
        return _to_group(endpoint, host, target, peer.port)
    if host.owns(target):
        return [_to_ourselves(endpoint, host, Address(target, peer.port), local)]
    source = _source_address(endpoint, host, target, local)
    if source is None:
        return f"{host.name} has no address to reach {peer} from"
    if endpoint.options.ttl == 0:
        return f"with a time to live of 0 nothing leaves {host.name}"
    outside = Address(source, endpoint.local_address.port)
    source_ends: tuple[str, ...] = (source, host.name)
    owner = host.network.owner(target)
    if host.nat is not None and not host.nat.is_inside(owner):
        translated = host.nat.translate(outside, Address(target, peer.port), now)
        if translated is None:
            return f"{host.nat.name} has no public address to reach {peer} from"
        outside, source_ends = translated, (*source_ends, translated.host, host.nat.name)
    if owner is None:
        return f"nobody has the address {target}"
    if isinstance(owner, Nat):
        return [_through(owner, outside, source_ends, host, Address(target, peer.port), now)]
    if owner.nat is not None and owner.nat is not host.nat:
        return f"{target} is a private address behind {owner.nat.name}"
    ends = (target, owner.name)
    return [
        Route(
            link=host.network.link_for(source_ends, ends),
            source=outside,
            destination=Address(target, peer.port),
            port=owner.port(peer.port),
            local_host=target,
            way_back=host.network.link_for(ends, source_ends),
        )
    ]


def _to_ourselves(
    endpoint: SimulatedEndpoint, host: SimulatedHost, destination: Address, local: str | None
) -> Route:
    source = local or endpoint.local_address.host
    if endpoint.is_wildcard or is_group(source):
        source = local or destination.host
    loopback = host.network.loopback(host.name)
    return Route(
        link=loopback,
        source=Address(source, endpoint.local_address.port),
        destination=destination,
        port=host.port(destination.port),
        local_host=destination.host,
        way_back=loopback,
    )


def _through(
    nat: Nat,
    source: Address,
    source_ends: tuple[str, ...],
    host: SimulatedHost,
    destination: Address,
    now: Micros,
) -> Route:
    network = host.network
    inside, admitted = nat.find(destination, source, now)
    if inside is None:
        link = network.link_for(source_ends, (destination.host, nat.name))
        return Route(link, source, destination, None, destination.host, is_momentary=True)
    owner = network.owner(inside.host)
    assert owner is not None
    assert not isinstance(owner, Nat)
    ends = (inside.host, owner.name, destination.host, nat.name)
    return Route(
        link=network.link_for(source_ends, ends),
        source=source,
        destination=destination,
        port=owner.port(inside.port),
        local_host=inside.host,
        way_back=network.link_for(ends, source_ends),
        admitted=admitted,
        is_momentary=True,
    )


def _to_group(endpoint: SimulatedEndpoint, host: SimulatedHost, group: str, number: int) -> list[Route] | str:
    ipv6 = ":" in group
    source = (
        None if endpoint.is_wildcard or is_group(endpoint.local_address.host) else endpoint.local_address.host
    )
    source = source or host.interface_address(endpoint.options.interface, ipv6=ipv6)
    if source is None:
        return f"{host.name} has no address to reach {group} from"
    outside, destination = Address(source, endpoint.local_address.port), Address(group, number)
    routes: list[Route] = []
    for other in host.network.hosts():
        members = other.members(number, group)
        if not members:
            continue
        if other is host:
            if endpoint.options.multicast_loop:
                link = host.network.loopback(host.name)
                routes.append(Route(link, outside, destination, other.port(number), source, group=group))
            continue
        # Routers would have to forward between networks; ours do not carry groups through translators.
        address = other.interface_address(members[0].options.interface, ipv6=ipv6)
        if other.nat is not host.nat or address is None or endpoint.options.ttl == 0:
            continue
        link = host.network.link_for((source, host.name), (address, other.name))
        routes.append(Route(link, outside, destination, other.port(number), address, group=group))
    return routes


def _source_address(
    endpoint: SimulatedEndpoint, host: SimulatedHost, target: str, local: str | None
) -> str | None:
    if not endpoint.is_wildcard and not is_group(endpoint.local_address.host):
        bound = endpoint.local_address.host
        return None if is_loopback(bound) else bound
    if local is not None and canonical(local) in host.addresses:
        return canonical(local)
    ipv6 = ":" in target
    if endpoint.options.interface is not None:
        return host.interface_address(endpoint.options.interface, ipv6=ipv6)
    # As a routing table would: an address that is linked with the target rather than just the first.
    for address in host.addresses:
        if (":" in address) == ipv6 and host.network.has_link(address, target):
            return address
    return host.interface_address(None, ipv6=ipv6)
