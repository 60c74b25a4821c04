"""A stream being published: ANNOUNCE, SETUP, RECORD, and packets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import trio
from attrs import evolve

from terzetto.driver.clock import current_micros
from terzetto.driver.session import Session, SessionPath
from terzetto.errors import MalformedPacket, UnsupportedOperation
from terzetto.primitives.datagrams import Buffer
from terzetto.primitives.time import Micros
from terzetto.rtp.srtp import SrtpSender
from terzetto.rtsp.client.connection import ClientConnection
from terzetto.rtsp.client.key_agreement import KeyAgreement
from terzetto.rtsp.client.setup import MediaSet, TransportRefusedError, setup_medias
from terzetto.rtsp.core.media_keys import make_key, say_key
from terzetto.rtsp.core.transmission import Transmission, TransmissionEvent
from terzetto.rtsp.events import TransportChanged
from terzetto.rtsp.options import TransportChoice
from terzetto.rtsp.statistics import MediaSendStatistics, media_sent
from terzetto.rtsp.wire.description import Description
from terzetto.rtsp.wire.headers.content_type import SDP
from terzetto.rtsp.wire.headers.key_mgmt import format_key_mgmt_attribute
from terzetto.rtsp.wire.headers.transport import Mode
from terzetto.rtsp.wire.interleaved import Frame

if TYPE_CHECKING:
    from terzetto.rtsp.client.client import RtspClient

__all__ = ["RtspPublication"]

# Bytes that may wait for the server before `send` waits as well.
_BACKLOG = 1 << 20


class RtspPublication:
    """Sends RTP packets of the medias that were announced."""

    def __init__(self, client: RtspClient, description: Description) -> None:
        self._client = client
        self._medias: MediaSet | None = None
        self._core: Transmission | None = None
        self._udp: Session[TransmissionEvent] | None = None
        self._udp_scope = trio.CancelScope()
        self._connection: ClientConnection | None = None
        self._secure = [
            (SrtpSender(make_key(entropy)), int.from_bytes(entropy(4), "big"))
            for entropy in [client.network.entropy] * len(description.medias)
            if client.options.srtp
        ]
        medias = tuple(
            evolve(
                media,
                protocol="RTP/SAVP" if self._secure else "RTP/AVP",
                is_back_channel=False,
                key_management=self._said_key(index),
            )
            for index, media in enumerate(description.medias)
        )
        self.description = evolve(description, medias=medias).with_controls()

    async def send(self, media: int, packets: Sequence[Buffer], *, ntp: Micros | None = None) -> None:
        """Send packets of the media with that index; *ntp* is their wall clock, microseconds since 1970, if not now.

        Waits while the server takes less than it is sent. Raises `PeerError` once the connection is gone.
        """
        self.write(media, packets, ntp=ntp)
        await trio.lowlevel.checkpoint()
        connection = self._connection
        if self._udp is not None:
            await self._udp.wait_writable()
        elif connection is not None and not self.has_room:
            await connection.session.wait_written()

    @property
    def has_room(self) -> bool:
        """Whether the server keeps up; where it does not, what is written waits in memory."""
        if self._udp is not None:
            return self._udp.is_writable
        return self._connection is not None and self._connection.session.backlog <= _BACKLOG

    def write(self, media: int, packets: Sequence[Buffer], *, ntp: Micros | None = None) -> None:
        """The same as `send` without waiting; look at `has_room` before."""
        core, connection = self._core, self._connection
        if core is None or connection is None:
            raise trio.ClosedResourceError
        if connection.lost.is_set():
            raise connection.error()
        try:
            core.send(media, packets, now=current_micros(), ntp=ntp)
        except MalformedPacket as exc:
            raise ValueError(f"cannot send that: {exc.reason}") from None
        except KeyError:
            raise UnsupportedOperation(f"there is no media {media} in what was announced") from None
        if self._udp is not None:
            self._udp.drain()
            return
        connection.control.send_frames(core.poll_interleaved())
        connection.session.drain()

    def statistics(self) -> list[MediaSendStatistics]:
        """Counters of each media."""
        if self._core is None:
            return []
        return [media_sent(index, sender) for index, sender in self._core.senders.items()]

    # -- for the client ------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Announce, set up, record."""
        choice = self._first_choice()
        while True:
            try:
                await self._try(choice)
                return
            except TransportRefusedError as exc:
                choice = "tcp"
                self._client.hub.publish(TransportChanged("tcp", exc.reason))
                self._client.drop_connection()

    async def aclose(self) -> None:
        """Tear down, once everything is written."""
        self._udp_scope.cancel()
        connection, self._connection = self._connection, None
        self._core = None
        if connection is not None:
            await connection.close(self._client.request_url)
        if self._medias is not None and self._udp is None:
            self._medias.close()

    def _said_key(self, index: int) -> str | None:
        if not self._secure:
            return None
        sender, ssrc = self._secure[index]
        client = self._client
        return format_key_mgmt_attribute(
            say_key(sender, ssrc, ntp=client.ntp(), entropy=client.network.entropy)
        )

    def _first_choice(self) -> TransportChoice:
        chosen = self._client.options.transport
        if chosen == "multicast":
            raise UnsupportedOperation("publishing goes by UDP or TCP, not by multicast")
        if chosen != "auto":
            return chosen
        # A publisher's packets pass any firewall inside the connection, and none is lost.
        return "tcp"

    async def _try(self, choice: TransportChoice) -> None:
        client = self._client
        connection = await client.connection()
        url = client.request_url
        body = self.description.to_sdp(include_back_channels=True).encode()
        await connection.request_ok("ANNOUNCE", url, {"Content-Type": SDP}, body)
        self._medias = await setup_medias(
            client.network,
            connection,
            url,
            list(enumerate(self.description.medias)),
            choice,
            client.options,
            mode=Mode.RECORD,
            agreements={
                index: KeyAgreement(
                    self.description.medias[index],
                    None,
                    ssrc=ssrc,
                    ntp=client.ntp(),
                    entropy=client.network.entropy,
                    sender=sender,
                )
                for index, (sender, ssrc) in enumerate(self._secure)
            },
        )
        self._core = Transmission(
            self._medias.tracks,
            wall_clock_offset=client.network.wall_clock_offset(),
            cname="terzetto",
            now=current_micros(),
        )
        self._connection = connection
        if self._medias.is_tcp:
            connection.on_frames = self._take_frames
        else:
            self._udp = Session(
                self._core, [SessionPath(each) for each in self._medias.endpoints], deliver=self._take_events
            )
            await client.nursery.start(self._run_udp, self._udp)
        await connection.request_ok("RECORD", url)
        # Over TCP our frames are signs of life enough, but say nothing while there is nothing to send.
        connection.control.start_keepalive(url, now=current_micros())
        connection.session.drain()

    async def _run_udp(
        self,
        session: Session[TransmissionEvent],
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        with self._udp_scope:
            await session.run(task_status=task_status)

    def _take_frames(self, frames: list[Frame]) -> None:
        if self._core is not None:
            self._core.handle_frames(frames, now=current_micros())
            self._take_events(self._core.poll_events())

    def _take_events(self, events: list[TransmissionEvent]) -> None:
        for event in events:
            self._client.hub.publish(event)
