"""terzetto: live media transport on trio, in three voices: RIST, SRT and RTSP.

This file is the public surface and the map; everything else is one of these rooms, each of which may import from
those below it and from nothing else::

    cli | testing          commands; what users need for tests of their own
    gateway                routes between protocols
    rist | srt | rtsp      each: wire (bytes), core (rules), options, events, statistics, api (streams)
    driver                 trio tasks that make a pure core run
    net | rtp | mpegts     sockets and the simulated network; RTP and RTCP; MPEG transport streams
    url | crypto | primitives
    errors
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from terzetto.errors import (
        AddressInUse,
        AllPathsFailed,
        AuthenticationFailed,
        CallerError,
        ConnectionRefusedByPeer,
        InvalidOption,
        InvalidUrl,
        MissingExtra,
        NoRoute,
        PeerError,
        PeerTimedOut,
        PermissionRefused,
        ProtocolViolation,
        TerzettoError,
        UnknownHost,
        UnsupportedOperation,
        WorldError,
        WrongProtocol,
    )
    from terzetto.primitives.reconnection import Reconnection
    from terzetto.rist.api import (
        RistReceiver,
        RistSender,
        connect_rist_receiver,
        connect_rist_sender,
        open_rist_receiver,
        open_rist_sender,
    )
    from terzetto.rist.events import RistPacket
    from terzetto.rist.listener import RistListener, open_rist_listener
    from terzetto.rist.options import CongestionControl, RistOptions, TimingMode
    from terzetto.rist.streams import RistStreamReceiver, RistStreams, RistStreamSender
    from terzetto.rtsp.api import (
        RtspClient,
        RtspHandler,
        RtspOptions,
        RtspPacket,
        RtspServerOptions,
        ServerStream,
        connect_rtsp_client,
        open_rtsp_client,
        serve_rtsp,
    )
    from terzetto.srt.api import (
        connect_srt_listener,
        connect_srt_rendezvous,
        connect_srt_stream,
        open_srt_listener,
        open_srt_rendezvous,
        open_srt_stream,
    )
    from terzetto.srt.fan_out import SlowReader
    from terzetto.srt.group import SrtGroup
    from terzetto.srt.group_api import (
        connect_srt_group,
        connect_srt_group_listener,
        open_srt_group,
        open_srt_group_listener,
    )
    from terzetto.srt.group_listening import SrtGroupListener
    from terzetto.srt.group_statistics import SrtGroupStatistics
    from terzetto.srt.listening import SrtListener, SrtRefusal
    from terzetto.srt.options import SrtOptions
    from terzetto.srt.reconnecting import SrtReconnectingStream
    from terzetto.srt.server import PublishSubscribe, SrtHandler, SrtServer, serve_srt
    from terzetto.srt.statistics import SrtStatistics
    from terzetto.srt.stream import SrtMessage, SrtPacket, SrtStream

__version__ = "0.1.0"

__all__ = [
    "AddressInUse",
    "AllPathsFailed",
    "AuthenticationFailed",
    "CallerError",
    "CongestionControl",
    "ConnectionRefusedByPeer",
    "InvalidOption",
    "InvalidUrl",
    "MissingExtra",
    "NoRoute",
    "PeerError",
    "PeerTimedOut",
    "PermissionRefused",
    "ProtocolViolation",
    "PublishSubscribe",
    "Reconnection",
    "RistListener",
    "RistOptions",
    "RistPacket",
    "RistReceiver",
    "RistSender",
    "RistStreamReceiver",
    "RistStreamSender",
    "RistStreams",
    "RtspClient",
    "RtspHandler",
    "RtspOptions",
    "RtspPacket",
    "RtspServerOptions",
    "ServerStream",
    "SlowReader",
    "SrtGroup",
    "SrtGroupListener",
    "SrtGroupStatistics",
    "SrtHandler",
    "SrtListener",
    "SrtMessage",
    "SrtOptions",
    "SrtPacket",
    "SrtReconnectingStream",
    "SrtRefusal",
    "SrtServer",
    "SrtStatistics",
    "SrtStream",
    "TerzettoError",
    "TimingMode",
    "UnknownHost",
    "UnsupportedOperation",
    "WorldError",
    "WrongProtocol",
    "connect_rist_receiver",
    "connect_rist_sender",
    "connect_rtsp_client",
    "connect_srt_group",
    "connect_srt_group_listener",
    "connect_srt_listener",
    "connect_srt_rendezvous",
    "connect_srt_stream",
    "open_rist_listener",
    "open_rist_receiver",
    "open_rist_sender",
    "open_rtsp_client",
    "open_srt_group",
    "open_srt_group_listener",
    "open_srt_listener",
    "open_srt_rendezvous",
    "open_srt_stream",
    "serve_rtsp",
    "serve_srt",
]

# Looked up on first use: whoever speaks one protocol does not wait for the others to load, nor keep them in memory.
_HOMES: Final = {
    "AddressInUse": "terzetto.errors",
    "AllPathsFailed": "terzetto.errors",
    "AuthenticationFailed": "terzetto.errors",
    "CallerError": "terzetto.errors",
    "CongestionControl": "terzetto.rist.options",
    "ConnectionRefusedByPeer": "terzetto.errors",
    "InvalidOption": "terzetto.errors",
    "InvalidUrl": "terzetto.errors",
    "MissingExtra": "terzetto.errors",
    "NoRoute": "terzetto.errors",
    "PeerError": "terzetto.errors",
    "PeerTimedOut": "terzetto.errors",
    "PermissionRefused": "terzetto.errors",
    "ProtocolViolation": "terzetto.errors",
    "PublishSubscribe": "terzetto.srt.server",
    "Reconnection": "terzetto.primitives.reconnection",
    "RistListener": "terzetto.rist.listener",
    "RistOptions": "terzetto.rist.options",
    "RistPacket": "terzetto.rist.events",
    "RistReceiver": "terzetto.rist.api",
    "RistSender": "terzetto.rist.api",
    "RistStreamReceiver": "terzetto.rist.streams",
    "RistStreamSender": "terzetto.rist.streams",
    "RistStreams": "terzetto.rist.streams",
    "RtspClient": "terzetto.rtsp.api",
    "RtspHandler": "terzetto.rtsp.api",
    "RtspOptions": "terzetto.rtsp.api",
    "RtspPacket": "terzetto.rtsp.api",
    "RtspServerOptions": "terzetto.rtsp.api",
    "ServerStream": "terzetto.rtsp.api",
    "SlowReader": "terzetto.srt.fan_out",
    "SrtGroup": "terzetto.srt.group",
    "SrtGroupListener": "terzetto.srt.group_listening",
    "SrtGroupStatistics": "terzetto.srt.group_statistics",
    "SrtHandler": "terzetto.srt.server",
    "SrtListener": "terzetto.srt.listening",
    "SrtMessage": "terzetto.srt.stream",
    "SrtOptions": "terzetto.srt.options",
    "SrtPacket": "terzetto.srt.stream",
    "SrtReconnectingStream": "terzetto.srt.reconnecting",
    "SrtRefusal": "terzetto.srt.listening",
    "SrtServer": "terzetto.srt.server",
    "SrtStatistics": "terzetto.srt.statistics",
    "SrtStream": "terzetto.srt.stream",
    "TerzettoError": "terzetto.errors",
    "TimingMode": "terzetto.rist.options",
    "UnknownHost": "terzetto.errors",
    "UnsupportedOperation": "terzetto.errors",
    "WorldError": "terzetto.errors",
    "WrongProtocol": "terzetto.errors",
    "connect_rist_receiver": "terzetto.rist.api",
    "connect_rist_sender": "terzetto.rist.api",
    "connect_rtsp_client": "terzetto.rtsp.api",
    "connect_srt_group": "terzetto.srt.group_api",
    "connect_srt_group_listener": "terzetto.srt.group_api",
    "connect_srt_listener": "terzetto.srt.api",
    "connect_srt_rendezvous": "terzetto.srt.api",
    "connect_srt_stream": "terzetto.srt.api",
    "open_rist_listener": "terzetto.rist.listener",
    "open_rist_receiver": "terzetto.rist.api",
    "open_rist_sender": "terzetto.rist.api",
    "open_rtsp_client": "terzetto.rtsp.api",
    "open_srt_group": "terzetto.srt.group_api",
    "open_srt_group_listener": "terzetto.srt.group_api",
    "open_srt_listener": "terzetto.srt.api",
    "open_srt_rendezvous": "terzetto.srt.api",
    "open_srt_stream": "terzetto.srt.api",
    "serve_rtsp": "terzetto.rtsp.api",
    "serve_srt": "terzetto.srt.server",
}


if not TYPE_CHECKING:
    # Hidden from type checkers, to whom it would mean that any name exists.
    def __getattr__(name: str) -> object:
        try:
            home = _HOMES[name]
        except KeyError:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
        value: object = getattr(import_module(home), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
