"""An RTSP server: listeners, connections, sessions, and one handler for all of them."""

from __future__ import annotations

import ssl
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from ipaddress import ip_network
from typing import Any, TypeAlias

import attrs
import trio

from terzetto.driver.clock import current_micros
from terzetto.errors import InvalidOption, InvalidUrl, TerzettoError
from terzetto.net.endpoint import EndpointOptions
from terzetto.net.network import Network, current_network
from terzetto.net.stream import ByteListener, ByteStream, StreamOptions
from terzetto.net.tls import accept_tls
from terzetto.primitives.datagrams import Address
from terzetto.rtsp.core.guess_brake import GuessBrake
from terzetto.rtsp.core.server_auth import Scheme
from terzetto.rtsp.core.server_session import Lower, ServerSession
from terzetto.rtsp.options import RtspServerOptions
from terzetto.rtsp.server.connection import RtspServerConnection
from terzetto.rtsp.server.dispatch import Dispatcher
from terzetto.rtsp.server.handler import RtspHandler
from terzetto.rtsp.server.session import RtspServerSession
from terzetto.rtsp.server.tunnel import Tunnels, tunnel_of
from terzetto.rtsp.server.udp import ServerUdp
from terzetto.rtsp.stream import ServerStream

__all__ = ["CredentialsLike", "RtspServer", "ServerStatistics", "serve_rtsp"]

Verifier: TypeAlias = Callable[[str], Awaitable[str | None]]
"""Finds the password of a user; None when there is no such user."""

CredentialsLike: TypeAlias = Mapping[str, str] | Verifier
"""Passwords by user name, or a function that looks them up."""


@attrs.frozen(kw_only=True)
class ServerStatistics:
    """Counters of one server."""

    connections: int
    sessions: int
    connections_refused: int
    foreign_datagrams: int
    """From addresses that belong to no session."""


