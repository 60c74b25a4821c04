"""Content-Base: what the URLs in a description are relative to."""

from __future__ import annotations

from collections.abc import Sequence

from terzetto.errors import MalformedPacket
from terzetto.rtsp.wire.url import RtspUrl

__all__ = ["parse_content_base"]


def parse_content_base(values: Sequence[str], request_url: RtspUrl) -> RtspUrl:
    """An absolute URL, or a path on the host that was asked; MalformedPacket when it is neither, or two of them."""
    if len({value.strip() for value in values}) != 1:
        raise MalformedPacket("Content-Base is missing or given twice")
    text = values[0].strip()
    if text.startswith("/"):
        return RtspUrl.parse(request_url.with_target(text).text)
    return RtspUrl.parse(text)
