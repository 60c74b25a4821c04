"""The receiving side of an established SRT connection: what is due, in the shape that its reader asks for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple, TypeVar

import trio

from terzetto.driver.clock import current_micros
from terzetto.errors import PeerError, UnsupportedOperation
from terzetto.primitives.datagrams import Buffer
from terzetto.primitives.time import Micros, seconds
from terzetto.srt.core.connection import Connection
from terzetto.srt.core.messages import Message
from terzetto.srt.packet_reader import PacketReader, SrtPacket
from terzetto.srt.wire.numbers import SEQUENCE_MASK

__all__ = ["ReceivingSide", "SrtMessage"]

T = TypeVar("T")

# Enough to empty a full tick of a fast stream at a time, and a bound on what one read returns.
_READ_PACKETS: Final = 1024


class SrtMessage(NamedTuple):
    """One message, whole, and what is known of it."""

    payload: Buffer
    number: int | None
    """The 26-bit number on the wire; None in live mode, where nobody counts messages apart from packets."""
    in_order: bool
    """Whether its sender asked for it to wait for the messages before it."""
    sequence: int
    """The 31-bit number of its first packet."""
    source_time: float
    """When it was sent, on trio's clock here, as far as the handshake tells."""


class ReceivingSide(PacketReader):
    """Takes from the connection what its reader waits for; one task at a time."""

    def __init__(
        self, connection: Connection, settle: Callable[[Micros], None], raise_if_broken: Callable[[], None]
    ) -> None:
        super().__init__(self._receive)
        self._connection = connection
        self._settle = settle
        self._raise_if_broken = raise_if_broken
        self._readable = trio.Event()
        self._has_ended = False
        self._is_closed = False
        self._is_receiving = False
        self._consume: Callable[[list[Buffer], float], None] | None = None
        self._messages: list[Message] = []
        self._next_position = connection.agreement.first_received
        self._has_long_messages = connection.agreement.has_long_messages

    def wake(self) -> None:
        """Something may be due: `Signal.READABLE`."""
        if self._consume is not None:
            now = current_micros()
            self._hand_over(self._consume, now)
            self._settle(now)
        else:
            self._readable.set()

    def end(self) -> None:
        """Nothing more comes: `Signal.ENDED`."""
        self._has_ended = True
        self._readable.set()

    def close(self) -> None:
        """Whoever waits, waits in vain."""
        self._is_closed = True
        self._readable.set()

    async def deliver_to(self, consume: Callable[[list[Buffer], float], None]) -> None:
        """See `SrtStream.deliver_to`."""
        if self._has_long_messages:
            while packets := await self._receive():
                consume([packet.payload for packet in packets], packets[0].source_time)
            return

        def take(now: Micros) -> list[None]:
            self._hand_over(consume, now)
            return []

        self._consume = consume
        try:
            await self._wait_for(take)
        finally:
            self._consume = None

    def _hand_over(self, consume: Callable[[list[Buffer], float], None], now: Micros) -> None:
        connection = self._connection
        clock = connection.receiver.clock
        while taken := connection.take(now=now, limit=_READ_PACKETS):
            self._next_position = taken[-1][1] + 1
            consume([entry[3] for entry in taken], seconds(taken[0][0] - clock.delay - clock.drift))

    async def message(self) -> SrtMessage:
        """See `SrtStream.receive_message`."""
        if self._connection.agreement.is_stream:
            raise UnsupportedOperation(
                "a stream of bytes has no messages", hint="set message_api=True on both sides"
            )
        if not self._has_long_messages:
            packet = await self.packet()
            return SrtMessage(packet.payload, None, True, packet.sequence, packet.source_time)
        if not self._messages:
            messages = await self._wait_for(self._take_messages)
            if not messages:
                raise trio.EndOfChannel
            self._messages = messages[::-1]
        else:
            await trio.lowlevel.checkpoint()
        message = self._messages.pop()
        source_time = seconds(message.play_at)
        return SrtMessage(
            message.payload,
            message.number,
            message.in_order,
            message.position & SEQUENCE_MASK,
            source_time,
        )

    async def pieces(self, at_least: int) -> list[Buffer]:
        """See `SrtStream.receive_pieces`."""
        pieces: list[Buffer] = []
        size = 0
        while size < at_least:
            more = await self._wait_for(self._take_payloads)
            if not more:
                break
            pieces += more
            size += sum(map(len, more))
        return pieces

    def _take_payloads(self, now: Micros) -> list[Buffer]:
        return [entry[3] for entry in self._connection.take(now=now, limit=_READ_PACKETS)]

    def _take_messages(self, now: Micros) -> list[Message]:
        return self._connection.take_messages(now=now, limit=_READ_PACKETS)

    def _take_packets(self, now: Micros) -> list[SrtPacket]:
        if self._has_long_messages:
            whole = self._take_messages(now)
            return [SrtPacket(m.payload, m.position & SEQUENCE_MASK, seconds(m.play_at), 0) for m in whole]
        return self._describe(self._connection.take(now=now, limit=_READ_PACKETS))

    async def _receive(self) -> list[SrtPacket]:
        if self._waiting and not self._is_receiving:
            await trio.lowlevel.checkpoint_if_cancelled()
            return self.take_kept()
        return await self._wait_for(self._take_packets)

    async def _wait_for(self, take: Callable[[Micros], list[T]]) -> list[T]:
        if self._is_receiving:
            raise trio.BusyResourceError("another task is receiving from this stream")
        self._is_receiving = True
        try:
            await trio.lowlevel.checkpoint_if_cancelled()
            while True:
                if self._is_closed:
                    raise trio.ClosedResourceError
                now = current_micros()
                self._readable = trio.Event()
                taken = take(now)
                self._settle(now)
                if taken:
                    return taken
                if self._has_ended:
                    self._raise_if_broken()
                    if self._connection.receiver.was_cut_short:
                        raise PeerError(
                            f"{self._connection.agreement.peer} closed the connection before everything had arrived"
                        )
                    return []
                await self._readable.wait()
        finally:
            self._is_receiving = False

    def _describe(self, taken: list[tuple[Micros, int, int, Buffer]]) -> list[SrtPacket]:
        expected = self._next_position
        clock = self._connection.receiver.clock
        delay = clock.delay + clock.drift
        packets = []
        for play_at, position, _, payload in taken:
            packets.append(
                SrtPacket(payload, position & SEQUENCE_MASK, (play_at - delay) / 1e6, position - expected)
            )
            expected = position + 1
        self._next_position = expected
        return packets
