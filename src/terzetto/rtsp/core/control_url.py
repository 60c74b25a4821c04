"""Which URL means which media: base and control on the client's side, request URLs on the server's.

URLs are put together as text, not by RFC 3986: resolution would replace the last segment and drop the query, and
cameras rely on neither happening.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, NamedTuple

from terzetto.errors import MalformedPacket
from terzetto.rtsp.wire.fields import Fields
from terzetto.rtsp.wire.headers.content_base import parse_content_base
from terzetto.rtsp.wire.headers.content_location import parse_content_location
from terzetto.rtsp.wire.url import RtspUrl

__all__ = ["TrackTarget", "base_url", "media_url", "split_track", "track_of"]

_ABSOLUTE: Final = re.compile(r"rtsps?://", re.IGNORECASE)
_BASES: Final = (("Content-Base", parse_content_base), ("Content-Location", parse_content_location))


def base_url(request_url: RtspUrl, fields: Fields, session_control: str | None) -> RtspUrl:
    """What medias are relative to, and where PLAY, PAUSE and TEARDOWN go.

    The session's control, else Content-Base, else Content-Location, else the URL that was asked; whatever is broken
    falls through to the next.
    """
    found = request_url
    for name, parse in _BASES:
        values = fields.get_all(name)
        if not values:
            continue
        try:
            found = parse(values, request_url)
        except MalformedPacket:
            continue
        break
    control = (session_control or "").strip()
    if control and control != "*":
        with suppress(MalformedPacket):
            found = RtspUrl.parse(control) if _ABSOLUTE.match(control) else _append(found, control)
    # The scheme stays: an answer cannot talk us out of encryption, which the connection decides anyway.
    return RtspUrl(
        scheme=request_url.scheme,
        host=found.host,
        port=found.port,
        target=found.target,
        username=request_url.username,
        password=request_url.password,
    )


def media_url(base: RtspUrl, control: str | None) -> RtspUrl:
    """The URL for SETUP of a media."""
    text = (control or "").strip()
    if not text or text == "*":
        return base
    if _ABSOLUTE.match(text):
        try:
            return base.with_target(RtspUrl.parse(text).target)
        except MalformedPacket:
            return base
    return _append(base, text)


def _append(base: RtspUrl, control: str) -> RtspUrl:
    if re.search(r"[\x00-\x20\x7f#]", control):
        # Nothing that can be sent; the base is the best guess left.
        return base
    separator = "" if base.target.endswith("/") or control.startswith(("/", "?")) else "/"
    return base.with_target(f"{base.target}{separator}{control}")


class TrackTarget(NamedTuple):
    """A request URL on the server's side: the application's path and query, and the track, where one is named."""

    path: str
    query: str
    track: int | None


_TRACK: Final = re.compile(r"(.*?)/trackID=(\d{1,4})(?:/)?", re.DOTALL)


def split_track(target: str) -> TrackTarget:
    """Take ``trackID=N`` off a path or a query, on whichever side of the ``?`` a player put it."""
    path, question, query = target.partition("?")
    match = _TRACK.fullmatch(query) if question else None
    if match is None and question:
        match_at_start = re.fullmatch(r"trackID=(\d{1,4})", query)
        if match_at_start is not None:
            return TrackTarget(_trimmed(path), "", int(match_at_start[1]))
    if match is not None:
        return TrackTarget(_trimmed(path), match[1], int(match[2]))
    match = _TRACK.fullmatch(path)
    if match is not None:
        return TrackTarget(match[1] or "/", query, int(match[2]))
    return TrackTarget(_trimmed(path), query.removesuffix("/"), None)


def _trimmed(path: str) -> str:
    return path.removesuffix("/") or "/"


def track_of(target: str, announced: RtspUrl, controls: Sequence[str | None]) -> int | None:
    """Which of a publisher's medias *target* means, or None.

    Publishers choose their controls, so each is resolved the way a client would and compared; the query may stand
    before or after the control.
    """
    bare = announced.with_target(announced.path)
    for index, control in enumerate(controls):
        candidates = {media_url(announced, control).target}
        if announced.query:
            after = media_url(bare, control).target
            candidates |= {f"{after}?{announced.query}"}
        if target in candidates or target.removesuffix("/") in {
            each.removesuffix("/") for each in candidates
        }:
            return index
    return None
