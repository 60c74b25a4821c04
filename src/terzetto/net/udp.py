"""Kernel UDP sockets as endpoints: many datagrams to a system call, by whatever the kernel grants.

============  =====================================  ================================
batching      receiving                              sending
============  =====================================  ================================
``auto``      recvmmsg, joined datagrams (GRO)       joined (GSO), else sendmmsg
``gso``       recvmsg, joined datagrams (GRO)        joined (GSO), else one by one
``mmsg``      recvmmsg                               sendmmsg
``plain``     recvfrom                               sendto
============  =====================================  ================================

``auto`` leaves out what is missing, down to ``plain``.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from contextlib import suppress

import trio

from terzetto.errors import InvalidOption
from terzetto.net import linux, mmsg
from terzetto.net.addresses import address_of, is_multicast
from terzetto.net.endpoint import Address, DatagramEndpoint, EndpointOptions, EndpointStatistics, Run, Trouble
from terzetto.net.receiving import MmsgReceiver, PlainReceiver, Receiver, RecvmsgReceiver, asks_for_gro
from terzetto.net.sending import Sender, kernel_has_gso
from terzetto.net.sockopts import is_wildcard, open_socket
from terzetto.net.ticker import KernelTicker, has_kernel_ticker
from terzetto.net.troubles import TroubleLog

__all__ = ["UdpEndpoint", "open_udp_endpoint"]


def open_udp_endpoint(options: EndpointOptions) -> UdpEndpoint:
    """Open and bind a kernel socket as *options* say.

    Raises `terzetto.errors.AddressInUse`, `NoRoute`, `PermissionRefused` or `InvalidOption`.
    """
    if options.batching not in ("auto", "gso", "mmsg", "plain"):
        raise InvalidOption(f"batching is {options.batching!r}, and must be auto, gso, mmsg or plain")
    sock = open_socket(options)
    try:
        return UdpEndpoint(sock, batching=options.batching, tells_destination=is_wildcard(options))
    except BaseException:
        sock.close()
        raise


class UdpEndpoint(DatagramEndpoint):
    """One bound UDP socket. `open_udp_endpoint` makes them."""

    def __init__(
        self, sock: socket.socket, *, batching: str = "auto", tells_destination: bool = False
    ) -> None:
        self._socket = sock
        self._local_address = address_of(sock.getsockname())
        host = self._local_address.host
        bound_host = None if tells_destination or is_multicast(host) else host
        self._troubles = TroubleLog(sock, has_queue=linux.IS_LINUX)
        has_mmsg = batching in ("auto", "mmsg") and mmsg.is_available()
        self._receiver = _receiver(sock, self._troubles, batching, has_mmsg, bound_host)
        self._sender = Sender(
            sock,
            self._troubles,
            gso=batching in ("auto", "gso") and kernel_has_gso(sock),
            mmsg=has_mmsg,
            bound_host=bound_host,
        )
        self._ticker: KernelTicker | None = None
        self._closed = False
        self._is_waiting = False

    @property
    def local_address(self) -> Address:
        """The address we are bound to."""
        return self._local_address

    async def receive(self) -> list[Run]:
        """Wait until something has arrived; return everything that is waiting, oldest first."""
        if self._closed:
            raise trio.ClosedResourceError
        if self._is_waiting:
            raise trio.BusyResourceError("another task is receiving from this endpoint")
        self._is_waiting = True
        if self._ticker is not None:
            self._ticker.rest()
        try:
            if self._receiver.was_cut_short:
                # More is there for certain, or nearly. Asking the event loop first would be a wait.
                await trio.lowlevel.checkpoint_if_cancelled()
                runs = self.receive_nowait()
                if runs:
                    await trio.lowlevel.cancel_shielded_checkpoint()
                    return runs
            while True:
                await trio.lowlevel.wait_readable(self._socket)
                runs = self.receive_nowait()
                if runs:
                    return runs
                # Readable, and nothing to read: the kernel has something to say.
                self._troubles.drain_queue()
        finally:
            self._is_waiting = False

    def receive_nowait(self) -> list[Run]:
        """Everything that is waiting, or an empty list."""
        if self._closed:
            raise trio.ClosedResourceError
        return self._receiver.drain()

    async def wait_tick(self, period: float) -> None:
        """Wait for the next of a series of ticks."""
        ticker = self._ticker
        if ticker is None:
            if self._closed:
                raise trio.ClosedResourceError
            if not has_kernel_ticker():
                await trio.sleep(period)
                return
            ticker = self._ticker = KernelTicker()
        await ticker.wait(period)

    async def send(self, runs: Sequence[Run]) -> None:
        """Send all of it, in order, waiting for room where needed."""
        await trio.lowlevel.checkpoint_if_cancelled()
        left = self.send_nowait(runs)
        if not left:
            await trio.lowlevel.cancel_shielded_checkpoint()
            return
        while left:
            await trio.lowlevel.wait_writable(self._socket)
            # A report nobody has read makes the socket look writable; left there it would have us spin.
            self._troubles.drain_queue()
            left = self.send_nowait(left)

    def send_nowait(self, runs: Sequence[Run]) -> list[Run]:
        """Send what fits at once; return the rest, in order."""
        if self._closed:
            raise trio.ClosedResourceError
        return self._sender.send(runs)

    def poll_troubles(self) -> list[Trouble]:
        """What the network has said about our datagrams since the last call; the newest 64."""
        if self._closed:
            raise trio.ClosedResourceError
        if self._sender.calls:  # who has sent nothing is not complained about
            self._troubles.drain_queue()
        return self._troubles.poll()

    def statistics(self) -> EndpointStatistics:
        """Counters since the endpoint was opened."""
        if self._closed:
            raise trio.ClosedResourceError
        receiver, sender = self._receiver, self._sender
        return EndpointStatistics(
            datagrams_received=receiver.datagrams,
            bytes_received=receiver.octets,
            datagrams_sent=sender.datagrams,
            bytes_sent=sender.octets,
            calls_receive=receiver.calls,
            calls_send=sender.calls,
            dropped_by_kernel=receiver.dropped,
            troubles=self._troubles.count,
        )

    def close(self) -> None:
        """Close at once; harmless when closed already."""
        if self._closed:
            return
        self._closed = True
        with suppress(RuntimeError):  # outside trio, where nobody can be waiting
            trio.lowlevel.notify_closing(self._socket)
        self._socket.close()


def _receiver(
    sock: socket.socket, troubles: TroubleLog, batching: str, has_mmsg: bool, bound_host: str | None
) -> Receiver:
    wants_ancillary = batching in ("auto", "gso") and asks_for_gro(sock)
    if has_mmsg:
        return MmsgReceiver(sock, troubles, bound_host=bound_host)
    if hasattr(sock, "recvmsg") and (wants_ancillary or bound_host is None):
        return RecvmsgReceiver(sock, troubles, bound_host=bound_host)
    return PlainReceiver(sock, troubles, bound_host=bound_host)
