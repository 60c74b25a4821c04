"""Ways to take everything that waits at a socket, as runs.

``MmsgReceiver``     recvmmsg, many messages a call, each perhaps many datagrams joined by the kernel (GRO)
``RecvmsgReceiver``  one message a call with its ancillary data: GRO without ctypes, or the address we were
                     sent to
``PlainReceiver``    one datagram a call, anywhere

All hand out one ``bytes`` object for each datagram, copied once from the memory the kernel wrote to. Views of
a common buffer cost as much to make as the copies do (measured: 0.2 us either way), and one retained packet
would keep the 64 KiB alive that it arrived with.
"""

from __future__ import annotations

import socket
from abc import ABC, abstractmethod
from typing import Final

from terzetto.net.addresses import address_of, address_of_raw
from terzetto.net.ancillary import CONTROL_SIZE, NO_CONTROL, Control, parse_control, parse_control_raw
from terzetto.net.endpoint import Address, Buffer, Run
from terzetto.net.linux import SOL_UDP, UDP_GRO
from terzetto.net.mmsg import (
    NAME_SIZE,
    RECEIVE_SLOTS,
    SLOT_STRIDE,
    ReceiveArea,
    give_receive_area,
    take_receive_area,
)
from terzetto.net.troubles import TroubleLog

__all__ = [
    "BYTES_AT_ONCE",
    "DATAGRAMS_AT_ONCE",
    "MmsgReceiver",
    "PlainReceiver",
    "Receiver",
    "RecvmsgReceiver",
]

# A flood must not hold the event loop: what is beyond these (and the last system call's worth) waits for the
# next call. 512 datagrams are half a second of a television channel and half a millisecond of our time.
DATAGRAMS_AT_ONCE: Final = 512
BYTES_AT_ONCE: Final = 1 << 20

# The most one UDP datagram, or one joined by GRO, can hold.
_LARGEST: Final = 65535

# Reports about earlier datagrams that one drain reads past before it leaves the rest to the next.
_ERRORS_AT_ONCE: Final = 16

_NO_ADDRESS: Final = Address("", 0)


class Receiver(ABC):
    """Drains one socket; counts what it took."""

    def __init__(self, sock: socket.socket, troubles: TroubleLog, *, bound_host: str | None) -> None:
        self._socket = sock
        self._family = int(sock.family)
        self._troubles = troubles
        self._bound_host = bound_host
        self.datagrams = 0
        self.octets = 0
        self.calls = 0
        self.dropped = 0
        self.was_cut_short = False
        """Whether the last drain stopped at its bound, so that more is probably waiting."""

    @abstractmethod
    def drain(self) -> list[Run]:
        """Everything that waits, up to the bound, oldest first; an empty list when there is nothing."""

    def _local(self, control: Control) -> str | None:
        dropped = control.dropped
        if dropped:
            # The kernel's counter has 32 bits and so has the difference.
            self.dropped += (dropped - self.dropped) & 0xFFFFFFFF
        return control.local or self._bound_host


