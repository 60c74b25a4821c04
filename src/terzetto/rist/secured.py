"""A RIST session's endpoint with DTLS around it, and the task that keeps a caller's association up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import trio

from terzetto.driver.reconnecting import Reconnector
from terzetto.errors import PeerError
from terzetto.net.dtls import CipherSuite, DtlsEndpoint, DtlsOptions, wrap_endpoint
from terzetto.net.endpoint import DatagramEndpoint
from terzetto.primitives.datagrams import Address
from terzetto.rist.dtls import RistDtls

__all__ = ["dtls_overhead", "keep_called", "secure"]

_IP_AND_UDP: Final = {4: 28, 6: 48}
_LONGEST_DATAGRAM: Final = 16384

# Media waits for nobody, so a call that nobody answers is soon begun again.
_HANDSHAKE_TIMEOUT: Final = 4.0
_LOOK_AGAIN: Final = 0.25


def secure(
    endpoint: DatagramEndpoint,
    dtls: RistDtls,
    *,
    mtu: int,
    family: int,
    remote: Address | None,
    host: str | None,
) -> DtlsEndpoint:
    """*endpoint* with DTLS around it; closed when that is not possible."""
    try:
        return wrap_endpoint(endpoint, _options(dtls, mtu=mtu, family=family, host=host), remote=remote)
    except BaseException:
        endpoint.close()
        raise


def dtls_overhead(dtls: RistDtls | None) -> int:
    """How many bytes of each datagram DTLS takes."""
    if dtls is None:
        return 0
    options = DtlsOptions(cipher_suites=[CipherSuite[name] for name in dtls.cipher_suites])
    return options.mtu - options.payload_limit


async def keep_called(
    endpoints: Sequence[DatagramEndpoint], again: Reconnector, complain: Callable[[Address, PeerError], None]
) -> PeerError | None:
    """Keep the association of a caller's endpoint up, whatever becomes of the peer; why that was given up."""
    for endpoint in endpoints:
        if isinstance(endpoint, DtlsEndpoint) and endpoint.remote is not None:
            return await _keep_one_called(endpoint, endpoint.remote, again, complain)
    return None


async def _keep_one_called(
    endpoint: DtlsEndpoint,
    remote: Address,
    again: Reconnector,
    complain: Callable[[Address, PeerError], None],
) -> PeerError | None:
    while True:
        failure: PeerError
        try:
            await endpoint.wait_established()
        except trio.ClosedResourceError:
            return None
        except PeerError as error:
            failure = error
            complain(remote, error)
        else:
            again.succeeded()
            # Nothing tells when an association ends but the endpoint's own list.
            while endpoint.peers():  # noqa: ASYNC110
                await trio.sleep(_LOOK_AGAIN)
            failure = PeerError(f"the DTLS association with {remote} has ended")
        if not await again.wait(str(failure)):
            return failure


def _options(dtls: RistDtls, *, mtu: int, family: int, host: str | None) -> DtlsOptions:
    return DtlsOptions(
        certificate=dtls.certificate,
        private_key=dtls.private_key,
        ca=dtls.ca,
        verify=dtls.verify,
        fingerprints=dtls.fingerprints,
        server_name=dtls.server_name or host,
        cipher_suites=[CipherSuite[name] for name in dtls.cipher_suites],
        mtu=min(mtu - _IP_AND_UDP[family], _LONGEST_DATAGRAM),
        handshake_timeout=_HANDSHAKE_TIMEOUT,
    )
