"""A stream being played: packets, pause, seek; falls back from UDP to TCP, and reconnects where it may."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, NoReturn, Self

import trio
from attrs import evolve

from terzetto.driver.clock import current_micros
from terzetto.driver.delivery import PacketQueue
from terzetto.driver.reconnecting import Reconnector
from terzetto.driver.session import Session, SessionPath
from terzetto.errors import (
    MalformedPacket,
    PeerError,
    PeerTimedOut,
    ProtocolViolation,
    TerzettoError,
    UnsupportedOperation,
)
from terzetto.primitives.datagrams import Address, Buffer, Run
from terzetto.primitives.time import micros, seconds
from terzetto.rtsp.client.back_channel import BackChannel
from terzetto.rtsp.client.connection import ClientConnection
from terzetto.rtsp.client.key_agreement import KeyAgreement
from terzetto.rtsp.client.setup import MediaSet, TransportRefusedError, setup_medias
from terzetto.rtsp.core.media_sender import MediaSender
from terzetto.rtsp.core.reception import PacketsArrived, Reception, ReceptionEvent
from terzetto.rtsp.core.track import ReceptionSettings
from terzetto.rtsp.events import RtspPacket, TransportChanged
from terzetto.rtsp.formats.writer import can_write
from terzetto.rtsp.options import TransportChoice
from terzetto.rtsp.statistics import SessionReceiveStatistics, session_received
from terzetto.rtsp.wire.description import Description
from terzetto.rtsp.wire.fields import Fields
from terzetto.rtsp.wire.headers.range import NOW, NptRange, Range
from terzetto.rtsp.wire.headers.replay import Replay
from terzetto.rtsp.wire.headers.require import BACKCHANNEL, ONVIF_REPLAY
from terzetto.rtsp.wire.headers.rtp_info import RtpInfo, parse_rtp_info
from terzetto.rtsp.wire.headers.scale import format_scale, parse_scale
from terzetto.rtsp.wire.headers.transport import Mode
from terzetto.rtsp.wire.interleaved import Frame, encode_frames

if TYPE_CHECKING:
    from terzetto.rtsp.client.client import RtspClient

__all__ = ["RtspPlayback"]


class RtspPlayback:
    """Packets of the medias that play, in order; `async for` gives one, `receive_packets` all that wait."""

    def __init__(
        self,
        client: RtspClient,
        indexes: Sequence[int],
        *,
        start: Range | None,
        scale: float | None,
        speed: float | None,
        replay: Replay | None = None,
    ) -> None:
        self._client = client
        self._options = client.options
        self._indexes = list(indexes)
        self._range = start
        self._scale = scale
        self._speed = speed
        self._replay = replay
        self._queue = PacketQueue[RtspPacket](client.options.delivery_limit)
        self._reception: Reception | None = None
        self._medias: MediaSet | None = None
        self._udp: Session[ReceptionEvent] | None = None
        self._udp_scope: trio.CancelScope | None = None
        self._connection: ClientConnection | None = None
        self._senders: dict[int, MediaSender] = {}
        self._scope = trio.CancelScope()
        self._paused = False
        self._moves = 0  # redirects, one after the other, behind which no packet came
        self._closed = False
        self._choice: TransportChoice = client.options.transport
        self._in_use: TransportChoice = self._choice
        self.description: Description | None = None
        self.range: str | None = None
        """What the server says it plays, as text."""
        self.scale: float | None = None
        """How fast the presentation goes by, where the server says so."""
        self.speed: float | None = None
        """How fast it is delivered, where the server says so."""
        self.rtp_info: list[RtpInfo] = []
        self.play_number = 0
        """The CSeq of the last PLAY; its lower eight bits stand in `RtspPacket.replay` of packets that answer it."""

    # -- for users -----------------------------------------------------------------------------------------------

    @property
    def transport(self) -> TransportChoice:
        """How the media comes."""
        return self._in_use

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> RtspPacket:
        packets = await self._queue.get()
        if not packets:
            raise StopAsyncIteration
        self._queue.put_back(packets[1:])
        return packets[0]

    async def receive_packets(self) -> list[RtspPacket]:
        """All packets that wait, at least one; empty at the end."""
        return await self._queue.get()

    async def receive_some(self) -> bytes:
        """Payloads that wait, joined: the stream itself, where the media is an MPEG transport stream."""
        return b"".join([packet.payload for packet in await self._queue.get()])

    async def pause(self) -> None:
        """Stop the flow, and keep the session."""
        connection = self._require_connection()
        await connection.request_ok("PAUSE", self._client.base)
        self._paused = True

    async def resume(self, range: Range | None = None) -> None:  # noqa: A002
        """Let it flow again, from *range* if given."""
        connection = self._require_connection()
        if range is not None:
            self._range = range
        assert self._reception is not None
        await self._ask_to_play(connection, self._reception, range)
        self._paused = False

    async def seek(self, range: Range) -> None:  # noqa: A002
        """Go on from somewhere else: PAUSE, then PLAY. A replay needs no pause: PLAY drops what is under way."""
        if self._replay is not None:
            self._replay = evolve(self._replay, immediate=True)
        elif not self._paused:
            await self.pause()
        if self._reception is not None:
            self._reception.begin_again()
        await self.resume(range)

    async def send(self, media: int, packets: Sequence[Buffer]) -> None:
        """Send RTP packets on a back channel that was set up."""
        reception, connection = self._reception, self._require_connection()
        sender = self._senders.get(media)
        if sender is None or reception is None:
            raise UnsupportedOperation(f"media {media} is no back channel that was set up")
        now = current_micros()
        try:
            accepted = sender.accept(packets, now=now)
        except MalformedPacket as exc:
            raise ValueError(f"cannot send that: {exc.reason}") from None
        report = sender.report(now=now)
        for slot, track in enumerate(reception.tracks):
            setup = track.setup
            if setup.index != media:
                continue
            for is_rtcp, batch in ((False, accepted), (True, [report] if report else [])):
                if setup.keys is not None:
                    batch = setup.keys.seal(batch, is_rtcp=is_rtcp)
                if not batch:
                    continue
                if setup.channels is not None:
                    connection.control.send_frames(encode_frames(setup.channels[is_rtcp], batch))
                else:
                    port = setup.rtcp_port if is_rtcp else setup.rtp_port
                    if port:
                        reception.push(Run(Address(setup.host, port), batch, 2 * slot + is_rtcp))
        connection.session.drain()
        if self._udp is not None:
            self._udp.drain()
            await self._udp.wait_writable()
        await connection.session.wait_written()
        await trio.lowlevel.checkpoint()

    def back_channel(self, media: int | None = None, *, payload_type: int | None = None) -> BackChannel:
        """The back channel with that index, or the only one that was set up, as a stream to send sound by.

        Of several formats the first is used that we can write, or the one with that payload type.
        """
        if media is None:
            media = next(iter(self._senders), -1)
        if media not in self._senders or self.description is None:
            raise UnsupportedOperation(
                "no back channel was set up"
                if media < 0
                else f"media {media} is no back channel that was set up",
                hint="open the client with back_channel=True, and play all of description.medias",
            )
        formats = self.description.medias[media].formats
        chosen = next(
            (
                each
                for each in formats
                if (payload_type is None and can_write(each)) or each.payload_type == payload_type
            ),
            None,
        )
        if chosen is None:
            names = ", ".join(each.encoding or "unknown" for each in formats)
            raise UnsupportedOperation(
                f"nobody here knows how to write {names}", hint="send packets by send()"
            )
        return BackChannel(chosen, partial(self.send, media), self._client.network.entropy)

    def statistics(self) -> SessionReceiveStatistics:
        """Counters of what came."""
        return session_received(self._reception, shed=self._queue.shed)

    # -- for the client ------------------------------------------------------------------------------------------

    async def start(self, description: Description) -> None:
        """Set up and play, then look after it in the background."""
        await self._establish(description)
        self._client.nursery.start_soon(self._look_after)

    async def aclose(self) -> None:
        """Tear down."""
        if self._closed:
            return
        self._closed = True
        self._scope.cancel()
        self._queue.close()
        connection = self._connection
        self._stop_media()
        if connection is not None:
            await connection.close(self._client.base)

    # -- inside --------------------------------------------------------------------------------------------------

    def _require_connection(self) -> ClientConnection:
        if self._closed:
            raise trio.ClosedResourceError
        if self._connection is None:
            raise PeerError("the stream is being reconnected")
        return self._connection

    async def _establish(self, description: Description) -> None:
        """Set up and play; when the server wants another transport, once more with TCP."""
        choice = self._first_choice(description)
        while True:
            try:
                await self._try(description, choice)
                return
            except TransportRefusedError as exc:
                self._stop_media()
                choice = "tcp"
                self._client.hub.publish(TransportChanged("tcp", exc.reason))
                if exc.needs_new_connection:
                    self._client.drop_connection()
                    description = await self._client.describe()

    def _first_choice(self, description: Description) -> TransportChoice:
        if self._choice != "auto":
            return self._choice
        if self._options.is_confined:
            return "tcp"
        # In clear beside an encrypted connection it would travel otherwise.
        in_clear = not all(media.is_secure for media in description.medias)
        return "tcp" if self._client.request_url.is_secure and in_clear else "udp"

    async def _try(self, description: Description, choice: TransportChoice) -> None:
        client, options = self._client, self._options
        connection = await client.connection()
        medias = [
            (index, description.medias[index]) for index in self._indexes if index < len(description.medias)
        ]
        if not medias:
            raise UnsupportedOperation(f"{client.url}: there is no media to play")
        ssrc = int.from_bytes(client.network.entropy(4), "big")
        self._medias = await setup_medias(
            client.network,
            connection,
            client.base,
            medias,
            choice,
            options,
            mode=Mode.PLAY,
            agreements={
                index: KeyAgreement(
                    media, description, ssrc=ssrc, ntp=client.ntp(), entropy=client.network.entropy
                )
                for index, media in medias
                if media.is_secure
            },
            requires=(ONVIF_REPLAY,) if self._replay is not None else (),
        )
        now = current_micros()
        reception = Reception(
            self._medias.tracks,
            ReceptionSettings(
                reorder_window=options.reorder_packets, reorder_patience=micros(options.reorder_time)
            ),
            ssrc=ssrc,
            now=now,
        )
        offset = client.network.wall_clock_offset()
        self._senders = {
            index: MediaSender(media, wall_clock_offset=offset, ssrc=ssrc if media.is_secure else None)
            for index, media in medias
            if media.is_back_channel
        }
        self.description = description
        self._reception = reception
        self._connection = connection
        connection.on_frames = self._take_frames
        if self._medias.is_tcp:
            connection.is_ready = self._has_room
            connection.session.tick = options.tick
        else:
            paths = [
                SessionPath(endpoint, options.tick if index % 2 == 0 else 0.0)
                for index, endpoint in enumerate(self._medias.endpoints)
            ]
            self._udp = Session(reception, paths, deliver=self._take_events)
            self._udp_scope = trio.CancelScope()
            await client.nursery.start(self._run_udp, self._udp, self._udp_scope)
        # Some servers insist on the header when they begin. Whoever talks does so now: a seek makes no sense there, and
        # gst-rtsp-server fails in one.
        await self._ask_to_play(connection, reception, self._range or NptRange(NOW if self._senders else 0))
        self._in_use = choice

    async def _run_udp(
        self,
        session: Session[ReceptionEvent],
        scope: trio.CancelScope,
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        with scope:
            await session.run(task_status=task_status)

    async def _ask_to_play(
        self, connection: ClientConnection, reception: Reception, start: Range | None
    ) -> None:
        fields = Fields()
        if start is not None:
            fields["Range"] = str(start)
        if self._scale is not None:
            fields["Scale"] = format_scale(self._scale)
        if self._speed is not None:
            fields["Speed"] = format_scale(self._speed)
        tags = [BACKCHANNEL] if self._senders else []
        if self._replay is not None:
            tags.append(ONVIF_REPLAY)
            self._replay.write(fields)
        if tags:
            fields["Require"] = ", ".join(tags)
        response = await connection.request_ok("PLAY", self._client.base, fields)
        number = response.cseq or ""
        self.play_number = int(number) if number.isdecimal() else 0
        self.range = response.fields.get("Range")
        self.scale = _factor(response.fields.get("Scale"))
        self.speed = _factor(response.fields.get("Speed"))
        text = response.fields.get("RTP-Info")
        if text is not None:
            try:
                self.rtp_info = parse_rtp_info(text)
            except MalformedPacket:
                self.rtp_info = []
        now = current_micros()
        reception.last_heard = now
        connection.control.start_keepalive(self._client.base, now=now)
        connection.session.drain()

    def _has_room(self) -> bool:
        return len(self._queue) < self._options.delivery_limit // 2

    def _take_frames(self, frames: list[Frame]) -> None:
        reception = self._reception
        if reception is not None:
            reception.handle_frames(frames, now=current_micros())
            self._take_events(reception.poll_events())

    def _take_events(self, events: list[ReceptionEvent]) -> None:
        for event in events:
            if isinstance(event, PacketsArrived):
                self._queue.put(event.packets)
            else:
                self._client.hub.publish(event)

    def _stop_media(self) -> None:
        if self._udp_scope is not None:
            # The session closes its sockets as it ends; closing them here would surprise its readers.
            self._udp_scope.cancel()
            self._udp_scope = self._udp = None
        elif self._medias is not None:
            self._medias.close()
        self._medias = None
        if self._connection is not None:
            self._connection.on_frames = None
            self._connection.is_ready = None
            self._connection.session.tick = 0.0
        self._connection = None

    async def _look_after(self) -> None:
        with self._scope:
            while not self._closed:  # who plays one packet and leaves may be gone before this task has begun
                try:
                    await self._watch()
                except TerzettoError as exc:
                    if not await self._recover(await self._leave(exc)):
                        return

    async def _watch(self) -> NoReturn:
        """Raise what ended the stream, once something did."""
        connection, reception = self._connection, self._reception
        assert connection is not None
        assert reception is not None
        began = trio.current_time()
        only_back_channels = len(self._senders) == len(reception.tracks)
        while True:
            with trio.move_on_after(min(1.0, self._options.first_packet_timeout)):
                await connection.lost.wait()
                raise connection.error()
            # Whoever takes its time keeps the server waiting, which is then silent for no fault of its own.
            is_held = self.transport == "tcp" and not self._has_room()
            if self._paused or only_back_channels or is_held:
                began = trio.current_time()
                reception.last_heard = current_micros()
                continue
            is_udp_guess = self._options.transport == "auto" and self.transport != "tcp"
            waited = trio.current_time() - began
            if is_udp_guess and not reception.has_heard and waited >= self._options.first_packet_timeout:
                raise _NothingByUdp(f"no packet came by UDP within {waited:.1f} s")
            last = max(reception.last_heard, connection.control.last_heard if self.transport == "tcp" else 0)
            silent = seconds(current_micros() - last)
            if silent >= self._options.read_timeout:
                raise PeerTimedOut(f"{self._client.url}: nothing came for {silent:.1f} s")

    async def _leave(self, failure: TerzettoError) -> TerzettoError:
        """Let go of the connection, saying goodbye where the server sent us elsewhere; why we left."""
        client, connection, reception = self._client, self._connection, self._reception
        self._stop_media()
        if connection is not None and connection.redirect is not None:
            self._moves = 1 if reception is None or reception.has_heard else self._moves + 1
            failure = _MovedError(str(failure))
            if self._moves > self._options.max_redirects:
                failure = ProtocolViolation(f"{client.url}: the server redirects without end")
            await connection.close(client.base)
        try:
            client.drop_connection()
        except ProtocolViolation as exc:
            return exc
        return failure

    async def _recover(self, failure: TerzettoError) -> bool:
        """Play again, if we may; False when the stream has ended."""
        policy = self._options.reconnect
        if isinstance(failure, (_NothingByUdp, _MovedError)):
            if isinstance(failure, _NothingByUdp):
                self._choice = "tcp"
                self._client.hub.publish(TransportChanged("tcp", str(failure)))
            problem = await self._establish_again()
            if problem is None:
                return True
            failure = problem
            if not isinstance(problem, PeerError):
                policy = None
        client = self._client
        again = Reconnector(policy, str(client.url), entropy=client.network.entropy, tell=client.hub.publish)
        while await again.wait(str(failure)):
            problem = await self._establish_again()
            if problem is None:
                return True
            failure = problem
        self._queue.end(failure)
        return False

    async def _establish_again(self) -> TerzettoError | None:
        """Describe, set up and play once more; what went wrong."""
        try:
            await self._establish(await self._client.describe())
        except TerzettoError as exc:
            self._stop_media()
            self._client.drop_connection()
            return exc
        return None


def _factor(text: str | None) -> float | None:
    try:
        return parse_scale(text) if text is not None else None
    except MalformedPacket:
        return None


class _NothingByUdp(PeerTimedOut):  # a reason to try TCP, never seen outside
    pass


class _MovedError(PeerError):  # a REDIRECT, to be followed whatever the policy; never seen outside
    pass
