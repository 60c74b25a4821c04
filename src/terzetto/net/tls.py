"""TLS over a byte stream: the system's authorities, a context of the caller's, or one pinned certificate.

Cameras sign their own certificates, so a client may name the SHA-256 fingerprint of the one it expects instead of
trusting an authority.
"""

from __future__ import annotations

import hashlib
import ssl
from hmac import compare_digest
from typing import TypeVar

import trio

from terzetto.errors import AuthenticationFailed, InvalidOption, WrongProtocol
from terzetto.net.stream import ByteStream, WrappedStream
from terzetto.primitives.datagrams import Buffer

__all__ = ["TlsStream", "accept_tls", "client_context", "connect_tls", "fingerprint_of"]

T = TypeVar("T")


class TlsStream(WrappedStream):
    """An encrypted connection; made by `connect_tls` and `accept_tls`."""

    def __init__(self, transport: ByteStream, tls: trio.SSLStream[ByteStream]) -> None:
        super().__init__(transport)
        self._tls = tls

    def send_nowait(self, data: Buffer) -> int:
        """Never anything: a record may have to wait half-way, which only `send_all` can."""
        del data
        return 0

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send all of *data*."""
        await self._tls.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until there is room."""
        await self._tls.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Wait for bytes; empty at the end."""
        return bytes(await self._tls.receive_some(max_bytes))

    async def aclose(self) -> None:
        """Say goodbye if that is possible at once, and close."""
        try:
            with trio.move_on_after(1.0):
                await self._tls.aclose()
        finally:
            self._transport.close()


def client_context(*, verify: bool = True) -> ssl.SSLContext:
    """TLS 1.2 or later, checked against the system's authorities unless not to be verified."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def normal_fingerprint(text: str) -> str:
    """A SHA-256 fingerprint as 64 small hexadecimal digits; colons and blanks between them are custom."""
    digits = text.replace(":", "").replace(" ", "").lower()
    if len(digits) != 64 or any(digit not in "0123456789abcdef" for digit in digits):
        raise InvalidOption("fingerprint must be 64 hexadecimal digits, the SHA-256 of a certificate")
    return digits


def fingerprint_of(certificate: bytes) -> str:
    """The SHA-256 fingerprint of a certificate in DER form."""
    return hashlib.sha256(certificate).hexdigest()


async def connect_tls(
    transport: ByteStream, host: str, *, context: ssl.SSLContext | None = None, fingerprint: str | None = None
) -> TlsStream:
    """Encrypt a connection to *host*; closes the transport when that fails.

    With a *fingerprint* exactly that certificate is accepted, whoever signed it; otherwise the *context* decides.
    Raises `AuthenticationFailed`, or `WrongProtocol` when the server speaks no TLS.
    """
    try:
        pinned = normal_fingerprint(fingerprint) if fingerprint is not None else None
        if context is None:
            context = client_context(verify=pinned is None)
        tls = trio.SSLStream(
            transport, context, server_hostname=host.partition("%")[0], https_compatible=True
        )
        await _shake_hands(tls, host)
        if pinned is not None:
            certificate = tls.getpeercert(binary_form=True)
            found = fingerprint_of(certificate) if certificate else ""
            if not compare_digest(found, pinned):
                raise AuthenticationFailed(
                    f"the certificate of {host} has the SHA-256 fingerprint {found}, not the one that was expected",
                    hint="somebody may be listening in, unless the certificate was renewed",
                )
        return TlsStream(transport, tls)
    except BaseException:
        transport.close()
        raise


async def accept_tls(transport: ByteStream, context: ssl.SSLContext) -> TlsStream:
    """Encrypt a connection that was accepted; closes the transport when that fails."""
    try:
        tls = trio.SSLStream(transport, context, server_side=True, https_compatible=True)
        await _shake_hands(tls, str(transport.peer_address))
        return TlsStream(transport, tls)
    except BaseException:
        transport.close()
        raise


async def _shake_hands(tls: trio.SSLStream[ByteStream], host: str) -> None:
    try:
        await tls.do_handshake()
    except trio.BrokenResourceError as exc:
        cause = exc.__cause__
        if isinstance(cause, ssl.SSLCertVerificationError):
            raise AuthenticationFailed(
                f"the certificate of {host} is not trusted ({cause.verify_message})",
                hint="give a context that trusts it, or its SHA-256 fingerprint",
            ) from exc
        if isinstance(cause, ssl.SSLError) and cause.reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST"):
            raise WrongProtocol(
                f"{host} does not speak TLS there", hint="use rtsp:// rather than rtsps://"
            ) from exc
        raise
