"""A UDP proxy that treats what passes as a bad network would.

Clients talk to the proxy, the proxy talks to one target, and either way every datagram goes through a link model::

    client --> listener --> up   --> upstream socket of this client --> target
    client <-- listener <-- down <-- upstream socket of this client <-- target

Each client has sockets of its own towards the target, so that the target can tell clients apart, and link models
of its own in each direction and on each port, seeded one by one: with the same seed the nth datagram of the nth
client meets the same fate in every run, whatever the others do.

As a *pair* the proxy carries two neighbouring ports, for protocols that send media to an even port and reports to
the odd one above (RTP, RIST Simple); a client then leaves by two neighbouring ports as well.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from random import Random
from typing import Final

import attrs
import trio

from terzetto.driver.clock import current_micros
from terzetto.driver.nursery import open_session_nursery
from terzetto.errors import InvalidOption, WorldError
from terzetto.gateway.impaired_client import ImpairedClient, Lane, Leg
from terzetto.net.coalesce import CoalescingReader
from terzetto.net.endpoint import Address, DatagramEndpoint, EndpointOptions, Run, Trouble
from terzetto.net.network import Network, current_network
from terzetto.net.ports import open_port_pair
from terzetto.primitives.impairment import PERFECT, DelayLine, Fates, LinkConditions, LinkMachine
from terzetto.primitives.impairment.delay_line import NO_FATES
from terzetto.primitives.impairment.machine import IPV4_HEADERS, IPV6_HEADERS
from terzetto.primitives.time import MICROS_PER_SECOND, micros

__all__ = ["ImpairmentProxy", "ImpairmentStatistics", "open_impairment_proxy"]

# Release and, while data flows, read this often: a twentieth of the shortest delay worth simulating.
DEFAULT_TICK: Final = 0.001

# How often to look for clients that left and for what the network complains about.
_HOUSEKEEPING: Final = 1.0


@attrs.frozen(kw_only=True)
class ImpairmentStatistics:
    """What the proxy has done so far."""

    seed: int
    up: Fates
    """Towards the target, all clients together."""
    down: Fates
    """Back to the clients."""
    clients: int
    """Clients there are now."""
    clients_seen: int
    clients_refused: int
    """New clients that were turned away because there were too many, or no sockets left."""
    strangers_ignored: int
    """Datagrams that came to an upstream socket from another host than the target."""
    dropped_by_kernel: int
    """Datagrams lost because we read too slowly, where the system tells: should be 0."""


class ImpairmentProxy:
    """A running proxy. `open_impairment_proxy` makes them."""

    def __init__(
        self,
        network: Network,
        listeners: tuple[DatagramEndpoint, ...],
        target: Address,
        *,
        up: LinkConditions,
        down: LinkConditions,
        seed: int,
        tick: float,
        idle_timeout: float,
        max_clients: int,
        complain: Callable[[Trouble], None] | None,
    ) -> None:
        self.seed: Final = seed
        self.target: Final = target
        self._network = network
        self._listeners = listeners
        self._up, self._down = up, down
        self._tick = tick
        self._idle_timeout = idle_timeout
        self._max_clients = max_clients
        self._complain = complain
        self._clients: list[ImpairedClient] = []
        self._legs: tuple[dict[Address, Leg], ...] = tuple({} for _ in listeners)
        self._admission = trio.Lock()
        # Lanes on which something travels; a dict for its order, so that runs can be repeated.
        self._busy: dict[Lane, None] = {}
        self._flowing = 0
        self._alarm = trio.CancelScope()
        self._clients_seen = self._clients_refused = self._strangers = 0
        self._gone_up = self._gone_down = NO_FATES
        self._gone_dropped = 0
        self._final: ImpairmentStatistics | None = None

    @property
    def listen_address(self) -> Address:
        """Where clients send to; of a pair, the lower port."""
        return self._listeners[0].local_address

    def change(self, *, up: LinkConditions | None = None, down: LinkConditions | None = None) -> None:
        """Go on under other conditions, for present clients and for those to come."""
        self._up, self._down = up or self._up, down or self._down
        for client in self._clients:
            for leg in client.legs:
                leg.up.line.change(self._up)
                leg.down.line.change(self._down)

    def statistics(self) -> ImpairmentStatistics:
        """A snapshot of the counters; once closed, the last one."""
        if self._final is not None:
            return self._final
        up, down, dropped = self._gone_up, self._gone_down, self._gone_dropped
        for client in self._clients:
            up, down = up + client.fates_up(), down + client.fates_down()
            dropped += client.dropped_by_kernel()
        return ImpairmentStatistics(
            seed=self.seed,
            up=up,
            down=down,
            clients=len(self._clients),
            clients_seen=self._clients_seen,
            clients_refused=self._clients_refused,
            strangers_ignored=self._strangers,
            dropped_by_kernel=dropped + sum(each.statistics().dropped_by_kernel for each in self._listeners),
        )

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Carry datagrams until cancelled."""
        async with trio.open_nursery() as nursery:
            for index in range(len(self._listeners)):
                nursery.start_soon(self._read_clients, index, nursery)
            nursery.start_soon(self._keep_time)
            nursery.start_soon(self._keep_house)
            task_status.started()

    def close(self) -> None:
        """Close every socket; harmless when closed already."""
        if self._final is None:
            self._final = self.statistics()
        for endpoint in self._listeners:
            endpoint.close()
        for client in self._clients:
            client.close()

    # The way up: any client may speak to a listener.

    async def _read_clients(self, index: int, nursery: trio.Nursery) -> None:
        legs = self._legs[index]
        reader = self._reader(self._listeners[index], index)
        while True:
            runs = await self._next_runs(reader)
            now = current_micros()
            for run in runs:
                leg = legs.get(run.peer)
                if leg is None:
                    leg = await self._admit(run.peer, index, nursery)
                    if leg is None:
                        continue
                leg.local = run.local
                leg.client.heard_at = now
                self._offer(leg.up, run, now)
            self._release(now)

    async def _admit(self, peer: Address, index: int, nursery: trio.Nursery) -> Leg | None:
        """The leg that *peer* is to use on this port, which may be a new client's; None turns it away."""
        # One at a time: the two ports of a new client speak up within moments of one another.
        async with self._admission:
            leg = self._unclaimed_leg(peer, index)
            if leg is None:
                client = await self._open_client()
                if client is None:
                    self._clients_refused += 1
                    return None
                for each in client.legs:
                    nursery.start_soon(self._read_target, each)
                leg = client.legs[index]
            leg.peer = peer
            self._legs[index][peer] = leg
            return leg

    def _unclaimed_leg(self, peer: Address, index: int) -> Leg | None:
        """Where *peer* is the other port of a client we know: its neighbour's, else its host's latest."""
        neighbour = peer._replace(port=peer.port + (1 if index == 0 else -1))
        latest: Leg | None = None
        for client in reversed(self._clients):
            leg = client.legs[index]
            if leg.peer is not None:
                continue
            known = [other.peer for other in client.legs if other.peer is not None]
            if neighbour in known:
                return leg
            if latest is None and any(each.host == peer.host for each in known):
                latest = leg
        return latest

    async def _open_client(self) -> ImpairedClient | None:
        if len(self._clients) >= self._max_clients:
            return None
        options = EndpointOptions(family=6 if self.target.is_ipv6 else 4)
        endpoints: tuple[DatagramEndpoint, ...]
        try:
            if len(self._listeners) == 2:
                endpoints = await open_port_pair(self._network, options)
            else:
                endpoints = (await self._network.open_datagram_endpoint(options),)
        except WorldError:
            return None  # no sockets left; those who are here go on
        number = self._clients_seen
        self._clients_seen += 1
        client = ImpairedClient(
            Leg(
                index=index,
                upstream=endpoint,
                downstream=self._listeners[index],
                target=self.target._replace(port=self.target.port + index),
                up=self._line(self._up, f"{number}/{index}/up"),
                down=self._line(self._down, f"{number}/{index}/down"),
            )
            for index, endpoint in enumerate(endpoints)
        )
        client.heard_at = current_micros()
        self._clients.append(client)
        return client

    def _line(self, conditions: LinkConditions, name: str) -> DelayLine:
        headers = IPV6_HEADERS if self.target.is_ipv6 else IPV4_HEADERS
        return DelayLine(LinkMachine(conditions, Random(f"{self.seed}/{name}"), headers=headers))

    # The way down: a client's own socket hears the target, and nobody else.

    async def _read_target(self, leg: Leg) -> None:
        reader = self._reader(leg.upstream, leg.index)
        flowed = False
        try:
            while True:
                flowed = reader.flowing
                runs = await self._next_runs(reader)
                now = current_micros()
                for run in runs:
                    if run.peer.host != self.target.host:
                        self._strangers += len(run.datagrams)
                        continue
                    leg.client.heard_at = now
                    self._offer(leg.down, run, now)
                self._release(now)
        except trio.ClosedResourceError:
            # The client left, perhaps in the middle of a stream of ticks.
            self._flowing -= flowed

    # What both ways share.

    def _reader(self, endpoint: DatagramEndpoint, index: int) -> CoalescingReader:
        # Reports, on the upper port, are few: each would be followed by ticks that find nothing.
        return CoalescingReader(endpoint, tick=0.0 if index else self._tick)

    async def _next_runs(self, reader: CoalescingReader) -> list[Run]:
        flowed = reader.flowing
        runs = await reader.receive()
        self._flowing += reader.flowing - flowed
        return runs

    def _offer(self, lane: Lane, run: Run, now: int) -> None:
        lane.line.offer(run.datagrams, now=now)
        if not lane.line.is_empty:
            self._busy[lane] = None

    def _release(self, now: int) -> None:
        """Send everything that has arrived at the far end of its link by *now*."""
        for lane in list(self._busy):
            lane.release(now)
            if lane.line.is_empty:
                del self._busy[lane]
        self._arm()

    async def _keep_time(self) -> None:
        while True:
            with trio.CancelScope() as self._alarm:
                self._arm()
                await trio.sleep_forever()
            self._release(current_micros())

    def _arm(self) -> None:
        dues = [due for lane in self._busy if (due := lane.line.next_due()) is not None]
        deadline = float("inf")
        if dues:
            # A reader that ticks releases as well, so the timer stands back and acts only if the ticks stop.
            patience = 2 * self._tick if self._flowing else self._tick
            deadline = max(min(dues) / MICROS_PER_SECOND, trio.current_time() + patience)
        if self._alarm.deadline != deadline:
            self._alarm.deadline = deadline

    async def _keep_house(self) -> None:
        while True:
            await trio.sleep(_HOUSEKEEPING)
            long_ago = current_micros() - micros(self._idle_timeout)
            for client in [each for each in self._clients if each.heard_at < long_ago]:
                self._dismiss(client)
            if self._complain is not None:
                for client in self._clients:
                    for trouble in client.poll_troubles():
                        self._complain(trouble)

    def _dismiss(self, client: ImpairedClient) -> None:
        self._clients.remove(client)
        self._gone_up += client.fates_up()
        self._gone_down += client.fates_down()
        self._gone_dropped += client.dropped_by_kernel()
        for leg in client.legs:
            if leg.peer is not None:
                del self._legs[leg.index][leg.peer]
            self._busy.pop(leg.up, None)
            self._busy.pop(leg.down, None)
        client.close()


