"""SRT connections and listeners as trio streams.

``open_x`` is for a block, ``connect_x`` for an object that lives in a nursery of the caller's.
``srt://host:port`` calls, ``srt://:port`` (or ``mode=listener``) listens.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Unpack, overload

import attrs
import trio

from terzetto.driver.nursery import open_session_nursery
from terzetto.errors import InvalidUrl, UnsupportedOperation
from terzetto.net.endpoint import Address, DatagramEndpoint
from terzetto.net.network import current_network
from terzetto.primitives.reconnection import Reconnection
from terzetto.srt.core.negotiation import RefusedError
from terzetto.srt.core.rendezvous import PATIENCE_FACTOR
from terzetto.srt.listening import Authorize, SrtListener
from terzetto.srt.log import CONN
from terzetto.srt.options import SrtKnobs, SrtOptions
from terzetto.srt.reconnecting import SrtReconnectingStream
from terzetto.srt.refusals import error_for_refusal
from terzetto.srt.runtime import Runtime, open_endpoint
from terzetto.srt.stream import SrtStream
from terzetto.srt.url import SrtTarget, target_from_url

__all__ = [
    "connect_srt_listener",
    "connect_srt_rendezvous",
    "connect_srt_stream",
    "open_srt_listener",
    "open_srt_rendezvous",
    "open_srt_stream",
]


async def connect_srt_stream(
    nursery: trio.Nursery,
    url: str,
    *,
    options: SrtOptions | None = None,
    endpoint: DatagramEndpoint | None = None,
    **knobs: Unpack[SrtKnobs],
) -> SrtStream:
    """Connect with one peer; the stream's tasks live in *nursery*. See `open_srt_stream`."""
    target = target_from_url(url, options, knobs)
    if target.listen:
        return await _accept_one(nursery, target, endpoint)
    return await _call(nursery, target, endpoint)


async def connect_srt_rendezvous(
    nursery: trio.Nursery,
    url: str,
    *,
    options: SrtOptions | None = None,
    endpoint: DatagramEndpoint | None = None,
    **knobs: Unpack[SrtKnobs],
) -> SrtStream:
    """Meet a peer; the stream's tasks live in *nursery*. See `open_srt_rendezvous`."""
    target = target_from_url(url, options, knobs)
    if not target.host or target.url.listen:
        raise InvalidUrl(f"{target} names nobody to meet", hint="write srt://host:port")
    return await _call(nursery, attrs.evolve(target, listen=False, rendezvous=True), endpoint)


async def connect_srt_listener(
    nursery: trio.Nursery,
    url: str,
    *,
    authorize: Authorize | None = None,
    options: SrtOptions | None = None,
    endpoint: DatagramEndpoint | None = None,
    **knobs: Unpack[SrtKnobs],
) -> SrtListener:
    """Listen for callers; the tasks of the listener and its streams live in *nursery*. See `open_srt_listener`."""
    target = target_from_url(url, options, knobs)
    if not target.listen:
        raise InvalidUrl(
            f"{target} calls, it does not listen", hint="write srt://:port, or add mode=listener"
        )
    return await _listen(nursery, target, authorize, endpoint)


@overload
def open_srt_stream(
    url: str,
    *,
    reconnect: None = None,
    options: SrtOptions | None = None,
    endpoint: DatagramEndpoint | None = None,
    **knobs: Unpack[SrtKnobs],
) -> AbstractAsyncContextManager[SrtStream]: ...


@overload
def open_srt_stream(
    url: str,
    *,
    reconnect: Reconnection,
    options: SrtOptions | None = None,
    **knobs: Unpack[SrtKnobs],
) -> AbstractAsyncContextManager[SrtReconnectingStream]: ...


def open_srt_stream(
    url: str,
    *,
    reconnect: Reconnection | None = None,
    options: SrtOptions | None = None,
    endpoint: DatagramEndpoint | None = None,
    **knobs: Unpack[SrtKnobs],
) -> AbstractAsyncContextManager[SrtStream | SrtReconnectingStream]:
    """Connect with one peer.

    ``srt://host:port`` calls a listener; ``srt://:port`` waits for one caller, and is deaf to others;
    ``srt://host:port?mode=rendezvous`` meets a peer that does the same (see `open_srt_rendezvous`). The
    URL's query, *options* and the keywords name the same knobs (`SrtOptions`); a keyword beats the query,
    the query beats *options*. An *endpoint* of your own takes the place of a new UDP socket, and is closed
    in the end.

    With *reconnect* the block gets an `SrtReconnectingStream`, for live media: when the connection ends, for
    whatever reason, the next one is made as the policy says. The first one has to succeed as it has without.

    Leaving the block normally waits until what was sent has arrived (``linger``); leaving it by an exception
    says goodbye at once. Raises `terzetto.errors.PeerTimedOut`, `ConnectionRefusedByPeer` (with the code),
    and for passphrases `AuthenticationFailed`.
    """
    return _open_stream(url, reconnect, options, endpoint, knobs)


@asynccontextmanager
async def _open_stream(
    url: str,
    reconnect: Reconnection | None,
    options: SrtOptions | None,
    endpoint: DatagramEndpoint | None,
    knobs: SrtKnobs,
) -> AsyncIterator[SrtStream | SrtReconnectingStream]:
    async with open_session_nursery() as nursery:
        stream: SrtStream | SrtReconnectingStream
        if reconnect is None:
            stream = await connect_srt_stream(nursery, url, options=options, endpoint=endpoint, **knobs)
        elif endpoint is not None:
            raise UnsupportedOperation(
                "an endpoint of your own serves one connection", hint="leave endpoint or reconnect out"
            )
        else:
            stream = await _keep_connected(nursery, target_from_url(url, options, knobs), reconnect)
        try:
            yield stream
            await stream.aclose()
        finally:
            stream.abort()


