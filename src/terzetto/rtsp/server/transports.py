"""Which of the transports that a client can use is used, and what it needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve

from terzetto.primitives.datagrams import Address
from terzetto.rtsp.core.server_session import Lower, SetUp
from terzetto.rtsp.server.answers import RefusedError
from terzetto.rtsp.server.connection import RtspServerConnection
from terzetto.rtsp.server.session import RtspServerSession
from terzetto.rtsp.stream import ServerStream
from terzetto.rtsp.wire.headers.transport import Delivery, LowerTransport, Mode, Transport
from terzetto.rtsp.wire.status import Status

if TYPE_CHECKING:
    from terzetto.rtsp.server.server import RtspServer

__all__ = ["TransportChoice"]


class TransportChoice:
    """Chooses and reserves transports for the sessions of one server."""

    def __init__(self, server: RtspServer) -> None:
        self._server = server

    def choose(
        self, specs: list[Transport], session: RtspServerSession | None, *, is_publisher: bool
    ) -> tuple[Transport, Lower]:
        """The first spec that we can serve, and that fits the session's earlier ones."""
        earlier = session.rules.lower if session is not None else None
        fits = False
        for spec in specs:
            lower = _lower_of(spec)
            if spec.is_secure and not self._server.options.srtp:
                continue
            if not self._serves(lower, is_publisher=is_publisher, is_srtp=spec.is_secure):
                continue
            fits = True
            if earlier is not None and lower is not earlier:
                continue
            if lower is Lower.UDP and spec.client_port is None:
                raise RefusedError(Status.BAD_REQUEST)
            if spec.mode is Mode.RECORD and not is_publisher:
                raise RefusedError(Status.BAD_REQUEST)
            if spec.mode is Mode.PLAY and is_publisher:
                raise RefusedError(Status.BAD_REQUEST)
            return spec, lower
        raise RefusedError(Status.BAD_REQUEST if fits else Status.UNSUPPORTED_TRANSPORT)

    def _serves(self, lower: Lower, *, is_publisher: bool, is_srtp: bool) -> bool:
        if lower is Lower.TCP:
            return True
        if self._server.is_secure and not is_srtp:
            return False  # beside an encrypted connection media would travel in clear
        if lower is Lower.UDP:
            return self._server.udp is not None
        return self._server.options.multicast_groups is not None and not is_publisher

    async def agree(
        self,
        session: RtspServerSession,
        connection: RtspServerConnection,
        media: int,
        spec: Transport,
        lower: Lower,
        stream: ServerStream | None,
    ) -> Transport:
        """Reserve what the media needs, and say what the answer says."""
        rules = session.rules
        profile = Transport(lower=spec.lower, profile=spec.profile, delivery=Delivery.UNICAST, mode=spec.mode)
        if lower is Lower.TCP:
            before = rules.set_up.get(media)
            channels = spec.interleaved or (before.channels if before else None) or rules.free_channels()
            if not rules.channels_are_free(channels, media):
                raise RefusedError(Status.BAD_REQUEST)
            rules.set_up[media] = SetUp(media=media, channels=channels)
            return evolve(profile, interleaved=channels)
        if lower is Lower.UDP:
            udp = self._server.udp
            assert udp is not None
            assert spec.client_port is not None
            rtp, rtcp = (Address(rules.host, port) for port in spec.client_port)
            if 0 in spec.client_port or not udp.register(session, media, rtp, rtcp):
                raise RefusedError(Status.BAD_REQUEST)
            rules.set_up[media] = SetUp(media=media, client_ports=spec.client_port)
            return evolve(profile, client_port=spec.client_port, server_port=udp.ports)
        assert stream is not None
        if media not in rules.set_up:
            await self._server.join_group(
                stream, media, is_secure=spec.is_secure, local_host=connection.local_address.host
            )
            rules.set_up[media] = SetUp(media=media)
        group = stream.group(media)
        assert group is not None
        return evolve(
            profile,
            delivery=Delivery.MULTICAST,
            destination=group.host,
            source=stream.group_source(media),
            port=(group.port, group.port + 1),
            ttl=self._server.options.multicast_ttl,
        )


def _lower_of(spec: Transport) -> Lower:
    if spec.lower is LowerTransport.TCP:
        return Lower.TCP
    return Lower.MULTICAST if spec.is_multicast else Lower.UDP
