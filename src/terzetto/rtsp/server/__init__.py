"""The server's side, on trio.

``handler``     what an application writes
``server``      `serve_rtsp`: listeners, connections, sessions
``connection``  one control connection
``session``     one reader or publisher
``dispatch``    from a request to its answer
``examination`` what a request is held against before its method begins
``readers``     the methods of clients that read
``publishers``  the methods of clients that publish
``transports``  which transport is used, and what it needs
``application`` the handler, as the methods ask it
``answers``     what a request comes with, and what it is answered with
``udp``         the pair of ports that all sessions share
``paths``       a handler that is ready to use: streams by path, published or given
"""

from terzetto.rtsp.server.connection import RtspServerConnection
from terzetto.rtsp.server.handler import RtspHandler, RtspRequest
from terzetto.rtsp.server.paths import PathHandler
from terzetto.rtsp.server.server import RtspServer, serve_rtsp
from terzetto.rtsp.server.session import RtspServerSession

__all__ = [
    "PathHandler",
    "RtspHandler",
    "RtspRequest",
    "RtspServer",
    "RtspServerConnection",
    "RtspServerSession",
    "serve_rtsp",
]
