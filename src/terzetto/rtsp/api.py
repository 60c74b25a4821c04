"""What users of RTSP import."""

from __future__ import annotations

from terzetto.primitives.reconnection import Reconnection
from terzetto.rtp.onvif_extension import OnvifExtension
from terzetto.rtsp.client import (
    RtspClient,
    RtspPlayback,
    RtspPublication,
    connect_rtsp_client,
    open_rtsp_client,
)
from terzetto.rtsp.client.back_channel import BackChannel
from terzetto.rtsp.events import PtsQuality, RtspPacket
from terzetto.rtsp.formats.contract import AccessUnit
from terzetto.rtsp.formats.reader import MediaUnit, UnitReader
from terzetto.rtsp.formats.writer import UnitWriter
from terzetto.rtsp.options import RtspOptions, RtspServerOptions
from terzetto.rtsp.server import (
    PathHandler,
    RtspHandler,
    RtspRequest,
    RtspServer,
    RtspServerConnection,
    RtspServerSession,
    serve_rtsp,
)
from terzetto.rtsp.stream import ServerStream
from terzetto.rtsp.transport_stream import TransportStreamPacketizer
from terzetto.rtsp.wire.description import Description, Format, Media
from terzetto.rtsp.wire.headers.range import ClockRange, NptRange, SmpteRange
from terzetto.rtsp.wire.headers.replay import Replay
from terzetto.rtsp.wire.message import Response

__all__ = [
    "AccessUnit",
    "BackChannel",
    "ClockRange",
    "Description",
    "Format",
    "Media",
    "MediaUnit",
    "NptRange",
    "OnvifExtension",
    "PathHandler",
    "PtsQuality",
    "Reconnection",
    "Replay",
    "Response",
    "RtspClient",
    "RtspHandler",
    "RtspOptions",
    "RtspPacket",
    "RtspPlayback",
    "RtspPublication",
    "RtspRequest",
    "RtspServer",
    "RtspServerConnection",
    "RtspServerOptions",
    "RtspServerSession",
    "ServerStream",
    "SmpteRange",
    "TransportStreamPacketizer",
    "UnitReader",
    "UnitWriter",
    "connect_rtsp_client",
    "open_rtsp_client",
    "serve_rtsp",
]
