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

from terzetto.errors import (
    AddressInUse,
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
from terzetto.srt.api import (
    connect_srt_listener,
    connect_srt_stream,
    open_srt_listener,
    open_srt_stream,
)
from terzetto.srt.listening import SrtListener, SrtRefusal
from terzetto.srt.options import SrtOptions
from terzetto.srt.statistics import SrtStatistics
from terzetto.srt.stream import SrtPacket, SrtStream

__version__ = "0.1.0"

__all__ = [
    "AddressInUse",
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
    "RistListener",
    "RistOptions",
    "RistPacket",
    "RistReceiver",
    "RistSender",
    "SrtListener",
    "SrtOptions",
    "SrtPacket",
    "SrtRefusal",
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
    "connect_srt_listener",
    "connect_srt_stream",
    "open_rist_listener",
    "open_rist_receiver",
    "open_rist_sender",
    "open_srt_listener",
    "open_srt_stream",
]
