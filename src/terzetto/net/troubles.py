"""What the network says about the datagrams we sent, collected and never raised.

Linux keeps the ICMP errors of a socket in a queue beside it, each with the destination it is about. Until
that queue is read the socket counts as readable, so whoever was woken and found no datagram reads it.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import sys
from collections import deque
from typing import Final

from terzetto.net import linux
from terzetto.net.addresses import address_of, unmapped
from terzetto.net.endpoint import Address, Trouble

__all__ = ["TROUBLES_KEPT", "TroubleLog"]

# More than one per path and per group that a session can sensibly have; a screen shows fewer.
TROUBLES_KEPT: Final = 64

# Reports read in one go. A closed port answers every datagram, so there can be as many as we sent.
_DRAINED_AT_ONCE: Final = 256

_EXTENDED_ERROR: Final = struct.Struct("=IBBBxII")  # errno, origin, type, code, info, data

_KINDS: Final = {
    errno.ECONNREFUSED: "refused",
    errno.ECONNRESET: "refused",  # Windows' word for the same ICMP message
    errno.EHOSTUNREACH: "unreachable",
    errno.ENETUNREACH: "unreachable",
    errno.EHOSTDOWN: "unreachable",
    errno.ENETDOWN: "unreachable",
    errno.EMSGSIZE: "too_big",
    getattr(errno, "ENONET", -1): "unreachable",
}

_MEANINGS: Final = {
    "refused": "nothing listens on that port",
    "unreachable": "no way leads there",
    "too_big": "the datagram is larger than the path takes",
}


class TroubleLog:
    """The troubles of one socket: the newest few, and a count of all."""

    __slots__ = ("_has_queue", "_kept", "_socket", "count")

    def __init__(self, sock: socket.socket, *, has_queue: bool) -> None:
        self._socket = sock
        self._has_queue = has_queue
        self._kept: deque[Trouble] = deque(maxlen=TROUBLES_KEPT)
        self.count = 0

    def poll(self) -> list[Trouble]:
        """Hand out what was collected since the last call."""
        if not self._kept:
            return []
        troubles = list(self._kept)
        self._kept.clear()
        return troubles

    def note(self, peer: Address | None, number: int, detail: str = "") -> None:
        """Remember that the error *number* concerns what we sent to *peer*."""
        kind = _KINDS.get(number, "other")
        text = _MEANINGS.get(kind) or os.strerror(number)
        self.count += 1
        self._kept.append(Trouble(peer, kind, f"{text} ({detail})" if detail else text))

    def drain_queue(self) -> int:
        """Read the kernel's queue of errors; how many it held."""
        if not self._has_queue:
            return 0
        for drained in range(_DRAINED_AT_ONCE):
            try:
                _, ancillary, _, sockaddr = self._socket.recvmsg(
                    0, 512, linux.MSG_ERRQUEUE | linux.MSG_DONTWAIT
                )
            except OSError:
                return drained
            for level, kind, data in ancillary:
                if (level, kind) in ((linux.SOL_IP, linux.IP_RECVERR), (linux.SOL_IPV6, linux.IPV6_RECVERR)):
                    self._note_report(sockaddr, data)
        return _DRAINED_AT_ONCE

    def _note_report(self, sockaddr: tuple[str, int] | tuple[str, int, int, int] | None, data: bytes) -> None:
        number, origin, _, _, info, _ = _EXTENDED_ERROR.unpack_from(data)
        if origin not in (linux.SO_EE_ORIGIN_ICMP, linux.SO_EE_ORIGIN_ICMP6):
            return  # our own kernel's refusal, which the call that sent has heard already
        detail = ""
        reporter = _reporter(data[_EXTENDED_ERROR.size :])
        if reporter:
            detail = f"says {reporter}"
        if number == errno.EMSGSIZE and info:
            detail = f"{detail}, which takes {info} bytes" if detail else f"it takes {info} bytes"
        self.note(address_of(sockaddr) if sockaddr else None, number, detail)


def _reporter(offender: bytes) -> str:
    """The host whose ICMP message it was; its ``sockaddr`` follows the error."""
    family = int.from_bytes(offender[:2], sys.byteorder)
    if family == socket.AF_INET and len(offender) >= 8:
        return unmapped(offender[4:8])
    if family == socket.AF_INET6 and len(offender) >= 24:
        return unmapped(offender[8:24])
    return ""
