"""Plain UDP, unicast and multicast: one payload to a datagram.

An input always binds, so ``udp://@host:port`` and ``udp://host:port`` mean the same to it; a group is joined.
"""

from __future__ import annotations

from functools import partial
from typing import Final

import attrs
import trio

from terzetto.errors import InvalidUrl
from terzetto.gateway.contract import Batch, InputSettings, Json, Report, Sink, SinkPlan, Source, SourcePlan
from terzetto.net.addresses import is_multicast
from terzetto.net.coalesce import DEFAULT_TICK, CoalescingReader
from terzetto.net.endpoint import DatagramEndpoint, EndpointOptions
from terzetto.net.network import current_network
from terzetto.primitives.datagrams import Address, Run
from terzetto.url import EndpointUrl, QueryReader

__all__ = [
    "UdpOptions",
    "UdpSink",
    "UdpSource",
    "open_input_endpoint",
    "open_output_endpoint",
    "plan_sink",
    "plan_source",
    "read_common_query",
    "refuse_listening_output",
]

# Beyond what a kernel would ever grant.
_LARGEST_BUFFER: Final = 1 << 30


@attrs.frozen(kw_only=True)
class UdpOptions:
    """The query of a ``udp://`` or ``rtp://`` URL."""

    endpoint: EndpointOptions
    tick: float = DEFAULT_TICK


class UdpSource(Source):
    """Datagrams as they come, read once a tick while they flow."""

    silence_hint = "check that the sender sends to this host and port, and that no firewall is in between"

    def __init__(self, endpoint: DatagramEndpoint, *, tick: float) -> None:
        self._endpoint = endpoint
        self._reader = CoalescingReader(endpoint, tick=tick)

    async def receive(self) -> Batch:
        """What has arrived, of whoever sent it."""
        while True:
            runs = await self._reader.receive()
            if len(runs) == 1:
                return Batch(runs[0].datagrams)
            if runs:
                return Batch([datagram for run in runs for datagram in run.datagrams])

    def statistics(self) -> dict[str, Json]:
        """The socket's counters."""
        return attrs.asdict(self._endpoint.statistics())

    async def aclose(self) -> None:
        """Close the socket."""
        await self._endpoint.aclose()


class UdpSink(Sink):
    """Datagrams to one address."""

    def __init__(self, endpoint: DatagramEndpoint, peer: Address, report: Report) -> None:
        self._endpoint = endpoint
        self._peer = peer
        self._report = report
        self._refused = False

    def send_nowait(self, batch: Batch) -> Batch | None:
        """Send what the socket takes."""
        left = self._endpoint.send_nowait([Run(self._peer, batch.payloads)])
        if not left:
            return None
        return Batch([datagram for run in left for datagram in run.datagrams], batch.source_time)

    async def send(self, batch: Batch) -> None:
        """Send all of it."""
        await self._endpoint.send([Run(self._peer, batch.payloads)])

    def statistics(self) -> dict[str, Json]:
        """The socket's counters."""
        self._hear_complaints()
        return attrs.asdict(self._endpoint.statistics())

    async def aclose(self) -> None:
        """Close the socket."""
        await self._endpoint.aclose()

    def _hear_complaints(self) -> None:
        for trouble in self._endpoint.poll_troubles():
            if trouble.kind == "refused" and self._refused:
                continue
            self._refused = self._refused or trouble.kind == "refused"
            self._report("network_trouble", trouble.text, level="warning")


def plan_source(url: EndpointUrl, settings: InputSettings) -> SourcePlan:
    """Receive datagrams at *url*."""
    del settings
    reader = QueryReader(url)
    options = read_common_query(reader, is_input=True)
    reader.finish()

    async def open_source(nursery: trio.Nursery, report: Report) -> Source:
        del nursery
        return UdpSource(await open_input_endpoint(url, options, report), tick=options.tick)

    return SourcePlan(url, open_source)


def plan_sink(url: EndpointUrl) -> SinkPlan:
    """Send datagrams to *url*."""
    refuse_listening_output(url)
    reader = QueryReader(url)
    options = read_common_query(reader, is_input=False)
    reader.finish()

    async def open_sink(nursery: trio.Nursery, report: Report) -> Sink:
        del nursery
        endpoint, peer = await open_output_endpoint(url, options)
        return UdpSink(endpoint, peer, report)

    return SinkPlan(url, open_sink)


def read_common_query(reader: QueryReader, *, is_input: bool) -> UdpOptions:
    """What ``udp://`` and ``rtp://`` URLs both may say."""
    change = partial(attrs.evolve, EndpointOptions())
    values: dict[str, object] = {"interface": reader.text("miface")}
    buffer = reader.integer("buffer-size", 2048, _LARGEST_BUFFER)
    if buffer is not None:
        values["receive_buffer" if is_input else "send_buffer"] = buffer
    if not is_input:
        values["ttl"] = reader.integer("ttl", 1, 255)
        values["tos"] = reader.integer("tos", 0, 255)
        values["local"] = Address("", reader.integer("local-port", 0, 65535) or 0)
        return UdpOptions(endpoint=change(**values))
    source = reader.text("source")
    values["sources"] = (source,) if source else ()
    values["reuse_port"] = reader.boolean("reuse") or False
    tick = reader.milliseconds("tick", 0, 100)
    return UdpOptions(endpoint=change(**values), tick=DEFAULT_TICK if tick is None else tick)


def refuse_listening_output(url: EndpointUrl) -> None:
    """An output without somebody to send to is a mistake."""
    if url.listen:
        raise InvalidUrl(
            f"{url} is an output, and has to say where to send",
            hint=f"write {url.scheme}://HOST:{url.port or 'PORT'}; '@' binds, which is for inputs",
        )


async def open_input_endpoint(url: EndpointUrl, options: UdpOptions, report: Report) -> DatagramEndpoint:
    """Bind the address that *url* names, or join the group."""
    network = current_network()
    local = Address("", url.port or 0)
    if url.host:
        local = (await network.resolve(url.host, url.port or 0))[0]
    endpoint = await network.open_datagram_endpoint(
        attrs.evolve(
            options.endpoint,
            local=local,
            family=6 if local.is_ipv6 else 4,
            groups=(local.host,) if is_multicast(local.host) else (),
        )
    )
    report("listening", f"listening at {endpoint.local_address}")
    return endpoint


async def open_output_endpoint(url: EndpointUrl, options: UdpOptions) -> tuple[DatagramEndpoint, Address]:
    """A socket to send by, and the address that *url* names."""
    network = current_network()
    peer = (await network.resolve(url.host, url.port or 0))[0]
    endpoint = await network.open_datagram_endpoint(
        attrs.evolve(options.endpoint, family=6 if peer.is_ipv6 else 4)
    )
    return endpoint, peer
