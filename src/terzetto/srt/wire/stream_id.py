"""What people write into stream ids.

To SRT a stream id is up to 512 bytes without meaning. Servers agree on a structured form, and differ
beyond it:

``#!::u=bob,r=movies,m=publish``      the access control form, comma-separated keys
``#!:{u=bob,r=movies}``               its braced form, without nesting
``%23!::r=movies``                    the same, from tools that do not decode their URLs
``publish:path:user:password?query``  MediaMTX: an action, a path, and what it may need
``#!::h=host/app/stream,m=publish``   SRS: the resource inside the host, a query after ``?`` in ``r`` or ``h``
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final
from urllib.parse import unquote

import attrs

__all__ = ["StreamName", "format_stream_id", "parse_stream_id"]

_PREFIX: Final = "#!::"
_BRACED: Final = "#!:{"
_ACTIONS: Final = {"publish": "publish", "read": "request"}
_MODES: Final = ("request", "publish", "bidirectional")


@attrs.frozen(kw_only=True)
class StreamName:
    """A stream id, taken apart. ``text`` is the whole of it; an unstructured one is its own resource."""

    text: str
    user: str = ""
    password: str = attrs.field(default="", repr=False)
    """Only some dialects carry one, and then in the clear."""
    resource: str = ""
    host: str = ""
    session: str = ""
    kind: str = "stream"
    """``t``: stream, file or auth."""
    mode: str = ""
    """``m``, as the caller sees it: request, publish, bidirectional; empty when it did not say."""
    query: str = ""
    extra: Mapping[str, str] = attrs.field(factory=lambda: MappingProxyType({}))
    """Keys without a meaning of their own."""
    is_structured: bool = False


def parse_stream_id(raw: bytes | str) -> StreamName:
    """Take a stream id apart, in whichever dialect it is; strange text is a plain resource."""
    text = raw if isinstance(raw, str) else raw.decode("utf-8", "replace")
    body = unquote(text) if text.lower().startswith("%23!") else text
    if body.startswith(_PREFIX):
        return _structured(text, body[len(_PREFIX) :].split(","))
    if body.startswith(_BRACED):
        inner = body[len(_BRACED) :].removesuffix("}")
        return _structured(text, inner.replace(";", ",").split(","))
    action, colon, rest = text.partition(":")
    if colon and action in _ACTIONS:
        return _mediamtx(text, _ACTIONS[action], rest)
    resource, _, query = text.partition("?")
    return StreamName(text=text, resource=resource, query=query)


def format_stream_id(
    *,
    resource: str = "",
    user: str = "",
    host: str = "",
    session: str = "",
    kind: str = "",
    mode: str = "",
    **extra: str,
) -> str:
    """The structured form of these keys; `ValueError` for what it cannot hold, since it knows no escaping."""
    if mode and mode not in _MODES:
        raise ValueError(f"mode is {mode!r}; it must be one of {', '.join(_MODES)}")
    pairs = {"u": user, "r": resource, "h": host, "s": session, "t": kind, "m": mode, **extra}
    for key, value in pairs.items():
        if "," in value or "," in key or "=" in key:
            raise ValueError(f"a stream id cannot hold {key}={value!r}: it has no way to write a comma")
    text = _PREFIX + ",".join(f"{key}={value}" for key, value in pairs.items() if value)
    if len(text.encode()) > 512:
        raise ValueError(f"the stream id has {len(text.encode())} bytes; 512 is the most")
    return text


def _structured(text: str, items: list[str]) -> StreamName:
    known = {"u": "", "r": "", "h": "", "s": "", "t": "stream", "m": ""}
    extra: dict[str, str] = {}
    for item in items:
        key, _, value = item.strip().partition("=")
        if key in known:
            known[key] = value
        elif key:
            extra[key] = value
    host, resource = known["h"], known["r"]
    if "/" in host and not resource:
        host, _, resource = host.partition("/")
    resource, _, query = resource.partition("?")
    return StreamName(
        text=text,
        user=known["u"],
        # "s" is a session id by the book; MediaMTX reads a password there, so whoever checks one may look.
        password=known["s"],
        resource=resource,
        host=host,
        session=known["s"],
        kind=known["t"],
        mode=known["m"],
        query=query,
        extra=MappingProxyType(extra),
        is_structured=True,
    )


def _mediamtx(text: str, mode: str, rest: str) -> StreamName:
    path, _, query = rest.partition("?")
    parts = path.split(":")
    if len(parts) > 3 and not query:
        query = parts[3]
    return StreamName(
        text=text,
        mode=mode,
        resource=parts[0],
        user=parts[1] if len(parts) > 1 else "",
        password=parts[2] if len(parts) > 2 else "",
        query=query,
        is_structured=True,
    )