class RtspServer:
    """A server at work; `serve_rtsp` hands it out when it is ready."""

    def __init__(
        self,
        handler: RtspHandler,
        options: RtspServerOptions,
        credentials: Verifier | None,
        listeners: list[ByteListener],
        udp: ServerUdp | None,
        nursery: trio.Nursery,
        *,
        is_secure: bool,
    ) -> None:
        self.handler = handler
        self.options = options
        self.credentials = credentials
        self.network: Network = current_network()
        self.nursery = nursery
        self.udp = udp
        self.is_secure = is_secure
        self.brake = GuessBrake()
        self.sessions: dict[str, RtspServerSession] = {}
        self.dispatcher = Dispatcher(self)
        self._listeners = listeners
        self._connections: dict[RtspServerConnection, None] = {}
        self._open = 0
        self._hosts: Counter[str] = Counter()
        self._session_hosts: Counter[str] = Counter()
        self._tunnels = Tunnels()
        self._accept_scope = trio.CancelScope()
        self._stopped = trio.Event()
        self._next_group = 0
        self._refused = 0
        self._numbers = 0

    # -- for users -----------------------------------------------------------------------------------------------

    @property
    def address(self) -> Address:
        """Where it listens."""
        return self._listeners[0].local_address

    @property
    def url(self) -> str:
        """The URL of the server as this machine sees it."""
        host, port = self.address
        host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "127.0.0.1"}.get(host, host)
        scheme = "rtsps" if self.is_secure else "rtsp"
        return f"{scheme}://{Address(host, port)}"

    def statistics(self) -> ServerStatistics:
        """A snapshot of the counters."""
        return ServerStatistics(
            connections=self._open,
            sessions=len(self.sessions),
            connections_refused=self._refused,
            foreign_datagrams=self.udp.foreign if self.udp is not None else 0,
        )

    async def drain(self) -> None:
        """Stop: accept nobody, let readers have what waits for them (within ``drain_time``), and close."""
        self._accept_scope.cancel()
        for listener in self._listeners:
            await listener.aclose()
        for session in list(self.sessions.values()):
            session.stop_reading()
        with trio.move_on_after(self.options.drain_time):
            async with trio.open_nursery() as nursery:
                for connection in list(self._connections):
                    nursery.start_soon(connection.driver.wait_written)
        for session in list(self.sessions.values()):
            self.close_session(session, "the server stops")
        for connection in list(self._connections):
            connection.close("the server stops")
        self._stopped.set()

    # -- for the rooms of the server -----------------------------------------------------------------------------

    @property
    def schemes(self) -> Scheme:
        """The ways of authentication that are offered."""
        schemes = Scheme.DIGEST_MD5
        if self.options.offer_sha256:
            schemes |= Scheme.DIGEST_SHA_256
        if self.options.offer_basic:
            schemes |= Scheme.BASIC
        return schemes

    def open_session(self, connection: RtspServerConnection) -> RtspServerSession | None:
        """A session for that connection; None when there are too many, in all or from its host."""
        host = connection.peer_address.host
        options = self.options
        is_full = len(self.sessions) >= options.max_sessions
        if is_full or self._session_hosts[host] >= options.max_sessions_per_host:
            return None
        self._session_hosts[host] += 1
        rules = ServerSession(
            token=self.network.entropy(16).hex(),
            host=host,
            user=connection.user,
            last_heard=current_micros(),
        )
        session = RtspServerSession(self, rules, connection)
        self.sessions[rules.token] = session
        connection.session = session
        return session

    def close_session(self, session: RtspServerSession, reason: str) -> None:
        """End a session; harmless when it has ended."""
        if self.sessions.pop(session.rules.token, None) is None:
            return
        self._session_hosts[session.host] -= 1
        if self._session_hosts[session.host] <= 0:
            del self._session_hosts[session.host]
        session.rules.advance("TEARDOWN")
        if self.udp is not None:
            self.udp.unregister(session)
        session.finish(reason)
        for connection in self._connections:
            if connection.session is session:
                connection.session = None
                connection.control.may_be_idle = False
        self.nursery.start_soon(self._tell_session_closed, session, reason)

    def forget_connection(self, connection: RtspServerConnection, reason: str) -> None:
        """A connection ended; so do the sessions that cannot live without it."""
        self._connections.pop(connection, None)
        host = connection.peer_address.host
        self._leave(host)
        session, connection.session = connection.session, None
        if session is None or session.connection is not connection:
            return
        session.connection = None
        if session.rules.lower is Lower.TCP or not session.state.is_streaming:
            self.close_session(session, reason)

    async def join_group(self, stream: ServerStream, media: int, *, is_secure: bool, local_host: str) -> None:
        """Multicast a media, if it is not yet.

        It leaves from *local_host*, the address by which the first reader came: readers take packets from the server
        that they asked, and from nobody else.
        """
        if stream.group(media) is not None:
            stream.join_group(media)
            return
        options = self.options
        assert options.multicast_groups is not None
        pool = ip_network(options.multicast_groups, strict=False)
        self._next_group += 1
        group = str(pool[self._next_group % pool.num_addresses])
        endpoints = [
            await self.network.open_datagram_endpoint(
                EndpointOptions(
                    local=Address(group, port),
                    groups=(group,),
                    family=6 if ":" in group else 4,
                    ttl=options.multicast_ttl,
                    interface=options.multicast_interface,
                )
            )
            for port in (options.multicast_port, options.multicast_port + 1)
        ]
        source = local_host if (":" in local_host) == (":" in group) else None
        make = (endpoints[0], endpoints[1], Address(group, options.multicast_port), source)
        stream.join_group(media, make, is_secure=is_secure)

    # -- inside --------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Serve until drained or cancelled."""
        with self._accept_scope:
            async with trio.open_nursery() as nursery:
                for listener in self._listeners:
                    nursery.start_soon(self._accept, listener)
        await self._stopped.wait()

    async def keep_house(self) -> None:
        """End sessions that give no sign of life."""
        while True:
            await trio.sleep(1.0)
            for session in list(self.sessions.values()):
                reason = session.overdue()
                if reason is not None:
                    connection = session.connection
                    self.close_session(session, reason)
                    if connection is not None and session.rules.lower is Lower.TCP:
                        connection.close(reason)

    async def _accept(self, listener: ByteListener) -> None:
        while True:
            try:
                stream = await listener.accept()
            except trio.ClosedResourceError:
                return
            except OSError:
                # Out of descriptors or memory: others may leave soon.
                await trio.sleep(0.1)
                continue
            host = stream.peer_address.host
            options = self.options
            # Those count as well that have not shown yet what they speak.
            is_full = self._open >= options.max_connections
            if is_full or self._hosts[host] >= options.max_connections_per_host:
                self._refused += 1
                stream.close()
                continue
            self._open += 1
            self._hosts[host] += 1
            self.nursery.start_soon(self._serve, stream)

    async def _serve(self, stream: ByteStream) -> None:
        host = stream.peer_address.host
        if self.options.ssl_context is not None and self.is_secure:
            try:
                with trio.fail_after(self.options.request_timeout):
                    stream = await accept_tls(stream, self.options.ssl_context)
            except (trio.TooSlowError, trio.BrokenResourceError, ssl.SSLError, TerzettoError):
                self._refused += 1
                self._leave(host)
                return
        if self.options.tunnels:
            unwrapped = await self._unwrap(stream)
            if unwrapped is None:
                self._leave(host)
                return
            stream = unwrapped
        self._numbers += 1
        connection = RtspServerConnection(
            self, stream, self._numbers, is_secure=self.is_secure, tunnel=tunnel_of(stream)
        )
        self._connections[connection] = None
        await connection.run()

    async def _unwrap(self, stream: ByteStream) -> ByteStream | None:
        """Whatever *stream* carries RTSP in, or as."""
        try:
            with trio.fail_after(self.options.request_timeout):
                return await self._tunnels.unwrap(stream)
        except (trio.TooSlowError, trio.BrokenResourceError, trio.ClosedResourceError):
            self._refused += 1
            stream.close()
            return None

    def _leave(self, host: str) -> None:
        """One connection fewer from *host*."""
        self._open -= 1
        self._hosts[host] -= 1
        if self._hosts[host] <= 0:
            del self._hosts[host]

    async def _tell_session_closed(self, session: RtspServerSession, reason: str) -> None:
        await self.handler.session_closed(session, reason)

    def close(self) -> None:
        """Let go of everything, on the way out."""
        for session in list(self.sessions.values()):
            session.finish("the server stops")
        self.sessions.clear()
        if self.udp is not None:
            self.udp.close()


