"""Reaching a server: addresses, a proxy, TLS, a tunnel."""

from __future__ import annotations

import math
from functools import partial

import trio

from terzetto.errors import ConnectionRefusedByPeer, InvalidOption, PeerTimedOut, TerzettoError
from terzetto.net.network import Network
from terzetto.net.stream import ByteStream, StreamOptions
from terzetto.net.tls import connect_tls
from terzetto.primitives.datagrams import Address
from terzetto.rtsp.client.tunnel import connect_through_proxy, open_http_tunnel, open_websocket
from terzetto.rtsp.core.client_auth import ClientAuthenticator
from terzetto.rtsp.options import RtspOptions
from terzetto.rtsp.wire.url import RtspUrl

__all__ = ["dial"]


async def dial(
    network: Network, url: RtspUrl, options: RtspOptions, authenticator: ClientAuthenticator
) -> ByteStream:
    """A stream to the server of *url*, by whatever way *options* tell; *authenticator* answers on HTTP's level."""
    connect = partial(_connect, network, url, options)
    if options.tunnel == "none":
        return await connect()
    tunnel = open_http_tunnel if options.tunnel == "http" else open_websocket
    try:
        return await tunnel(
            connect,
            url,
            authenticator=authenticator,
            entropy=network.entropy,
            user_agent=options.user_agent,
        )
    except trio.BrokenResourceError as exc:
        if isinstance(exc, TerzettoError):
            raise
        raise ConnectionRefusedByPeer(
            f"{url}: the connection broke while the tunnel was opened",
            hint="the server may speak RTSP alone; try without the tunnel",
        ) from exc


async def _connect(network: Network, url: RtspUrl, options: RtspOptions) -> ByteStream:
    if options.proxy is None:
        transport = await _reach(network, url.host, url.effective_port, options.connect_timeout)
    else:
        host, port = _parse_proxy(options.proxy)
        transport = await _reach(network, host, port, options.connect_timeout)
        try:
            await connect_through_proxy(transport, url)
        except BaseException:
            transport.close()
            raise
    if not url.is_secure:
        return transport
    return await connect_tls(
        transport, url.host, context=options.ssl_context, fingerprint=options.fingerprint
    )


async def _reach(network: Network, host: str, port: int, patience: float) -> ByteStream:
    addresses = await network.resolve(host, port)
    failure: TerzettoError | None = None
    # One after the other; each gets its share of the patience, so that one dead address does not eat all of it.
    share = patience / len(addresses) if addresses else math.inf
    for address in addresses:
        try:
            with trio.fail_after(share):
                return await network.open_tcp_stream(address, StreamOptions())
        except TerzettoError as exc:
            failure = failure or exc
        except trio.TooSlowError:
            failure = failure or _too_slow(address)
    raise failure if failure is not None else PeerTimedOut(f"{host} has no address")


def _too_slow(address: Address) -> PeerTimedOut:
    return PeerTimedOut(f"{address} does not answer", hint="check the address, and any firewall between")


def _parse_proxy(text: str) -> tuple[str, int]:
    host, colon, port = text.removeprefix("http://").rstrip("/").rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if (
        not colon
        or not host
        or "/" in host
        or not (port.isascii() and port.isdigit() and 0 < int(port) < 65536)
    ):
        raise InvalidOption(f"proxy is {text!r}", hint="write http://host:port")
    return host, int(port)
