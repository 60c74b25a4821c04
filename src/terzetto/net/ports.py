"""Two neighbouring ports, an even one for RTP and the odd one above it for RTCP."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from terzetto.errors import AddressInUse, InvalidOption
from terzetto.net.endpoint import Address, DatagramEndpoint, EndpointOptions
from terzetto.net.network import Network

__all__ = ["open_port_group", "open_port_pair"]

# Most neighbours are free, so that the first or second pair is ours; thirty-two failures mean that the machine is
# full, not that we were unlucky.
_TRIES = 32

_LOWEST = 1024
_BEYOND = 65536


async def open_port_pair(
    network: Network, options: EndpointOptions
) -> tuple[DatagramEndpoint, DatagramEndpoint]:
    """Bind an even port and the odd one above it, both on the host of ``options.local``.

    Port 0 finds a free pair. Raises `InvalidOption` for an odd port, `AddressInUse` naming the port that was
    taken, and whatever else the network has to say.
    """
    port = options.local.port
    if port % 2:
        raise InvalidOption(
            f"port {port} is odd, and a pair of ports begins with an even one",
            hint=f"use {port - 1} or {port + 1}",
        )
    if port:
        return await _open_both(network, options)
    return await _find_pair(network, options)


async def open_port_group(
    network: Network, options: EndpointOptions, *, beyond: Iterable[int], paired: bool = True
) -> list[DatagramEndpoint]:
    """Bind a pair of ports, and those that lie as far *beyond* the even one: the endpoints in this order.

    Without *paired* the first is a port alone, even or odd. Port 0 finds a group that is free as a whole. Raises like
    `open_port_pair`.
    """
    offsets = tuple(beyond)
    if options.local.port:
        return await _open_group(network, options, offsets, paired=paired)
    # The kernel finds the first; from there upwards, as for a pair.
    first = await _open_first(network, options, paired=paired)
    _close(first)
    start = first[0].local_address.port
    for step in range(_TRIES):
        port = _LOWEST + (start - _LOWEST + 2 * step) % (_BEYOND - _LOWEST - max(offsets, default=0))
        try:
            return await _open_group(network, _at_port(options, port & ~1), offsets, paired=paired)
        except AddressInUse:
            continue
    raise AddressInUse(
        f"no even port with its neighbours free was found in {_TRIES} tries",
        hint="name a port that is known to be free",
    )


async def _open_group(
    network: Network, options: EndpointOptions, offsets: tuple[int, ...], *, paired: bool
) -> list[DatagramEndpoint]:
    group = await _open_first(network, options, paired=paired)
    first = port = options.local.port
    try:
        for offset in offsets:
            port = first + offset
            group.append(await network.open_datagram_endpoint(_at_port(options, port)))
    except AddressInUse as exc:
        _close(group)
        raise AddressInUse(
            f"port {port}, needed beside {f'{first} and {first + 1}' if paired else first}, is in use",
            hint=exc.hint,
        ) from exc
    except BaseException:
        _close(group)
        raise
    return group


async def _open_first(network: Network, options: EndpointOptions, *, paired: bool) -> list[DatagramEndpoint]:
    return list(
        await open_port_pair(network, options) if paired else (await network.open_datagram_endpoint(options),)
    )


def _close(endpoints: Iterable[DatagramEndpoint]) -> None:
    for endpoint in endpoints:
        endpoint.close()


async def _open_both(network: Network, options: EndpointOptions) -> tuple[DatagramEndpoint, DatagramEndpoint]:
    port = options.local.port
    try:
        even = await network.open_datagram_endpoint(options)
    except AddressInUse as exc:
        raise _taken(port, port, exc) from exc
    try:
        odd = await network.open_datagram_endpoint(_at_port(options, port + 1))
    except AddressInUse as exc:
        even.close()
        raise _taken(port + 1, port, exc) from exc
    except BaseException:
        even.close()
        raise
    return even, odd


async def _find_pair(network: Network, options: EndpointOptions) -> tuple[DatagramEndpoint, DatagramEndpoint]:
    # The system says where to look; from there upwards, so that two who search at the same time do not take each
    # other's neighbours again and again.
    first = await network.open_datagram_endpoint(options)
    first.close()
    start = first.local_address.port & ~1
    for step in range(_TRIES):
        even = _LOWEST + (start - _LOWEST + 2 * step) % (_BEYOND - _LOWEST)
        try:
            return await _open_both(network, _at_port(options, even))
        except AddressInUse:
            continue
    raise AddressInUse(
        f"no even port with a free neighbour was found in {_TRIES} tries",
        hint="name a port that is known to be free",
    )


def _at_port(options: EndpointOptions, port: int) -> EndpointOptions:
    return attrs.evolve(options, local=Address(options.local.host, port))


def _taken(port: int, even: int, exc: AddressInUse) -> AddressInUse:
    which = "even" if port == even else "odd"
    return AddressInUse(
        f"port {port}, the {which} one of the pair {even} and {even + 1}, is in use", hint=exc.hint
    )