async def serve_rtsp(
    handler: RtspHandler,
    url: str = "rtsp://:8554",
    *,
    credentials: CredentialsLike | None = None,
    options: RtspServerOptions | None = None,
    task_status: trio.TaskStatus[RtspServer] = trio.TASK_STATUS_IGNORED,
    **knobs: Any,
) -> None:
    """Serve RTSP at *url* (``rtsp://:8554``, ``rtsps://192.0.2.1``) until cancelled, or drained.

    *credentials* are passwords by user name, or an async function that finds one. Keywords are those of
    `RtspServerOptions`, and beat *options*. ``await nursery.start(serve_rtsp, handler, url)`` gives the `RtspServer`.
    """
    chosen = attrs.evolve(options or RtspServerOptions(), **knobs)
    scheme, local = _parse_listen_url(url)
    is_secure = scheme == "rtsps"
    if is_secure and chosen.ssl_context is None:
        raise InvalidOption("rtsps:// needs an ssl_context with the server's certificate")
    if chosen.srtp and not (is_secure or chosen.allow_readable_keys):
        raise InvalidOption(
            "srtp over rtsp:// would send its keys readable",
            hint="serve rtsps://, or say allow_readable_keys=True where nobody else listens",
        )
    network = current_network()
    listeners = list(await network.open_tcp_listeners(local, StreamOptions()))
    udp: ServerUdp | None = None
    try:
        if chosen.udp and (chosen.srtp or not is_secure):
            udp = await ServerUdp.open(network, local.host, chosen.udp_port)
        async with trio.open_nursery() as nursery:
            server = RtspServer(
                handler, chosen, _verifier(credentials), listeners, udp, nursery, is_secure=is_secure
            )
            try:
                if udp is not None:
                    nursery.start_soon(udp.run, chosen.tick)
                nursery.start_soon(server.keep_house)
                task_status.started(server)
                await server.run()
                nursery.cancel_scope.cancel()
            finally:
                server.close()
    finally:
        if udp is not None:
            udp.close()
        with trio.CancelScope(shield=True):
            for listener in listeners:
                await listener.aclose()


def _verifier(credentials: CredentialsLike | None) -> Verifier | None:
    if credentials is None or callable(credentials):
        return credentials
    table = dict(credentials)

    async def look_up(username: str) -> str | None:
        await trio.lowlevel.checkpoint()
        return table.get(username)

    return look_up


def _parse_listen_url(url: str) -> tuple[str, Address]:
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in ("rtsp", "rtsps"):
        raise InvalidUrl(f"cannot serve {scheme!r}", hint="write rtsp://:8554 or rtsps://:8322")
    authority = rest.partition("/")[0].rpartition("@")[2]
    host, colon, port = authority.rpartition(":")
    if authority.endswith("]") or not colon:
        host, port = authority, ""
    host = host.removeprefix("[").removesuffix("]")
    if port and not (port.isascii() and port.isdigit() and int(port) < 65536):
        raise InvalidUrl(f"the port {port!r} is impossible", hint="write rtsp://:8554")
    default = 322 if scheme == "rtsps" else 554
    return scheme, Address(host, int(port) if port else default)
