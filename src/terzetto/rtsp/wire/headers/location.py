"""Location: where a redirect sends us."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urljoin

from terzetto.errors import MalformedPacket
from terzetto.rtsp.wire.url import RtspUrl

__all__ = ["parse_location", "resolve_location"]


def parse_location(values: Sequence[str], request_url: RtspUrl) -> RtspUrl:
    """The one place named; a relative one is resolved against the URL that was asked for."""
    if len({value.strip() for value in values}) != 1:
        raise MalformedPacket("Location is missing or given twice")
    return resolve_location(values[0].strip(), request_url)


def resolve_location(text: str, request_url: RtspUrl) -> RtspUrl:
    """The place that *text* names, seen from the URL that was asked for."""
    if not text:
        raise MalformedPacket("Location is empty")
    if "://" not in text.partition("?")[0]:
        # urljoin knows the schemes it joins for; the path is all it needs to see.
        text = request_url.with_target(urljoin(request_url.target or "/", text)).text
    return RtspUrl.parse(text)
