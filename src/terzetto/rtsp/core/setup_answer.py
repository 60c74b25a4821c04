"""Checking a server's answer to SETUP before a packet is sent or believed because of it."""

from __future__ import annotations

from ipaddress import ip_address

from attrs import frozen

from terzetto.errors import MalformedPacket
from terzetto.rtsp.wire.headers.transport import Delivery, LowerTransport, PortPair, Transport

__all__ = ["AgreedTransport", "agree"]


@frozen(kw_only=True)
class AgreedTransport:
    """What client and server settled on for one media."""

    transport: Transport
    source_host: str
    """Where its packets come from, and ours go to: a numeric address."""
    channels: PortPair | None = None
    server_port: PortPair | None = None
    """None: any port of the source."""

    @property
    def is_tcp(self) -> bool:
        """Whether the packets travel inside the control connection."""
        return self.transport.lower is LowerTransport.TCP


def agree(
    asked: Transport,
    answer: Transport,
    *,
    peer_host: str,
    trust_source: bool = False,
    any_port: bool = False,
    channels_in_use: frozenset[int] = frozenset(),
) -> AgreedTransport:
    """What *answer* settles; MalformedPacket when it is no answer to what was *asked*.

    *trust_source* allows media from another address than the server's own; *any_port* allows a server that does not
    tell its ports.
    """
    if answer.profile != asked.profile:
        raise MalformedPacket("SETUP answer changes the profile")
    if answer.lower is LowerTransport.TCP:
        return _agree_tcp(answer, peer_host, channels_in_use)
    if asked.lower is LowerTransport.TCP:
        raise MalformedPacket("SETUP answer changes TCP to UDP")
    if asked.is_multicast != answer.is_multicast:
        raise MalformedPacket("SETUP answer changes unicast or multicast")
    source = _source(answer, peer_host, trust_source or asked.is_multicast)
    if asked.is_multicast:
        if answer.destination is None or answer.port is None or not _is_group(answer.destination):
            raise MalformedPacket("SETUP answer names no multicast group")
        return AgreedTransport(transport=answer, source_host=source)
    ports = answer.server_port
    if ports is not None and (0 in ports or ports == (0, 1)):
        ports = None
    if ports is None and not any_port:
        raise MalformedPacket("SETUP answer names no server port")
    return AgreedTransport(transport=answer, source_host=source, server_port=ports)


def _agree_tcp(answer: Transport, peer_host: str, in_use: frozenset[int]) -> AgreedTransport:
    channels = answer.interleaved
    if channels is None or answer.delivery is Delivery.MULTICAST:
        raise MalformedPacket("SETUP answer names no channels")
    if channels[1] != channels[0] + 1:
        raise MalformedPacket("SETUP answer's channels are not consecutive")
    if in_use & set(channels):
        raise MalformedPacket("SETUP answer names channels that are in use")
    return AgreedTransport(transport=answer, source_host=peer_host, channels=channels)


def _source(answer: Transport, peer_host: str, trusted: bool) -> str:
    # A name would have us ask a name server on a stranger's behalf; only addresses count.
    try:
        named = str(ip_address(answer.source)) if answer.source else None
    except ValueError:
        named = None
    if named is None or named == peer_host.partition("%")[0]:
        return peer_host
    if not trusted:
        raise MalformedPacket("SETUP answer sends media from another address")
    return named


def _is_group(host: str) -> bool:
    try:
        return ip_address(host).is_multicast
    except ValueError:
        return False
