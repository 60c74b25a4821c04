"""The server's one pair of UDP ports, shared by all sessions and told apart by who sends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from terzetto.net.coalesce import CoalescingReader
from terzetto.net.endpoint import DatagramEndpoint, EndpointOptions
from terzetto.net.network import Network
from terzetto.net.ports import open_port_pair
from terzetto.primitives.datagrams import Address, Run

if TYPE_CHECKING:
    from terzetto.rtsp.server.session import RtspServerSession

__all__ = ["ServerUdp"]


class ServerUdp:
    """RTP on the even port, RTCP on the odd one."""

    def __init__(self, endpoints: tuple[DatagramEndpoint, DatagramEndpoint], *, is_wildcard: bool) -> None:
        self.endpoints = endpoints
        self._is_wildcard = is_wildcard
        self._peers: tuple[dict[Address, tuple[RtspServerSession, int]], ...] = ({}, {})
        self.foreign = 0
        """Datagrams from addresses that belong to no session."""

    @classmethod
    async def open(cls, network: Network, host: str, port: int) -> ServerUdp:
        """Bind the pair on *host* (empty: every address)."""
        family = (6 if ":" in host else 4) if host else 0
        endpoints = await open_port_pair(network, EndpointOptions(local=Address(host, port), family=family))
        return cls(endpoints, is_wildcard=host in ("", "0.0.0.0", "::"))

    @property
    def ports(self) -> tuple[int, int]:
        """The pair."""
        return (self.endpoints[0].local_address.port, self.endpoints[1].local_address.port)

    def source_for(self, local_host: str) -> str | None:
        """The address to send from, so that a client finds packets where it looks for them."""
        return local_host if self._is_wildcard else None

    def register(self, session: RtspServerSession, media: int, rtp: Address, rtcp: Address) -> bool:
        """Let what these ports send reach *session*; False when they belong to another."""
        for peers, address in zip(self._peers, (rtp, rtcp), strict=True):
            found = peers.get(address)
            if found is not None and found[0] is not session:
                return False
        self._peers[0][rtp] = (session, media)
        self._peers[1][rtcp] = (session, media)
        return True

    def unregister(self, session: RtspServerSession) -> None:
        """Forget the ports of *session*."""
        for peers in self._peers:
            for address in [address for address, found in peers.items() if found[0] is session]:
                del peers[address]

    def send(self, runs: list[Run], local_host: str) -> None:
        """Send runs whose odd paths are RTCP."""
        source = self.source_for(local_host)
        for run in runs:
            self.endpoints[run.path % 2].send_nowait([run._replace(path=0, local=source)])

    async def run(self, tick: float) -> None:
        """Read until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._read, 0, tick)
            nursery.start_soon(self._read, 1, 0.0)

    def close(self) -> None:
        """Close both sockets."""
        for endpoint in self.endpoints:
            endpoint.close()

    async def _read(self, which: int, tick: float) -> None:
        endpoint, peers = self.endpoints[which], self._peers[which]
        reader = CoalescingReader(endpoint, tick=tick)
        while True:
            for run in await reader.receive():
                found = peers.get(run.peer)
                if found is None:
                    # Dropped without a word: an answer would make us a tool for whoever forges addresses.
                    self.foreign += len(run.datagrams)
                else:
                    found[0].take_datagrams(found[1], run, is_rtcp=bool(which))
            endpoint.poll_troubles()