class MmsgReceiver(Receiver):
    """Many messages in one system call."""

    def __init__(self, sock: socket.socket, troubles: TroubleLog, *, bound_host: str | None) -> None:
        super().__init__(sock, troubles, bound_host=bound_host)
        # What the last message's name and control data said, and the bytes that said it: they seldom change.
        self._meta = b""
        self._peer = _NO_ADDRESS
        self._from_local: str | None = None
        self._segment = 0

    def drain(self) -> list[Run]:
        runs: list[Run] = []
        area = take_receive_area()
        try:
            fd = self._socket.fileno()
            datagrams = octets = errors = 0
            self.was_cut_short = False
            while True:
                try:
                    got = area.receive(fd)
                except OSError:
                    # It is about something we sent; what waits to be read is still there.
                    self._troubles.drain_queue()
                    errors += 1
                    if errors == _ERRORS_AT_ONCE:
                        break
                    continue
                if got:
                    self.calls += 1
                    count, size = self._unpack(area, got, runs)
                    datagrams += count
                    octets += size
                if got < RECEIVE_SLOTS:
                    break
                if datagrams >= DATAGRAMS_AT_ONCE or octets >= BYTES_AT_ONCE:
                    self.was_cut_short = True
                    break
            self.datagrams += datagrams
            self.octets += octets
        finally:
            give_receive_area(area)
        return runs

    def _unpack(self, area: ReceiveArea, got: int, runs: list[Run]) -> tuple[int, int]:
        """Copy *got* messages out of *area* into *runs*; how many datagrams and bytes they were."""
        data, metas = area.data, area.meta
        stride = area.META_STRIDE
        last_meta, segment = self._meta, self._segment
        collected: list[Buffer] = []
        # A run of the call before may go on in this one.
        if runs and runs[-1].peer == self._peer and runs[-1].local == self._from_local:
            continued = runs[-1].datagrams
            if isinstance(continued, list):
                collected = continued
        else:
            last_meta = b""
        before = len(collected)
        datagrams = octets = at = meta_at = 0
        for control_size, size in area.results(got):
            meta = metas[meta_at : meta_at + NAME_SIZE + control_size]
            if meta != last_meta:
                last_meta = meta
                peer, local, segment = self._parse(meta)
                # By value: the addresses are remembered, but not for ever.
                if peer != self._peer or local != self._from_local or not runs:
                    datagrams += len(collected) - before
                    collected, before = [], 0
                    self._peer, self._from_local = peer, local
                    runs.append(Run(peer, collected, 0, local))
            octets += size
            if 0 < segment < size:
                whole = at + size - size % segment
                collected += [data[i : i + segment] for i in range(at, whole, segment)]
                if whole < at + size:
                    collected.append(data[whole : at + size])
            else:
                collected.append(data[at : at + size])
            at += SLOT_STRIDE
            meta_at += stride
        area.reset(got)
        self._meta, self._segment = last_meta, segment
        return datagrams + len(collected) - before, octets

    def _parse(self, meta: bytes) -> tuple[Address, str | None, int]:
        peer = address_of_raw(meta[:NAME_SIZE], self._family)
        if len(meta) == NAME_SIZE:
            return peer, self._bound_host, 0
        control = parse_control_raw(meta[NAME_SIZE:])
        return peer, self._local(control), control.segment


class RecvmsgReceiver(Receiver):
    """One message a call, with its ancillary data."""

    def drain(self) -> list[Run]:
        runs: list[Run] = []
        collected: list[Buffer] = []
        receive = self._socket.recvmsg
        datagrams = octets = errors = 0
        self.was_cut_short = False
        while True:
            try:
                data, ancillary, _, sockaddr = receive(_LARGEST, CONTROL_SIZE)
            except BlockingIOError:
                break
            except OSError:
                self._troubles.drain_queue()
                errors += 1
                if errors == _ERRORS_AT_ONCE:
                    break
                continue
            self.calls += 1
            control = parse_control(ancillary) if ancillary else NO_CONTROL
            peer, local = address_of(sockaddr), self._local(control)
            if not runs or peer != runs[-1].peer or local != runs[-1].local:
                collected = []
                runs.append(Run(peer, collected, 0, local))
            size, segment = len(data), control.segment
            octets += size
            if 0 < segment < size:
                collected += [data[i : i + segment] for i in range(0, size, segment)]
                datagrams += -(-size // segment)
            else:
                collected.append(data)
                datagrams += 1
            if datagrams >= DATAGRAMS_AT_ONCE or octets >= BYTES_AT_ONCE:
                self.was_cut_short = True
                break
        self.datagrams += datagrams
        self.octets += octets
        return runs


class PlainReceiver(Receiver):
    """One datagram a call, with nothing but Python's portable calls."""

    def drain(self) -> list[Run]:
        runs: list[Run] = []
        collected: list[Buffer] = []
        receive = self._socket.recvfrom
        last_sockaddr: object = None
        datagrams = octets = errors = 0
        self.was_cut_short = False
        while True:
            try:
                data, sockaddr = receive(_LARGEST)
            except BlockingIOError:
                break
            except OSError:
                self._troubles.drain_queue()
                errors += 1
                if errors == _ERRORS_AT_ONCE:
                    break
                continue
            if sockaddr != last_sockaddr:
                last_sockaddr = sockaddr
                collected = []
                runs.append(Run(address_of(sockaddr), collected, 0, self._bound_host))
            collected.append(data)
            datagrams += 1
            octets += len(data)
            if datagrams >= DATAGRAMS_AT_ONCE or octets >= BYTES_AT_ONCE:
                self.was_cut_short = True
                break
        self.calls += datagrams
        self.datagrams += datagrams
        self.octets += octets
        return runs


def asks_for_gro(sock: socket.socket) -> bool:
    """Let the kernel join datagrams on *sock* where it can; whether it agreed."""
    try:
        sock.setsockopt(SOL_UDP, UDP_GRO, 1)
    except OSError:
        return False
    return True
