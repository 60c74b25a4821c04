"""The client's side, on trio.

``connection``   one control connection: dial, encrypt, ask, be answered
``setup``        SETUP for several medias, with their sockets
``playback``     a stream being played: packets, pause, seek, fall back, reconnect
``publication``  a stream being published
``client``       what users open
"""

from terzetto.rtsp.client.client import RtspClient, connect_rtsp_client, open_rtsp_client
from terzetto.rtsp.client.playback import RtspPlayback
from terzetto.rtsp.client.publication import RtspPublication

__all__ = ["RtspClient", "RtspPlayback", "RtspPublication", "connect_rtsp_client", "open_rtsp_client"]
