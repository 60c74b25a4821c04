"""Several SRT connections that carry one stream, as one trio stream."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Final

import trio

from terzetto.driver.clock import current_micros
from terzetto.errors import AllPathsFailed, PeerError
from terzetto.primitives.datagrams import Buffer
from terzetto.primitives.time import MICROS_PER_SECOND, Micros, micros
from terzetto.srt.core.connection import State
from terzetto.srt.core.group.group import Group
from terzetto.srt.events import PacketsSkipped, SrtEvent
from terzetto.srt.group_members import GroupMembers
from terzetto.srt.group_snapshots import group_snapshot
from terzetto.srt.group_statistics import SrtGroupStatistics
from terzetto.srt.packet_reader import PacketReader, SrtPacket
from terzetto.srt.packet_stream import PacketStream
from terzetto.srt.wire.numbers import SEQUENCE_MASK

__all__ = ["SrtGroup"]

_READ_PACKETS: Final = 1024


class SrtGroup(PacketStream):
    """Sends and receives live media with one peer over several connections.

    It is used like an `SrtStream`. In broadcast mode every packet travels on every member and the receiver takes
    the first copy; in backup mode one member sends and another takes over, with what was not acknowledged, when
    the peer falls silent on it; in balancing mode each packet travels on one of them. A member that fails is an
    event; `terzetto.errors.AllPathsFailed` is raised when the last one has and no other is being called.
    """

    def __init__(self, core: Group, payload_size: int) -> None:
        self._core = core
        self.members = GroupMembers(core, payload_size)
        """Who carries the group; for whoever brings them."""
        self._is_sending = False
        self._is_receiving = False
        self._reader = PacketReader(self._receive)
        self._next_position = core.reception.next
        self._skipped = 0
        self._began_at = current_micros()

    # What it is

    @property
    def mode(self) -> str:
        """``broadcast``, ``backup`` or ``balancing``."""
        return self._core.kind.name.lower()

    @property
    def group_id(self) -> int:
        """Our id of the group, which the peer knows it by."""
        return self._core.group_id

    @property
    def stream_id(self) -> str:
        """The stream id that the caller gave."""
        return self.members.present[0].connection.agreement.stream_id if self.members.present else ""

    @property
    def payload_size(self) -> int:
        """The most that one packet carries here."""
        return self.members.payload_size

    @property
    def is_ended(self) -> bool:
        """Whether it was closed, or came to its end."""
        return self.members.is_ended

    @property
    def size(self) -> int:
        """How many members there are."""
        return len(self.members.present)

    @property
    def failures(self) -> list[Exception]:
        """Why those members that are not there are not there."""
        return self.members.failures

    @property
    def is_connected(self) -> bool:
        """Whether at least one member is connected."""
        return self._core.is_connected

    @property
    def is_over(self) -> bool:
        """Whether no member is left and none is on its way."""
        return self.members.is_over

    def statistics(self) -> SrtGroupStatistics:
        """What the group delivered and how each member stands."""
        return group_snapshot(
            self._core,
            [(member.target, member.link) for member in self.members.present if member.link is not None],
            began_at=self._began_at,
            now=current_micros(),
        )

    def events(self) -> AsyncGenerator[SrtEvent, None]:
        """What happens from now on, after the most recent of what has happened."""
        return self.members.events.listen()

    # Members

    async def add(self, url: str) -> None:
        """Call one more member, in the background; `MemberJoined` or `MemberLost` tells how it went."""
        await self.members.need_dialler().add(url)

    async def remove(self, url: str) -> None:
        """Say goodbye to the member that was called by *url*, and do not call it again."""
        await self.members.need_dialler().remove(url)

    # Sending

    async def send_packets(self, payloads: Sequence[Buffer], *, source_time: float | None = None) -> None:
        """Send several payloads, one packet each, as one batch; waits while no member is connected."""
        if self._is_sending:
            raise trio.BusyResourceError("another task is sending on this group")
        self._check_sizes(payloads)
        self._is_sending = True
        try:
            await trio.lowlevel.checkpoint()
            sent = 0
            while True:
                self._check_open()
                now = current_micros()
                self.members.writable = trio.Event()
                left = payloads[sent:] if sent else payloads
                sent += self._core.send(left, origin=self._origin(source_time, now), now=now)
                self.members.settle(now)
                if sent >= len(payloads):
                    break
                if not self._core.wait_for_room(now=now):
                    await self.members.writable.wait()
            await self._wait_writable()
        finally:
            self._is_sending = False

    def send_packets_nowait(self, payloads: Sequence[Buffer]) -> None:
        """Send several payloads now, all or none; `trio.WouldBlock` when there is no room or no member."""
        if self._is_sending:
            raise trio.BusyResourceError("another task is sending on this group")
        self._check_open()
        self._check_sizes(payloads)
        now = current_micros()
        if not any(member.is_writable for member in self.members.present):
            raise trio.WouldBlock
        if self._core.room(now=now) < len(payloads):
            raise trio.WouldBlock
        self._core.send(payloads, origin=now, now=now)
        self.members.settle(now)

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until a member is connected and has room."""
        await trio.lowlevel.checkpoint()
        while True:
            self._check_open()
            self.members.writable = trio.Event()
            if self._core.wait_for_room(now=current_micros()):
                break
            await self.members.writable.wait()
        await self._wait_writable()

    async def _wait_writable(self) -> None:
        # A socket that does not take more is no reason to wait while another does.
        if self.members.present and not any(member.is_writable for member in self.members.present):
            await self.members.present[0].wait_writable()

    def _origin(self, source_time: float | None, now: Micros) -> Micros:
        if source_time is None:
            return now
        origin = micros(source_time)
        if not self._core.started_at <= origin <= now:
            raise ValueError("source_time must lie between the group's beginning and now")
        return origin

    # Receiving

    async def _receive(self) -> list[SrtPacket]:
        if self._is_receiving:
            raise trio.BusyResourceError("another task is receiving from this group")
        self._is_receiving = True
        try:
            await trio.lowlevel.checkpoint_if_cancelled()
            if kept := self._reader.take_kept():
                return kept
            while True:
                if self.members.is_closed:
                    raise trio.ClosedResourceError
                now = current_micros()
                self.members.readable = trio.Event()
                taken = self._core.take(now=now, limit=_READ_PACKETS)
                skipped = self._core.reception.skipped
                if skipped != self._skipped:
                    self.members.publish(PacketsSkipped(skipped - self._skipped))
                    self._skipped = skipped
                self.members.settle(now)
                if taken:
                    return self._describe(taken)
                if self.is_over:
                    self._raise_if_failed()
                    return []
                due = self._core.reception.next_due()
                if due is None:
                    await self.members.readable.wait()
                else:
                    with trio.move_on_at((due + 1) / MICROS_PER_SECOND):
                        await self.members.readable.wait()
        finally:
            self._is_receiving = False

    def _describe(self, taken: list[tuple[Micros, int, int, Buffer]]) -> list[SrtPacket]:
        clock = self._core.clock
        delay = clock.delay + clock.drift
        expected = min(self._next_position, taken[0][1])
        packets = []
        for play_at, position, _, payload in taken:
            packets.append(
                SrtPacket(payload, position & SEQUENCE_MASK, (play_at - delay) / 1e6, position - expected)
            )
            expected = position + 1
        self._next_position = expected
        return packets

    # The end

    async def aclose(self) -> None:
        """Wait until what was sent has arrived and been played (see ``linger``), say goodbye, and close.

        Cancelled, it says goodbye at once.
        """
        if self.members.is_closed:
            await trio.lowlevel.checkpoint()
            return
        self.members.stop_dialling()
        try:
            now = current_micros()
            for member in list(self.members.present):
                if member.connection.state is State.CONNECTED:
                    member.close(now)
            for member in list(self.members.present):
                while member.connection.state is State.CLOSING:
                    self.members.writable = trio.Event()
                    await self.members.writable.wait()
            await trio.lowlevel.checkpoint()
        finally:
            self.abort()

    def abort(self) -> None:
        """Say goodbye and close, at once."""
        self.members.abort()

    def _check_open(self) -> None:
        if self.members.is_closed:
            raise trio.ClosedResourceError
        if self.is_over:
            self._raise_if_failed()
            raise PeerError("the peer has closed every connection of the group")

    def _raise_if_failed(self) -> None:
        failures = self.members.failures
        if failures:
            raise AllPathsFailed("every path of the group is gone", failures)
