"""SETUP for the medias of a session, with the sockets they need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attrs import define, evolve, field

from terzetto.errors import MalformedPacket, ProtocolViolation, UnsupportedOperation
from terzetto.net.endpoint import DatagramEndpoint, EndpointOptions
from terzetto.net.network import Network
from terzetto.net.ports import open_port_pair
from terzetto.primitives.datagrams import Address
from terzetto.rtsp.client.connection import ClientConnection, refusal
from terzetto.rtsp.client.key_agreement import KeyAgreement
from terzetto.rtsp.core.client_control import Answered
from terzetto.rtsp.core.control_url import media_url
from terzetto.rtsp.core.setup_answer import AgreedTransport, agree
from terzetto.rtsp.core.track import TrackSetup
from terzetto.rtsp.options import RtspOptions, TransportChoice
from terzetto.rtsp.wire.description import Media
from terzetto.rtsp.wire.fields import Fields
from terzetto.rtsp.wire.headers.require import BACKCHANNEL
from terzetto.rtsp.wire.headers.transport import Delivery, LowerTransport, Mode, Transport
from terzetto.rtsp.wire.status import Status
from terzetto.rtsp.wire.url import RtspUrl

__all__ = ["MediaSet", "TransportRefusedError", "setup_medias"]


class TransportRefusedError(Exception):
    """The server wants another transport; ``needs_new_connection`` when it has changed its mind half-way."""

    def __init__(self, reason: str, *, needs_new_connection: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.needs_new_connection = needs_new_connection


@define
class MediaSet:
    """The medias that were set up, and their sockets (none over TCP)."""

    tracks: list[TrackSetup] = field(factory=list)
    endpoints: list[DatagramEndpoint] = field(factory=list)
    is_tcp: bool = False

    def close(self) -> None:
        """Close the sockets."""
        for endpoint in self.endpoints:
            endpoint.close()


async def setup_medias(
    network: Network,
    connection: ClientConnection,
    base: RtspUrl,
    medias: Sequence[tuple[int, Media]],
    choice: TransportChoice,
    options: RtspOptions,
    *,
    mode: Mode,
    agreements: Mapping[int, KeyAgreement],
    requires: Sequence[str] = (),
) -> MediaSet:
    """Set every media up, all by the same transport.

    *agreements* are about the keys of those that are SRTP; *requires* are options that the server has to know.

    Raises `TransportRefusedError` when the server does not do it that way, and the options allow another.
    """
    if agreements and not (base.is_secure or options.allow_readable_keys):
        raise UnsupportedOperation(
            "the media is encrypted (SRTP), but its keys would travel readable",
            hint="use rtsps://, or allow_readable_keys=True where nobody else listens",
        )
    may_change = options.transport == "auto" and choice != "tcp"
    done = MediaSet(is_tcp=choice == "tcp")
    try:
        for slot, (index, media) in enumerate(medias):
            agreement = agreements.get(index)
            asked, pair = await _ask_for(network, connection, choice, slot, options, mode)
            done.endpoints += pair
            asked = evolve(asked, profile="AVP" if agreement is None else "SAVP")
            fields = Fields({"Transport": str(asked)})
            tags = (*requires, BACKCHANNEL) if media.is_back_channel else requires
            if tags:
                fields["Require"] = ", ".join(tags)
            url = media_url(base, media.control)
            answered = await _request_setup(connection, url, fields, agreement)
            response = answered.response
            if response.code == Status.UNSUPPORTED_TRANSPORT and may_change and not done.tracks:
                raise TransportRefusedError(
                    "the server does not send media by UDP", needs_new_connection=False
                )
            if not response.is_success:
                raise refusal("SETUP", url, answered)
            agreed = _agreed(asked, response.fields.get("Transport"), connection, options, done)
            if agreed.is_tcp and choice != "tcp":
                if may_change:
                    raise TransportRefusedError("the server answered UDP with TCP", needs_new_connection=True)
                raise ProtocolViolation("the server answered UDP with TCP", hint="use transport='tcp'")
            track = await _track(network, connection, index, media, agreed, options, done)
            if agreement is not None:
                track = evolve(track, keys=agreement.settle(response), ssrc=agreement.ssrc)
            done.tracks.append(track)
    except BaseException:
        done.close()
        raise
    return done


async def _request_setup(
    connection: ClientConnection, url: RtspUrl, fields: Fields, agreement: KeyAgreement | None
) -> Answered:
    if agreement is None:
        return await connection.request("SETUP", url, fields)
    fields["KeyMgmt"] = agreement.header(url.text)
    answered = await connection.request("SETUP", url, fields)
    if agreement.takes_over(answered.response):
        fields["KeyMgmt"] = agreement.header(url.text)
        answered = await connection.request("SETUP", url, fields)
    return answered


async def _ask_for(
    network: Network,
    connection: ClientConnection,
    choice: TransportChoice,
    slot: int,
    options: RtspOptions,
    mode: Mode,
) -> tuple[Transport, list[DatagramEndpoint]]:
    # Some servers reject a request to play that says so.
    wanted_mode = mode if mode is Mode.RECORD else None
    if choice == "tcp":
        channels = (2 * slot, 2 * slot + 1)
        asked = Transport(
            lower=LowerTransport.TCP, delivery=Delivery.UNICAST, interleaved=channels, mode=wanted_mode
        )
        return asked, []
    if choice == "multicast":
        return Transport(lower=LowerTransport.UDP, delivery=Delivery.MULTICAST, mode=wanted_mode), []
    family = 6 if connection.peer.is_ipv6 else 4
    pair = await open_port_pair(network, EndpointOptions(family=family))
    ports = (pair[0].local_address.port, pair[1].local_address.port)
    asked = Transport(
        lower=LowerTransport.UDP, delivery=Delivery.UNICAST, client_port=ports, mode=wanted_mode
    )
    return asked, list(pair)


def _agreed(
    asked: Transport, text: str | None, connection: ClientConnection, options: RtspOptions, done: MediaSet
) -> AgreedTransport:
    if text is None:
        # Some servers leave it out; then it is what was asked, if that is enough to go on.
        text = str(asked)
    in_use = frozenset(
        channel for track in done.tracks if track.channels is not None for channel in track.channels
    )
    try:
        return agree(
            asked,
            Transport.parse(text),
            peer_host=connection.peer.host,
            trust_source=options.trust_source,
            any_port=options.any_port,
            channels_in_use=in_use,
        )
    except MalformedPacket as exc:
        raise ProtocolViolation(f"{exc.reason}: {text!r}") from exc


async def _track(
    network: Network,
    connection: ClientConnection,
    index: int,
    media: Media,
    agreed: AgreedTransport,
    options: RtspOptions,
    done: MediaSet,
) -> TrackSetup:
    if agreed.is_tcp:
        return TrackSetup(index=index, media=media, channels=agreed.channels)
    transport = agreed.transport
    if transport.is_multicast:
        assert transport.destination is not None
        assert transport.port is not None
        group, ports = transport.destination, transport.port
        interface = options.multicast_interface or connection.stream.local_address.host
        for port in ports:
            done.endpoints.append(
                await network.open_datagram_endpoint(
                    EndpointOptions(
                        local=Address(group, port),
                        groups=(group,),
                        interface=interface,
                        family=6 if ":" in group else 4,
                        ttl=transport.ttl or 16,
                    )
                )
            )
        return TrackSetup(
            index=index, media=media, host=agreed.source_host, group=Address(group, ports[1]), punches=False
        )
    ports_or_none = agreed.server_port
    return TrackSetup(
        index=index,
        media=media,
        host=agreed.source_host,
        rtp_port=ports_or_none[0] if ports_or_none else None,
        rtcp_port=ports_or_none[1] if ports_or_none else None,
        punches=not media.is_back_channel,
    )
