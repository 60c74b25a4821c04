"""A datagram endpoint whose datagrams are encrypted on their way to another one.

There is no task of its own: whoever receives also drives handshakes, retransmissions and expiries, and sleeps no longer
than until the next of them. So an application that reads its media keeps its associations alive by that.

What differs from an endpoint without DTLS: an empty datagram cannot be carried and is dropped (OpenSSL sends no empty
records); one that would not fit ``mtu`` once encrypted is dropped and is a `Trouble`, as is one to a peer without an
association; and the counters of `statistics` are of what is inside the encryption.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import Final

import trio

from terzetto.errors import ConnectionRefusedByPeer, TerzettoError, UnsupportedOperation
from terzetto.net.dtls.core import DtlsCore
from terzetto.net.dtls.news import DtlsEnded, DtlsEvent, DtlsPeer, DtlsStatistics
from terzetto.net.dtls.options import DtlsOptions
from terzetto.net.endpoint import Address, DatagramEndpoint, EndpointStatistics, Run, Trouble
from terzetto.net.network import current_network
from terzetto.primitives.datagrams import Buffer
from terzetto.primitives.time import MICROS_PER_SECOND, Micros, seconds

__all__ = ["DtlsEndpoint", "wrap_endpoint"]

_KEY_SIZE: Final = 32
_TROUBLES_KEPT: Final = 64
_EVENTS_KEPT: Final = 256


def wrap_endpoint(
    endpoint: DatagramEndpoint, options: DtlsOptions, *, remote: Address | None = None
) -> DtlsEndpoint:
    """Speak DTLS over *endpoint*: call *remote*, or listen to everybody where there is none.

    The wrapper owns *endpoint* and closes it. Raises `MissingExtra` without pyOpenSSL, and `InvalidOption` for
    certificates and keys that cannot be used; *endpoint* is still the caller's then.
    """
    return DtlsEndpoint(endpoint, options, remote=remote, cookie_key=current_network().entropy(_KEY_SIZE))


class DtlsEndpoint(DatagramEndpoint):
    """Encrypts what another endpoint carries; made by `wrap_endpoint`."""

    def __init__(
        self,
        endpoint: DatagramEndpoint,
        options: DtlsOptions,
        *,
        remote: Address | None = None,
        cookie_key: bytes,
    ) -> None:
        self._inner = endpoint
        self._options = options
        self._core = DtlsCore(options, remote=remote, cookie_key=cookie_key)
        self._waiting: list[Run] = []
        self._events: deque[DtlsEvent] = deque(maxlen=_EVENTS_KEPT)
        self._troubles: deque[Trouble] = deque(maxlen=_TROUBLES_KEPT)
        self._last_error: TerzettoError | None = None
        self._started = False
        self._receiving = False
        self._pumping = False
        self._pumped = trio.Event()
        self._alarm = trio.CancelScope()
        self._closed = False
        self._received = self._bytes_received = self._sent = self._bytes_sent = self._own_troubles = 0

    @property
    def local_address(self) -> Address:
        """The address that the endpoint inside is bound to."""
        return self._inner.local_address

    @property
    def payload_limit(self) -> int:
        """The longest datagram that can be sent."""
        return self._options.payload_limit

    @property
    def remote(self) -> Address | None:
        """Whom we call; None at a listening end."""
        return self._core.remote

    # -- associations

    async def wait_established(self) -> DtlsPeer:
        """Call the remote end, if that has not happened, and wait until datagrams may be exchanged.

        After an association has ended it calls again. Raises `AuthenticationFailed` (and says what is wrong with
        whose certificate), `PeerTimedOut`, `ConnectionRefusedByPeer` or `WrongProtocol`.
        """
        self._check_open()
        remote = self._core.remote
        if remote is None:
            raise UnsupportedOperation("a listening end of DTLS calls nobody, see peers() and poll_events()")
        await trio.lowlevel.checkpoint()
        self._check_open()
        self._last_error = None
        self._start()
        while True:
            session = self._core.session(remote)
            if session is not None and session.info is not None:
                return session.info
            if not self._core.is_calling:
                raise self._why_not(remote)
            await self._pump()

    def peers(self) -> list[DtlsPeer]:
        """With whom there is an association now."""
        return self._core.peers()

    def poll_events(self) -> list[DtlsEvent]:
        """Who came and went since the last call; bounded, the oldest are shed."""
        self._collect()
        events = list(self._events)
        self._events.clear()
        return events

    def dtls_statistics(self) -> DtlsStatistics:
        """Counters of handshakes and associations."""
        return self._core.statistics()

    # -- datagrams

    async def receive(self) -> list[Run]:
        """Wait until something has arrived and was understood; return everything that is waiting, oldest first."""
        self._check_open()
        if self._receiving:
            raise trio.BusyResourceError("another task is already receiving from this endpoint")
        await trio.lowlevel.checkpoint_if_cancelled()
        self._start_once()
        if self._waiting:
            runs = self._take_all()
            await trio.lowlevel.cancel_shielded_checkpoint()
            return runs
        self._receiving = True
        try:
            while not self._waiting:
                await self._pump()
                self._check_open()
        finally:
            self._receiving = False
        return self._take_all()

    def receive_nowait(self) -> list[Run]:
        """Everything that is waiting, or an empty list."""
        self._check_open()
        self._start_once()
        self._handle(self._inner.receive_nowait())
        return self._take_all()

    async def wait_tick(self, period: float) -> None:
        """Wait for the next tick, as the endpoint inside does it."""
        await self._inner.wait_tick(period)

    async def send(self, runs: Sequence[Run]) -> None:
        """Send all of it, in order, waiting for room where needed."""
        self._check_open()
        await trio.lowlevel.checkpoint_if_cancelled()
        plain, encrypted = self._encrypt(runs)
        await self._inner.send(encrypted)
        self._count_sent(plain, [])

    def send_nowait(self, runs: Sequence[Run]) -> list[Run]:
        """Send what fits at once; return the rest, in order."""
        self._check_open()
        plain, encrypted = self._encrypt(runs)
        left_encrypted = self._inner.send_nowait(encrypted)
        left: list[Run] = []
        if left_encrypted:
            # What did not fit is encrypted again when it comes back; the record numbers it had stay unused, which a
            # peer takes for loss of nothing.
            left = plain[len(plain) - len(left_encrypted) :]
            rest = len(left_encrypted[0].datagrams)
            left[0] = left[0]._replace(datagrams=left[0].datagrams[len(left[0].datagrams) - rest :])
        self._count_sent(plain, left)
        return left

    def poll_troubles(self) -> list[Trouble]:
        """What the network, and the encryption, have said about our datagrams since the last call."""
        self._check_open()
        self._collect()
        troubles = [*self._inner.poll_troubles(), *self._troubles]
        self._troubles.clear()
        return troubles

    def statistics(self) -> EndpointStatistics:
        """Counters of what was inside the encryption; calls and losses are those of the endpoint inside."""
        inner = self._inner.statistics()
        return EndpointStatistics(
            datagrams_received=self._received,
            bytes_received=self._bytes_received,
            datagrams_sent=self._sent,
            bytes_sent=self._bytes_sent,
            calls_receive=inner.calls_receive,
            calls_send=inner.calls_send,
            dropped_by_kernel=inner.dropped_by_kernel,
            troubles=inner.troubles + self._own_troubles,
        )

    def close(self) -> None:
        """Say goodbye to every peer, as far as that is possible at once, and close the endpoint inside."""
        if self._closed:
            return
        self._closed = True
        self._core.close()
        try:
            self._inner.send_nowait(self._core.poll_transmits())
        except trio.ClosedResourceError:
            pass
        self._waiting.clear()
        self._inner.close()
        self._pumped.set()

    # -- inside

    async def _pump(self) -> None:
        """Wait for something to happen, here or in another task that waits already, and act on it."""
        self._check_open()
        if self._pumping:
            await self._pumped.wait()
            self._check_open()
            return
        self._pumping = True
        runs: list[Run] = []
        try:
            due = self._core.next_timeout()
            with trio.move_on_at(math.inf if due is None else seconds(due)) as self._alarm:
                runs = await self._inner.receive()
        finally:
            self._pumping = False
            self._pumped.set()
            self._pumped = trio.Event()
        self._check_open()
        self._handle(runs)

    def _handle(self, runs: Sequence[Run]) -> None:
        now = _now()
        self._waiting += self._core.handle_datagrams(runs, now=now)
        self._core.handle_timeout(now=now)
        self._flush()
        self._collect()

    def _why_not(self, remote: Address) -> TerzettoError:
        return self._last_error or ConnectionRefusedByPeer(f"{remote} ended the DTLS association at once")

    def _start(self) -> None:
        self._started = True
        if self._core.remote is not None:
            self._core.start(now=_now())
            self._flush()
            self._collect()
            due = self._core.next_timeout()
            if due is not None:
                # Another task may be waiting already, and not know of this call's timers.
                self._alarm.deadline = min(self._alarm.deadline, seconds(due))

    def _start_once(self) -> None:
        if not self._started:
            self._start()

    def _flush(self) -> None:
        # A flight that finds no room is lost as any datagram may be; it will be sent again.
        transmits = self._core.poll_transmits()
        if transmits:
            self._inner.send_nowait(transmits)

    def _collect(self) -> None:
        for event in self._core.poll_events():
            self._events.append(event)
            if isinstance(event, DtlsEnded):
                self._last_error = event.error
                if event.was_established:
                    text = str(event.error) if event.error else f"{event.peer} ended the DTLS association"
                    self._complain(event.peer, "refused", text)

    def _encrypt(self, runs: Sequence[Run]) -> tuple[list[Run], list[Run]]:
        """The runs that can go, as they are and encrypted, datagram for datagram."""
        plain: list[Run] = []
        encrypted: list[Run] = []
        limit = self._options.payload_limit
        for run in runs:
            if not run.datagrams:
                continue
            association = self._core.session(run.peer)
            if association is None:
                self._core.unsent += len(run.datagrams)
                self._complain(run.peer, "unreachable", f"there is no DTLS association with {run.peer}")
                continue
            datagrams: Sequence[Buffer] = run.datagrams
            if not all(0 < len(datagram) <= limit for datagram in datagrams):
                datagrams = self._without_unfit(run, limit)
                if not datagrams:
                    continue
                run = run._replace(datagrams=datagrams)
            plain.append(run)
            encrypted.append(run._replace(datagrams=association.encrypt(datagrams)))
        return plain, encrypted

    def _without_unfit(self, run: Run, limit: int) -> list[Buffer]:
        longest = max(map(len, run.datagrams))
        if longest > limit:
            text = (
                f"a datagram of {longest} bytes is too long for DTLS within mtu={self._options.mtu}, "
                f"the longest that fits has {limit}"
            )
            self._complain(run.peer, "too_big", text)
        fit = [datagram for datagram in run.datagrams if 0 < len(datagram) <= limit]
        self._core.unsent += len(run.datagrams) - len(fit)
        return fit

    def _complain(self, peer: Address, kind: str, text: str) -> None:
        self._own_troubles += 1
        self._troubles.append(Trouble(peer, kind, text))

    def _take_all(self) -> list[Run]:
        runs, self._waiting = self._waiting, []
        for run in runs:
            self._received += len(run.datagrams)
            self._bytes_received += sum(map(len, run.datagrams))
        return runs

    def _count_sent(self, plain: Sequence[Run], left: Sequence[Run]) -> None:
        self._sent += _datagrams(plain) - _datagrams(left)
        self._bytes_sent += _bytes(plain) - _bytes(left)

    def _check_open(self) -> None:
        if self._closed:
            raise trio.ClosedResourceError("this endpoint is closed")


def _now() -> Micros:
    return round(trio.current_time() * MICROS_PER_SECOND)


def _datagrams(runs: Sequence[Run]) -> int:
    return sum(len(run.datagrams) for run in runs)


def _bytes(runs: Sequence[Run]) -> int:
    return sum(sum(map(len, run.datagrams)) for run in runs)
