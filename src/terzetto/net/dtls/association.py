"""One peer: OpenSSL between bytes in and bytes out, and when to send a flight again.

OpenSSL has a retransmission timer, but it asks the system's clock, and there is no way to hand it another. So the
schedule is ours and runs on the time that is handed in. When a flight is due again, OpenSSL is asked first: if its
own timer agrees it writes the flight anew, with fresh record numbers, and any peer will listen. If it does not (under
a simulated clock it never will) the records of the flight are sent again as they were, those without encryption under
new numbers, since a peer may have thrown one away that came too early and would take it for a replay. What such a
repeat cannot do is to make OpenSSL at the other end repeat a last flight that was lost, so an end of ours that hears
a handshake go on after its own end sends that flight once more.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.serialization import Encoding

from terzetto.errors import (
    AuthenticationFailed,
    ConnectionRefusedByPeer,
    PeerTimedOut,
    ProtocolViolation,
    TerzettoError,
)
from terzetto.net.dtls.context import DtlsContext, fingerprint_of, import_openssl
from terzetto.net.dtls.news import DtlsPeer
from terzetto.net.dtls.records import (
    ContentType,
    bad_certificate,
    epoch_of,
    is_single_record,
    number_of,
    pack_records,
    split_records,
    with_number,
)
from terzetto.primitives.datagrams import Address, Buffer
from terzetto.primitives.time import MICROS_PER_MILLI, Micros, micros, seconds

if TYPE_CHECKING:
    from OpenSSL import SSL

__all__ = ["Association", "State"]

# The largest plaintext of a record (RFC 5246 section 6.2.1): a smaller buffer would cut a datagram in two.
_RECORD_MOST: Final = 1 << 14
_READ_SIZE: Final = 1 << 16

# Records that are encrypted before they are fetched from OpenSSL together; as many as fit into one read.
_BATCH: Final = 32

_BACKOFF_MOST: Final = 8

# How often a server repeats its last flight at most, and how many times: a repeat that somebody recorded and sends
# over and over must not make us talk without end.
_REPEAT_INTERVAL: Final = 100 * MICROS_PER_MILLI
_REPEATS_MOST: Final = 16

_ABOUT_CERTIFICATES: Final = re.compile(r"certificate|unknown ca|access denied|decrypt error")
_NOTHING_IN_COMMON: Final = re.compile(
    r"handshake failure|insufficient security|no shared cipher|protocol version|unsupported protocol"
)


class State(Enum):
    """How far an association has come."""

    HANDSHAKING = auto()
    ESTABLISHED = auto()
    ENDED = auto()


class Association:
    """Between us and one peer, from the first flight to the last alert; inputs carry ``now``, as a core's do."""

    def __init__(
        self, context: DtlsContext, peer: Address, *, now: Micros, began: Micros | None = None
    ) -> None:
        self._ssl, _ = import_openssl()
        self._connection, self._check = context.open_connection(peer)
        options = context.options
        self.peer = peer
        self.state = State.HANDSHAKING
        self.error: TerzettoError | None = None
        """Why it ended; None while it has not, and after a goodbye."""
        self.info: DtlsPeer | None = None
        self.malformed = False
        """Whether it ended because of bytes that nobody had vouched for yet, so that a new attempt makes sense."""
        self._is_server = context.is_server
        self._mtu = options.mtu
        self._idle = micros(options.idle_timeout)
        self._patience = micros(options.handshake_timeout)
        self.began = now if began is None else began
        self._next_number = -1
        self._transmits: list[bytes] = []
        self._flight: list[bytes] = []
        self._interval = self._first_interval = micros(options.retransmit_after)
        self._resend_at = now + self._interval
        self._repeats_left = _REPEATS_MOST
        self._last_heard = now

    @property
    def overhead(self) -> int:
        """How much longer a datagram gets, for the suite agreed on."""
        return self._mtu - self._connection.get_cleartext_mtu()

    # -- what happened

    def start(self, *, now: Micros) -> None:
        """Send the first flight (a client)."""
        self._shake_hands(now)

    def accept_hello(self, datagram: bytes, *, now: Micros) -> None:
        """Take in a ClientHello whose cookie was found good, and answer it (a server)."""
        self._connection.bio_write(datagram)
        try:
            self._connection.DTLSv1_listen()
        except self._ssl.Error as exc:
            self._fail(_explain(self.peer, exc), malformed=True)
            return
        self._shake_hands(now)

    def handle_datagram(self, datagram: Buffer, *, now: Micros) -> list[bytes]:
        """What the network brought; the datagrams that were in it. It never raises for what a stranger wrote."""
        if self.state is State.ENDED or not datagram:
            return []
        self._connection.bio_write(datagram)
        if self.state is State.HANDSHAKING:
            self._shake_hands(now)
            # The peer's first datagrams may have come before the end of its handshake, and waited for it.
            return self._read_all(now)
        if datagram[0] == ContentType.APPLICATION_DATA and is_single_record(datagram):
            # The common case, where asking for more would only raise an exception.
            return self._read_one(now)
        received = self._read_all(now)
        if self.state is State.ESTABLISHED:
            answer = self._drain()
            if answer:
                self._keep_flight(answer)
            elif not received and datagram[0] in (ContentType.HANDSHAKE, ContentType.CHANGE_CIPHER_SPEC):
                self._repeat_last_flight(now)
        return received

    def handle_timeout(self, *, now: Micros) -> None:
        """Do what is due."""
        if self.state is State.HANDSHAKING:
            if now >= self.began + self._patience:
                waited = f"{seconds(self._patience):g} s"
                self._fail(PeerTimedOut(f"{self.peer} has not completed a DTLS handshake within {waited}"))
            elif now >= self._resend_at:
                self._send_flight_again(now)
        elif self.state is State.ESTABLISHED and now >= self._last_heard + self._idle:
            self.close()
            self.error = PeerTimedOut(f"{self.peer} has been silent for {seconds(self._idle):g} s")

    def next_timeout(self) -> Micros | None:
        """When `handle_timeout` has something to do."""
        if self.state is State.HANDSHAKING:
            return min(self.began + self._patience, self._resend_at)
        if self.state is State.ESTABLISHED:
            return self._last_heard + self._idle
        return None

    # -- what to do

    def poll_transmits(self) -> list[bytes]:
        """Datagrams of the handshake, and alerts, to put on the wire."""
        transmits, self._transmits = self._transmits, []
        return transmits

    def encrypt(self, datagrams: Sequence[Buffer]) -> list[bytes]:
        """One encrypted datagram for each of *datagrams*, none of which may be empty or longer than fits."""
        connection = self._connection
        encrypted: list[bytes] = []
        for start in range(0, len(datagrams), _BATCH):
            for datagram in datagrams[start : start + _BATCH]:
                connection.send(datagram)
            encrypted += split_records(self._read_bio())
        return encrypted

    def close(self) -> None:
        """Say goodbye, once; nothing more will be understood."""
        if self.state is State.ESTABLISHED:
            try:
                self._connection.shutdown()
            except self._ssl.Error:
                pass  # it was past talking already
            self._transmits += self._drain()
        self.state = State.ENDED
        self._flight = []

    # -- inside

    def _shake_hands(self, now: Micros) -> None:
        try:
            self._connection.do_handshake()
            complete = True
        except self._ssl.WantReadError:
            complete = False
        except self._ssl.Error as exc:
            alert = self._drain()
            if self._check.is_our_own:
                # OpenSSL would tell the peer of an "internal error".
                alert = pack_records(self._number(bad_certificate()), self._mtu)
            self._transmits += alert
            error = self._check.failure or _explain(self.peer, exc)
            self._fail(error, malformed=isinstance(error, ProtocolViolation))
            return
        flight = self._drain()
        if flight:
            self._interval = self._first_interval
            self._keep_flight(flight)
            self._resend_at = now + self._interval
        if complete:
            certificate = self._connection.get_peer_certificate(as_cryptography=True)
            name = self._connection.get_cipher_name()
            self.info = DtlsPeer(
                self.peer,
                name or "",
                None if certificate is None else certificate.public_bytes(Encoding.DER),
                None if certificate is None else fingerprint_of(certificate),
            )
            self.state = State.ESTABLISHED
            self._last_heard = now
            # A client's repeat comes later than this, and what only the network doubled is no repeat.
            self._resend_at = now + _REPEAT_INTERVAL
            if not self._is_server:
                self._flight = []

    def _read_one(self, now: Micros) -> list[bytes]:
        try:
            received = self._connection.recv(_RECORD_MOST)
        except self._ssl.WantReadError:
            return []  # forged, damaged, or a replay
        except self._ssl.Error as exc:
            self._end(exc)
            return []
        self._last_heard = now
        # Who sends data has our last flight.
        self._flight = []
        return [received]

    def _read_all(self, now: Micros) -> list[bytes]:
        received: list[bytes] = []
        while self.state is State.ESTABLISHED:
            one = self._read_one(now)
            if not one:
                break
            received += one
        return received

    def _end(self, exc: SSL.Error) -> None:
        if isinstance(exc, self._ssl.ZeroReturnError):
            self.close()
            return
        self._transmits += self._drain()
        self._fail(_explain(self.peer, exc))

    def _fail(self, error: TerzettoError, *, malformed: bool = False) -> None:
        self.error = error
        self.malformed = malformed
        self.state = State.ENDED
        self._flight = []

    def _keep_flight(self, flight: list[bytes]) -> None:
        self._flight = flight
        self._transmits += flight

    def _send_flight_again(self, now: Micros) -> None:
        try:
            self._connection.DTLSv1_handle_timeout()
        except self._ssl.Error:
            pass  # it counts time-outs too, and gives up on its own; how long is enough is ours to say
        self._keep_flight(self._drain() or self._renumbered(self._flight))
        self._interval = min(2 * self._interval, _BACKOFF_MOST * self._first_interval)
        self._resend_at = now + self._interval

    def _repeat_last_flight(self, now: Micros) -> None:
        if self._flight and self._repeats_left and now >= self._resend_at:
            self._repeats_left -= 1
            self._resend_at = now + _REPEAT_INTERVAL
            self._flight = self._renumbered(self._flight)
            self._transmits += self._flight

    def _renumbered(self, flight: list[bytes]) -> list[bytes]:
        return pack_records(self._number(b"".join(flight)), self._mtu)

    def _drain(self) -> list[bytes]:
        return pack_records(self._number(self._read_bio()), self._mtu)

    def _number(self, stream: bytes) -> Iterator[bytes]:
        """The records of *stream*, those before encryption numbered on from whatever was sent before."""
        for record in split_records(stream):
            if epoch_of(record):
                yield record
            else:
                self._next_number = max(self._next_number + 1, number_of(record))
                yield with_number(record, self._next_number)

    def _read_bio(self) -> bytes:
        parts: list[bytes] = []
        try:
            while True:
                part = self._connection.bio_read(_READ_SIZE)
                parts.append(part)
                if len(part) < _READ_SIZE:
                    break
        except self._ssl.WantReadError:
            pass
        return parts[0] if len(parts) == 1 else b"".join(parts)


def _explain(peer: Address, exc: SSL.Error) -> TerzettoError:
    """OpenSSL's complaint as an error of ours, by whose fault it is."""
    errors = exc.args[0] if exc.args and isinstance(exc.args[0], list) else []
    reasons = [reason for _library, _function, reason in errors]
    text = "; ".join(reason for reason in reasons if reason) or "OpenSSL gives no reason"
    from_peer = "alert" in text
    if from_peer and _ABOUT_CERTIFICATES.search(text):
        return AuthenticationFailed(f"{peer} does not accept our certificate ({text})")
    if "did not return a certificate" in text:
        return AuthenticationFailed(f"{peer} has shown no certificate", hint="verify='mutual' asks for one")
    if _NOTHING_IN_COMMON.search(text):
        return ConnectionRefusedByPeer(
            f"no DTLS handshake with {peer}: {text}",
            reason=text,
            hint="compare the cipher suites of both ends, and the kind of the certificate's key",
        )
    if from_peer:
        return ConnectionRefusedByPeer(f"{peer} ended the DTLS association: {text}", reason=text)
    return ProtocolViolation(f"{peer} broke the rules of DTLS: {text}")
