"""Putting runs on the wire with as few system calls as the kernel allows.

Datagrams of equal size (the last may be shorter) leave as one message that the kernel cuts up (GSO); where it
does not do that, sendmmsg takes many at once; where there is no such call, one by one.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Sequence
from typing import Final

from terzetto.net.addresses import SockAddr, forget_zones, raw_of, sockaddr_of
from terzetto.net.ancillary import ControlMessage, raw_control, source_control
from terzetto.net.endpoint import Buffer, Run
from terzetto.net.linux import SOL_UDP, UDP_SEGMENT
from terzetto.net.mmsg import SEND_SLOTS, give_send_area, take_send_area
from terzetto.net.troubles import TroubleLog

__all__ = ["GSO_BYTES", "GSO_SEGMENTS", "Sender", "end_of_equal", "kernel_has_gso"]

GSO_SEGMENTS: Final = 64
"""UDP_MAX_SEGMENTS of the kernels that first had GSO; later ones take 128."""

GSO_BYTES: Final = 65000
"""All segments travel inside one IP packet as far as the interface, headers included."""

_SEGMENT_SIZE: Final = struct.Struct("=H")

# What the kernel says to a GSO message that it would take cut up: segments beyond the MTU, an interface that
# cannot checksum, a tunnel in the way.
_GSO_REFUSALS: Final = frozenset(
    {errno.EINVAL, errno.EMSGSIZE, errno.EIO, errno.EOPNOTSUPP, errno.ENOPROTOOPT}
)

# Joining two costs what sending two with sendmmsg does (measured: 2.5 us each); three are cheaper joined.
_TOO_FEW_TO_JOIN: Final = 2

# How often one datagram is offered again after an error that was (or may have been) about an earlier one.
_ATTEMPTS: Final = 4


def kernel_has_gso(sock: socket.socket) -> bool:
    """Whether the kernel under *sock* cuts messages up."""
    try:
        sock.getsockopt(SOL_UDP, UDP_SEGMENT)
    except OSError:
        return False
    return True


def end_of_equal(sizes: Sequence[int], start: int) -> int:
    """Where the datagrams end that can leave in one GSO message with the one at *start*.

    Equal sizes, then at most one that is shorter; never an empty one, of which nothing would remain.
    """
    size = sizes[start]
    if size == 0:
        return start + 1
    limit = min(len(sizes), start + min(GSO_SEGMENTS, GSO_BYTES // size))
    end = start + 1
    while end < limit and sizes[end] == size:
        end += 1
    if end < limit and 0 < sizes[end] < size:
        end += 1
    return end


class Sender:
    """Sends on one socket; counts what it sent."""

    def __init__(
        self, sock: socket.socket, troubles: TroubleLog, *, gso: bool, mmsg: bool, bound_host: str | None
    ) -> None:
        self._socket = sock
        self._family = int(sock.family)
        self._troubles = troubles
        self._mmsg = mmsg
        self._bound_host = bound_host
        self._chooses_source = hasattr(sock, "sendmsg")  # Windows' Python lacks it; the system chooses there
        # Datagrams of this size and more are not joined: 0 when the kernel has no GSO, and lowered when it
        # refuses a size that it takes in single datagrams (they are larger than the interface's MTU).
        self._gso_below = GSO_BYTES if gso else 0
        self.datagrams = 0
        self.octets = 0
        self.calls = 0

    def send(self, runs: Sequence[Run]) -> list[Run]:
        """Send what the kernel has room for; the rest."""
        for index, run in enumerate(runs):
            sent = self._send_run(run)
            if sent < len(run.datagrams):
                return [run._replace(datagrams=run.datagrams[sent:]), *runs[index + 1 :]]
        return []

    def _send_run(self, run: Run) -> int:
        """Send *run*; how many of its datagrams are dealt with, sent or given up."""
        datagrams = run.datagrams
        target = sockaddr_of(run.peer, self._family)
        source: tuple[ControlMessage, ...] = ()
        if run.local is not None and run.local != self._bound_host and self._chooses_source:
            source = source_control(run.local, self._family)
        if len(datagrams) == 1 and self._send_only(datagrams[0], source, target):
            return 1
        sizes = list(map(len, datagrams))
        count = len(sizes)
        done = attempt = 0
        apart_until = 0  # what stands before this must not be joined: the kernel has just refused that
        while done < count:
            end, joined = done + 1, False
            if end < count:
                end, joined = self._next_shot(sizes, done, may_join=done >= apart_until)
            try:
                if joined:
                    self._shoot_joined(datagrams[done:end], sizes[done], source, target)
                elif end - done > 1:
                    end = done + self._shoot_many(datagrams[done:end], source, target)
                else:
                    self._shoot(datagrams[done], source, target)
            except BlockingIOError:
                return done
            except OSError as exc:
                if joined and exc.errno in _GSO_REFUSALS:
                    apart_until = end
                    continue
                attempt += 1
                if self._is_stale(attempt):
                    continue
                self._troubles.note(run.peer, exc.errno or 0, f"a datagram of {sizes[done]} bytes")
                if "%" in run.peer.host:
                    forget_zones()
                if not joined:
                    end = done + 1  # sendmmsg complains about its first datagram alone
            else:
                self.calls += 1
                self.datagrams += end - done
                self.octets += sum(sizes[done:end])
                if done < apart_until:
                    # Apart it went, joined it did not: no more of this size, for as long as the socket lives.
                    self._gso_below = min(self._gso_below, sizes[done])
            done, attempt = end, 0
        return done

    def _send_only(self, datagram: Buffer, source: Sequence[ControlMessage], target: SockAddr) -> bool:
        """The short way for a run of one; where anything is odd, False, and the long way tries it again."""
        try:
            self._shoot(datagram, source, target)
        except OSError:
            return False
        self.calls += 1
        self.datagrams += 1
        self.octets += len(datagram)
        return True

    def _next_shot(self, sizes: Sequence[int], start: int, *, may_join: bool) -> tuple[int, bool]:
        """Where the next system call's datagrams end, and whether they leave joined."""
        if not (may_join and 0 < sizes[start] < self._gso_below):
            return (min(len(sizes), start + SEND_SLOTS) if self._mmsg else start + 1), False
        end = end_of_equal(sizes, start)
        if end - start <= _TOO_FEW_TO_JOIN and self._mmsg:
            # A stretch of sizes all different: sendmmsg takes it whole, up to where joining pays again.
            stretch = end
            while stretch < len(sizes) and stretch - start < SEND_SLOTS:
                following = end_of_equal(sizes, stretch)
                if following - stretch > _TOO_FEW_TO_JOIN:
                    break
                stretch = following
            if stretch - start > 2 * _TOO_FEW_TO_JOIN:
                return min(stretch, start + SEND_SLOTS), False
        return end, end - start > 1

    def _is_stale(self, attempt: int) -> bool:
        """Whether an error was perhaps about an earlier datagram, so that this one deserves another attempt.

        The kernel reports an ICMP error by failing the next call, whatever that call is about. We cannot
        always tell, since its queue of reports may have been full, so anything is tried twice.
        """
        drained = self._troubles.drain_queue()
        return attempt < _ATTEMPTS and (drained > 0 or attempt == 1)

    def _shoot(self, datagram: Buffer, source: Sequence[ControlMessage], target: SockAddr) -> None:
        if source:
            self._socket.sendmsg([datagram], source, 0, target)
        else:
            self._socket.sendto(datagram, target)

    def _shoot_joined(
        self, datagrams: Sequence[Buffer], size: int, source: Sequence[ControlMessage], target: SockAddr
    ) -> None:
        self._socket.sendmsg(
            datagrams, [(SOL_UDP, UDP_SEGMENT, _SEGMENT_SIZE.pack(size)), *source], 0, target
        )

    def _shoot_many(
        self, datagrams: Sequence[Buffer], source: Sequence[ControlMessage], target: SockAddr
    ) -> int:
        area = take_send_area()
        try:
            return area.send(
                self._socket.fileno(), datagrams, raw_of(target, self._family), raw_control(source)
            )
        finally:
            give_send_area(area)