async def _keep_connected(
    nursery: trio.Nursery, target: SrtTarget, policy: Reconnection
) -> SrtReconnectingStream:
    if target.options.transmission_type != "live":
        raise UnsupportedOperation(
            "only live media goes on after a break",
            hint="a file has to be sent again from its beginning, or from where the receiver says",
        )
    stream = SrtReconnectingStream(str(target), policy, entropy=current_network().entropy)

    async def connect(nursery: trio.Nursery) -> SrtStream:
        return await (_accept_one if target.listen else _call)(nursery, target, None)

    await nursery.start(stream.run, connect)
    return stream


@asynccontextmanager
async def open_srt_rendezvous(
    url: str,
    *,
    options: SrtOptions | None = None,
    endpoint: DatagramEndpoint | None = None,
    **knobs: Unpack[SrtKnobs],
) -> AsyncIterator[SrtStream]:
    """Meet a peer: both sides call each other, and neither has to be reachable before it has called itself.

    ``srt://host:port`` is the peer; our own port is the same one unless ``local_port`` (``localport=`` in the URL)
    names another. Which side begins does not matter; each waits ten times ``connect_timeout``. For the rest see
    `open_srt_stream`.
    """
    async with open_session_nursery() as nursery:
        stream = await connect_srt_rendezvous(nursery, url, options=options, endpoint=endpoint, **knobs)
        try:
            yield stream
            await stream.aclose()
        finally:
            stream.abort()


@asynccontextmanager
async def open_srt_listener(
    url: str,
    *,
    authorize: Authorize | None = None,
    options: SrtOptions | None = None,
    endpoint: DatagramEndpoint | None = None,
    **knobs: Unpack[SrtKnobs],
) -> AsyncIterator[SrtListener]:
    """Listen for callers on one UDP socket.

    *authorize* decides about each of them (see `terzetto.srt.listening.Authorize`). For the URL's query,
    *options*, *endpoint* and keywords see `open_srt_stream`. Leaving the block ends every stream that was
    accepted in it.
    """
    async with open_session_nursery() as nursery:
        listener = await connect_srt_listener(
            nursery, url, authorize=authorize, options=options, endpoint=endpoint, **knobs
        )
        try:
            yield listener
        finally:
            listener.close()


async def _start(
    nursery: trio.Nursery, target: SrtTarget, endpoint: DatagramEndpoint | None, local: Address, family: int
) -> Runtime:
    if target.doubt:
        CONN.warning("%s: %s", target, target.doubt)
    network = current_network()
    if endpoint is None:
        endpoint = await open_endpoint(network, target.options, local, family=family)
    try:
        runtime = Runtime(endpoint, network, target.options)
        await runtime.start(nursery)
    except BaseException:
        endpoint.close()
        raise
    return runtime


async def _call(nursery: trio.Nursery, target: SrtTarget, endpoint: DatagramEndpoint | None) -> SrtStream:
    options = target.options
    peer = (await current_network().resolve(target.host, target.port))[0]
    # Who meets a peer is called where it calls from, and both sides mostly agree on one port.
    port = options.local_port or (target.port if target.rendezvous else 0)
    local = Address(options.local_address, port)
    runtime = await _start(nursery, target, endpoint, local, 6 if peer.is_ipv6 else 4)
    try:
        outcome = await (runtime.meet if target.rendezvous else runtime.call)(peer, options)
    except BaseException:
        runtime.abort()
        raise
    if isinstance(outcome, RefusedError):
        runtime.abort()
        raise error_for_refusal(
            outcome,
            f"srt://{peer}",
            timeout=options.connect_timeout * (PATIENCE_FACTOR if target.rendezvous else 1),
            has_heard=outcome.has_heard,
            troubles=runtime.troubles,
        )
    runtime.end_when_idle()
    assert isinstance(outcome, SrtStream)
    return outcome


async def _listen(
    nursery: trio.Nursery, target: SrtTarget, authorize: Authorize | None, endpoint: DatagramEndpoint | None
) -> SrtListener:
    if target.options.group_connect:
        raise UnsupportedOperation(
            "this listener accepts single connections", hint="use open_srt_group_listener to accept groups"
        )
    runtime = await start_listening(nursery, target, endpoint)
    return SrtListener(runtime, target.options, nursery, authorize)


async def start_listening(
    nursery: trio.Nursery, target: SrtTarget, endpoint: DatagramEndpoint | None
) -> Runtime:
    """The running socket of a listener."""
    local = Address("", target.port)
    if target.host:
        local = (await current_network().resolve(target.host, target.port))[0]
    family = 6 if local.is_ipv6 or target.options.ipv6_only == 1 else 4
    if not local.host and target.options.ipv6_only < 1:
        family = 0
    return await _start(nursery, target, endpoint, local, family)


async def _accept_one(
    nursery: trio.Nursery, target: SrtTarget, endpoint: DatagramEndpoint | None
) -> SrtStream:
    listener = await _listen(nursery, target, None, endpoint)
    try:
        return await listener.accept()
    finally:
        listener.close()
