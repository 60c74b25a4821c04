"""Content-Location: where a description lies, which stands in for a Content-Base that is missing."""

from __future__ import annotations

from collections.abc import Sequence

from terzetto.errors import MalformedPacket
from terzetto.rtsp.wire.headers.location import resolve_location
from terzetto.rtsp.wire.url import RtspUrl

__all__ = ["parse_content_location"]


def parse_content_location(values: Sequence[str], request_url: RtspUrl) -> RtspUrl:
    """An absolute URL, or one relative to what was asked for; MalformedPacket when it is neither, or two of them."""
    if len({value.strip() for value in values}) != 1:
        raise MalformedPacket("Content-Location is missing or given twice")
    return resolve_location(values[0].strip(), request_url)
