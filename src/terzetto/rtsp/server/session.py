"""A session at work on the server: a reader being sent a stream, or a publisher being received."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import trio

from terzetto.driver.clock import current_micros
from terzetto.driver.delivery import PacketQueue
from terzetto.primitives.datagrams import Address, Buffer, Run
from terzetto.primitives.time import MICROS_PER_SECOND, Micros, micros
from terzetto.rtp.receiver_report import ReceiverReport
from terzetto.rtp.rtcp import decode_compound
from terzetto.rtp.sender_report import SenderReport
from terzetto.rtsp.core.random_access import starts_clock_test
from terzetto.rtsp.core.reception import PacketsArrived, Reception, ReceptionEvent
from terzetto.rtsp.core.rtsp_states import State
from terzetto.rtsp.core.server_session import Lower, ServerSession
from terzetto.rtsp.core.track import ReceptionSettings, TrackSetup
from terzetto.rtsp.core.transmission import wants_keyframe
from terzetto.rtsp.events import PacketsLost, PacketsNotUnderstood, RtspPacket
from terzetto.rtsp.server.account import Account
from terzetto.rtsp.statistics import SessionReceiveStatistics, SessionSendStatistics, session_received
from terzetto.rtsp.stream import Batch, Reader, ServerStream
from terzetto.rtsp.wire.description import Description
from terzetto.rtsp.wire.interleaved import FRAME_HEADER_SIZE, Frame
from terzetto.rtsp.wire.url import RtspUrl, parse_user_url

if TYPE_CHECKING:
    from terzetto.rtsp.server.connection import RtspServerConnection
    from terzetto.rtsp.server.server import RtspServer

__all__ = ["RtspServerSession"]

_REPORT_INTERVAL: Micros = 10 * MICROS_PER_SECOND
_QUEUE_LIMIT = 16_384


class RtspServerSession(Reader):
    """One session; handlers get it with each request, and with ``session_opened``."""

    def __init__(self, server: RtspServer, rules: ServerSession, connection: RtspServerConnection) -> None:
        self._server = server
        self._rules = rules
        self._connection: RtspServerConnection | None = connection
        self._local_host = connection.local_address.host
        self.stream: ServerStream | None = None
        """What is read."""
        self.description: Description | None = None
        """What is published."""
        self.announced_url: RtspUrl | None = None
        self.user_data: object = None
        """The application's own."""
        self.on_packets: Callable[[list[RtspPacket]], None] | None = None
        """Set it to be called with a publisher's packets (or those of a back channel); it must not wait."""
        self._queue: PacketQueue[RtspPacket] | None = None
        self._reception: Reception | None = None
        self._timer_scope: trio.CancelScope | None = None
        self._thinning: set[int] = set()
        self._closed_reason: str | None = None
        self._accounts: dict[int, Account] = {}
        self._shed = 0
        self._rtcp_received = 0
        self._rtcp_in_error = 0

    # -- for handlers --------------------------------------------------------------------------------------------

    @property
    def state(self) -> State:
        """Where the session stands."""
        return self._rules.state

    @property
    def path(self) -> str | None:
        """The path it was opened for."""
        return self._rules.path

    @property
    def user(self) -> str | None:
        """Who opened it."""
        return self._rules.user

    @property
    def host(self) -> str:
        """The address it was opened from."""
        return self._rules.host

    @property
    def transport(self) -> str | None:
        """``udp``, ``tcp`` or ``multicast``; None before the first SETUP."""
        return self._rules.lower.value if self._rules.lower is not None else None

    @property
    def is_closed(self) -> bool:
        """Whether it has ended."""
        return self._closed_reason is not None

    def packets(self) -> PacketQueue[RtspPacket]:
        """A publisher's packets, for a task that reads them with ``await packets.get()``."""
        if self._queue is None:
            self._queue = PacketQueue(_QUEUE_LIMIT)
            if self._closed_reason is not None:
                self._queue.end()
        return self._queue

    def close(self, reason: str = "closed by the server") -> None:
        """End the session."""
        self._server.close_session(self, reason)

    def redirect(self, url: str) -> bool:
        """Ask the client to go on at *url* (REDIRECT); False where no connection is left to say it by.

        A client that obeys ends this session and opens one there. One that does not stays: end it with `close`.
        ffmpeg and GStreamer play on as if nothing had been said.
        """
        target = parse_user_url(url)
        connection = self._connection
        if self.is_closed or connection is None:
            return False
        return connection.redirect(target, path=self.path or "/", session=self._rules.token)

    @property
    def has_room(self) -> bool:
        """Whether a reader over TCP takes what it is sent; beyond, packets are left out. A replay without rate control
        waits for it."""
        connection = self._connection
        return connection is None or connection.backlog <= self._server.options.reader_backlog // 2

    def received(self) -> SessionReceiveStatistics:
        """Counters of what a publisher sent."""
        return session_received(self._reception, shed=self._queue.shed if self._queue is not None else 0)

    def sent(self) -> SessionSendStatistics:
        """Counters of what a reader was sent, and reported back."""
        return SessionSendStatistics(
            medias=tuple(account.statistics(media) for media, account in sorted(self._accounts.items())),
            shed=self._shed,
            rtcp_received=self._rtcp_received,
            rtcp_in_error=self._rtcp_in_error,
        )

    # -- for the server ------------------------------------------------------------------------------------------

    @property
    def rules(self) -> ServerSession:
        """The pure part."""
        return self._rules

    @property
    def connection(self) -> RtspServerConnection | None:
        """The connection that drives it, or drove it last."""
        return self._connection

    @connection.setter
    def connection(self, connection: RtspServerConnection | None) -> None:
        self._connection = connection

    def hear(self) -> None:
        """There was a sign of life."""
        self._rules.last_heard = current_micros()

    def start_reading(self) -> None:
        """PLAY was answered: let the stream flow."""
        stream, rules = self.stream, self._rules
        if stream is None:
            return
        stream.note_playing(self, is_playing=True)
        medias = stream.description.medias
        back = [index for index in rules.set_up if medias[index].is_back_channel]
        if back and self._reception is None:
            self._receive(back)
        for index, each in rules.set_up.items():
            if index in back:
                continue
            account = self._accounts.setdefault(index, Account(stream.sender(index)))
            if rules.lower is not Lower.TCP:
                account.begin()
            if rules.lower is Lower.UDP and each.client_ports is not None:
                udp = self._server.udp
                assert udp is not None
                rtp, rtcp = (Address(rules.host, port) for port in each.client_ports)
                stream.activate_udp(
                    index,
                    udp.endpoints,
                    rtp,
                    rtcp,
                    udp.source_for(self._local_host),
                    is_secure=each.keys is not None,
                )
            elif rules.lower is Lower.TCP:
                stream.activate(index, self)

    def stop_reading(self) -> None:
        """Let nothing flow any more."""
        stream, rules = self.stream, self._rules
        if stream is None:
            return
        stream.note_playing(self, is_playing=False)
        for index, each in rules.set_up.items():
            stream.deactivate(index, self)
            if each.client_ports is not None:
                rtp, rtcp = (Address(rules.host, port) for port in each.client_ports)
                stream.deactivate_udp(index, rtp, rtcp)
        for account in self._accounts.values():
            account.end()

    def start_receiving(self) -> None:
        """RECORD is about to be answered: packets may come."""
        assert self.description is not None
        if self._reception is None:
            self._receive(list(self._rules.set_up))
        else:
            self._reception.begin_again()

    def deliver(self, batch: Batch) -> None:
        """Send a batch inside the connection, or leave it out when the reader is too slow."""
        connection = self._connection
        each = self._rules.set_up.get(batch.media)
        if connection is None or each is None or each.channels is None:
            return
        options = self._server.options
        packets = batch.packets
        if self._thinning and batch.media in self._thinning and not batch.is_rtcp:
            resumed = self._resume(batch, connection.backlog, options.reader_backlog // 2)
            if resumed is None:
                self._shed += len(packets)
                return
            self._shed += len(packets) - len(resumed.packets)
            batch = resumed
        if each.keys is not None and each.keys.outbound is not None:
            batch = batch.sealed(each.keys.outbound)
        data = batch.interleaved(each.channels[batch.is_rtcp])
        if connection.write(data, limit=options.reader_backlog):
            account = self._accounts[batch.media]
            if batch.is_rtcp:
                account.rtcp_packets += len(batch.packets)
            else:
                account.packets += len(batch.packets)
                account.bytes += len(data) - FRAME_HEADER_SIZE * len(batch.packets)
            return
        self._shed += len(batch.packets)
        self._server.handler.write_error(self, "the reader is slower than the stream")
        if options.slow_reader == "drop":
            self._server.close_session(self, "too slow")
            connection.close_soon("too slow")
        elif not batch.is_rtcp:
            self._thinning.add(batch.media)

    def end(self, reason: str) -> None:
        """The stream is over."""
        self._server.close_session(self, reason)

    def take_frames(self, frames: list[Frame]) -> None:
        """Interleaved packets came from the client."""
        self.hear()
        if self._reception is not None:
            now = current_micros()
            self._reception.handle_frames(frames, now=now)
            self._take_events(self._reception.poll_events())
        if self.stream is not None:
            media_of = {
                each.channels[1]: each.media
                for each in self._rules.set_up.values()
                if each.channels is not None
            }
            for channel, data in frames:
                media = media_of.get(channel)
                if media is not None and data:
                    self.take_report(media, data)

    def take_datagrams(self, media: int, run: Run, *, is_rtcp: bool) -> None:
        """Datagrams came from one of the client's ports."""
        self.hear()
        reception = self._reception
        if reception is not None:
            for slot, track in enumerate(reception.tracks):
                if track.index == media:
                    reception.handle_datagrams([run._replace(path=2 * slot + is_rtcp)], now=current_micros())
                    self.drain_reception()
                    return
        if is_rtcp and self.stream is not None:
            for datagram in run.datagrams:
                self.take_report(media, datagram)

    def take_report(self, media: int, data: Buffer) -> None:
        """A reader reports on what it gets."""
        stream = self.stream
        if stream is None:
            return
        each = self._rules.set_up.get(media)
        if each is not None and each.keys is not None:
            opened = each.keys.open((data,), is_rtcp=True)
            if not opened:
                return
            data = opened[0]
        compound = decode_compound(data)
        self._rtcp_received += 1
        self._rtcp_in_error += compound.fault is not None
        account = self._accounts.get(media)
        for packet in compound.packets:
            if isinstance(packet, (ReceiverReport, SenderReport)):
                for block in packet.blocks:
                    if stream.sender(media).hear_report(block, packet.ssrc) and account is not None:
                        account.reported_lost, account.reporter = block.cumulative_lost, packet.ssrc
        if compound.unknown and compound.fault is None and wants_keyframe(data):
            wanted = stream.on_keyframe_wanted
            if wanted is not None:
                wanted(media)

    def drain_reception(self) -> None:
        """Send and deliver what reception has to offer."""
        reception = self._reception
        if reception is None:
            return
        runs = reception.poll_transmits()
        if runs and self._server.udp is not None:
            self._server.udp.send(runs, self._local_host)
        self._take_events(reception.poll_events())

    def finish(self, reason: str) -> None:
        """Let go of everything; the server calls it once."""
        self._closed_reason = reason
        self.stop_reading()
        if self.stream is not None:
            self.stream.remove(self)
            if self._rules.lower is Lower.MULTICAST:
                for media in self._rules.set_up:
                    self.stream.leave_group(media)
        if self._timer_scope is not None:
            self._timer_scope.cancel()
        if self._queue is not None:
            self._queue.end()

    def _resume(self, batch: Batch, backlog: int, low: int) -> Batch | None:
        """What of *batch* a thinned reader may have: from the next picture that needs no other on."""
        if backlog > low or self.stream is None:
            return None
        formats = {each.payload_type: each for each in self.stream.description.medias[batch.media].formats}
        for position, packet in enumerate(batch.packets):
            each = formats.get(packet[1] & 0x7F)
            test = starts_clock_test(each.codec) if each is not None else None
            if test is None or test(memoryview(packet)[12:]):
                self._thinning.discard(batch.media)
                return Batch(batch.media, batch.packets[position:], is_rtcp=False)
        return None

    def _receive(self, medias: list[int]) -> None:
        rules = self._rules
        description = self.description or (self.stream.description if self.stream is not None else None)
        assert description is not None
        setups = []
        for index in medias:
            each = rules.set_up[index]
            ports = each.client_ports
            setups.append(
                TrackSetup(
                    index=index,
                    media=description.medias[index],
                    host=rules.host if ports is not None else "",
                    rtp_port=ports[0] if ports is not None else None,
                    rtcp_port=ports[1] if ports is not None else None,
                    channels=each.channels,
                    keys=each.keys,
                )
            )
        options = self._server.options
        settings = ReceptionSettings(report_interval=_REPORT_INTERVAL, cname=options.server_name)
        self._reception = Reception(
            setups,
            settings,
            ssrc=int.from_bytes(self._server.network.entropy(4), "big"),
            now=current_micros(),
        )
        if rules.lower is Lower.UDP:
            self._timer_scope = trio.CancelScope()
            self._server.nursery.start_soon(self._keep_time, self._reception, self._timer_scope)

    async def _keep_time(self, reception: Reception, scope: trio.CancelScope) -> None:
        # Reception over UDP waits for what is missing, and reports; a hundredth of a second is exact enough.
        with scope:
            while True:
                now = current_micros()
                due = reception.next_timeout()
                if due is not None and due <= now:
                    reception.handle_timeout(now=now)
                    self.drain_reception()
                    due = reception.next_timeout()
                wait = 0.25 if due is None else (due - current_micros()) / MICROS_PER_SECOND
                await trio.sleep(min(0.25, max(0.01, wait)))

    def _take_events(self, events: list[ReceptionEvent]) -> None:
        for event in events:
            if isinstance(event, PacketsArrived):
                if self.on_packets is not None:
                    self.on_packets(event.packets)
                elif self._queue is not None:
                    self._queue.put(event.packets)
            elif isinstance(event, PacketsLost):
                self._server.handler.packets_lost(self, event.media, event.count)
            elif isinstance(event, PacketsNotUnderstood):
                self._server.handler.decode_error(self, event.media, event.reason)

    def overdue(self) -> str | None:
        """Why the session should end for lack of signs of life, or None."""
        rules, options, now = self._rules, self._server.options, current_micros()
        if rules.state is State.RECORDING:
            # Signs of life do not count: a publisher is there to publish.
            last = self._reception.last_heard if self._reception is not None else rules.last_heard
            silent = now - last >= micros(options.read_timeout)
            return "the publisher sends nothing" if silent else None
        if rules.lower is Lower.TCP and rules.state is State.PLAYING:
            return None  # the connection answers for it
        return "no sign of life" if rules.is_silent(now=now, patience=micros(options.idle_timeout)) else None
