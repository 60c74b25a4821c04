"""Elementary streams into MPEG transport streams and out of them, by PyAV (extra ``av``).

====================  ======================================================
`carried`             which formats both sides know, and how each is written
`decoding_time`       when to decode what RTP says when to show
`muxer`               units in, a transport stream out
`timeline`            the stream's wrapping clock as one that never jumps
`pipe`                bytes from the event loop to a thread, bounded
`demuxer`             a transport stream in, units out
`library`             PyAV itself, or a word on how to get it
====================  ======================================================
"""

from __future__ import annotations

from terzetto.rtsp.remux.demuxer import DemuxedUnit, TransportStreamDemuxer
from terzetto.rtsp.remux.library import is_installed
from terzetto.rtsp.remux.muxer import TransportStreamMuxer

__all__ = ["DemuxedUnit", "TransportStreamDemuxer", "TransportStreamMuxer", "is_installed"]