@asynccontextmanager
async def open_impairment_proxy(
    listen: tuple[str, int],
    target: tuple[str, int],
    *,
    up: LinkConditions = PERFECT,
    down: LinkConditions | None = None,
    seed: int = 0,
    pair: bool = False,
    tick: float = DEFAULT_TICK,
    idle_timeout: float = 60.0,
    max_clients: int = 256,
    complain: Callable[[Trouble], None] | None = None,
) -> AsyncIterator[ImpairmentProxy]:
    """Forward datagrams between whoever sends to *listen* and *target*, under the conditions of a bad network.

    Both are host (or name) and port; an empty host listens on every address, port 0 on any free one. *up* is the way
    to the target, *down* the way back (like *up* unless given). A *pair* carries the next port too. A client that has
    been silent for *idle_timeout* seconds, with its target, is forgotten. *complain* hears what the network says
    about the target (a closed port, no route), now and then.
    """
    network = current_network()
    if pair and target[1] % 2:
        raise InvalidOption(
            f"the target's port {target[1]} is odd, and a pair of ports begins with an even one",
            hint=f"use {target[1] - 1}",
        )
    target_address = (await network.resolve(*target))[0]
    local = Address(*listen)
    if local.host:
        local = (await network.resolve(*listen))[0]
    options = EndpointOptions(local=local, family=0)
    listeners: tuple[DatagramEndpoint, ...]
    if pair:
        listeners = await open_port_pair(network, options)
    else:
        listeners = (await network.open_datagram_endpoint(options),)
    proxy = ImpairmentProxy(
        network,
        listeners,
        target_address,
        up=up,
        down=up if down is None else down,
        seed=seed,
        tick=tick,
        idle_timeout=idle_timeout,
        max_clients=max_clients,
        complain=complain,
    )
    try:
        async with open_session_nursery() as nursery:
            await nursery.start(proxy.run)
            yield proxy
    finally:
        proxy.close()
