"""A byte stream, in pieces of any size, to requests, responses and interleaved frames.

The stream carries the three back to back, both ways, and the first bytes tell which comes next::

    24            an interleaved frame
    R T           a response
    A..Z _        a request, when a whole method stands before a blank
    anything else junk: one byte is dropped, and we look again

Dropping single bytes is what makes us get on with cameras that put junk between frames; it is bounded. What breaks
the rules of a message ends the stream: a `Broken` comes out, with the status to answer, and nothing after it.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple, TypeAlias

from terzetto.primitives.datagrams import Buffer
from terzetto.rtsp.wire.fields import Fields, canonical_name
from terzetto.rtsp.wire.interleaved import DOLLAR, FRAME_HEADER, FRAME_HEADER_SIZE, Frame
from terzetto.rtsp.wire.limits import DEFAULT_LIMITS, Limits
from terzetto.rtsp.wire.message import Request, Response
from terzetto.rtsp.wire.status import Status

__all__ = ["Broken", "MessageParser", "Unit"]


class Broken(NamedTuple):
    """The stream cannot be followed any further; ``cseq`` is the request's, where it could be read."""

    status: int
    reason: str
    cseq: str | None = None


Unit: TypeAlias = Request | Response | list[Frame] | Broken
"""What comes out of the stream; frames that follow one another come as one list."""

# A request begins with one of these; the first two letters decide, as long as no more have come.
_METHOD_STARTS: Final = frozenset(
    {b"AN", b"DE", b"GE", b"OP", b"PA", b"PL", b"RE", b"SE", b"TE", b"US", b"HE", b"PO", b"PU"}
)
_UPPER: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ_")
_METHOD: Final = re.compile(r"[A-Za-z_$-]+")
_CODE: Final = re.compile(r"RTSP/1\.[0-9] +([0-9]{1,3})(?: (.*))?")


class _BadMessageError(Exception):
    def __init__(self, reason: str, status: int = Status.BAD_REQUEST) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status


class MessageParser:
    """`feed` it bytes; it gives back what is complete."""

    __slots__ = (
        "_body_size",
        "_broken",
        "_buffer",
        "_junk_run",
        "_limits",
        "_message",
        "_scanned",
        "_unit_start",
        "junk_dropped",
    )

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        self._limits = limits
        self._buffer = b""
        self._scanned = 0
        self._message: Request | Response | None = None
        self._body_size = 0
        self._broken = False
        self._junk_run = 0
        self._unit_start = 0
        self.junk_dropped = 0
        """Bytes dropped because no unit began with them."""

    @property
    def is_inside_message(self) -> bool:
        """Whether a unit has begun and not ended: the peer owes us its rest."""
        return self._message is not None or bool(self._buffer)

    def feed(self, data: Buffer) -> list[Unit]:
        """Everything that *data* completes, in order. After a `Broken` nothing comes any more."""
        if self._broken:
            return []
        buffer = self._buffer + data if self._buffer else bytes(data)
        units: list[Unit] = []
        try:
            position = self._consume(buffer, units)
        except _BadMessageError as exc:
            self._broken = True
            self._buffer = b""
            units.append(Broken(exc.status, exc.reason, _find_cseq(buffer[self._unit_start :])))
            return units
        self._buffer = buffer[position:] if position else buffer
        return units

    def _consume(self, buffer: bytes, units: list[Unit]) -> int:
        """Append complete units; how much of *buffer* they took."""
        position = 0
        end = len(buffer)
        while position < end:
            self._unit_start = position
            if self._message is not None:
                if end - position < self._body_size:
                    break
                self._message.body = buffer[position : position + self._body_size]
                position += self._body_size
                units.append(self._message)
                self._message = None
                continue
            if buffer[position] == DOLLAR:
                after = self._take_frames(buffer, position, units)
                if after == position:
                    break
                position = after
                continue
            kind = _kind_at(buffer, position)
            if kind is None:
                break
            if kind == "junk":
                position += 1
                self._count_junk(buffer[position - 1])
                continue
            head_end = self._take_head(buffer, position, units, is_response=kind == "response")
            if head_end is None:
                # Keep what was looked through already in mind, so that a slow head is not searched over and over.
                self._scanned = end - position
                break
            position = head_end
        return position

    def _take_frames(self, buffer: bytes, position: int, units: list[Unit]) -> int:
        """Every complete frame from *position* on; where the rest begins."""
        frames: list[Frame] = []
        unpack = FRAME_HEADER.unpack_from
        end = len(buffer)
        while end - position >= FRAME_HEADER_SIZE:
            dollar, channel, length = unpack(buffer, position)
            if dollar != DOLLAR:
                break
            start = position + FRAME_HEADER_SIZE
            after = start + length
            if after > end:
                break
            frames.append(Frame(channel, buffer[start:after]))
            position = after
        if frames:
            self._junk_run = 0
            if units and isinstance(units[-1], list):
                units[-1].extend(frames)
            else:
                units.append(frames)
        return position

    def _count_junk(self, byte: int) -> None:
        if byte in b"\r\n":
            # Blank lines between messages are custom, not junk; they count only towards giving up.
            self._junk_run += 1
        else:
            self.junk_dropped += 1
            self._junk_run += 1
        if self._junk_run > self._limits.junk:
            raise _BadMessageError("nothing but junk")

    def _take_head(self, buffer: bytes, position: int, units: list[Unit], *, is_response: bool) -> int | None:
        """Parse a head if it is complete; where it ends."""
        head_end = _find_head_end(buffer, position, max(0, self._scanned - 4))
        if head_end is None:
            if len(buffer) - position > self._limits.head:
                raise _BadMessageError("message head is too long")
            _check_first_line(buffer, position, self._limits, is_response=is_response)
            return None
        self._scanned = 0
        if head_end - position > self._limits.head:
            raise _BadMessageError("message head is too long")
        lines = buffer[position:head_end].decode("utf-8", "surrogateescape").split("\n")
        first, rest = lines[0].rstrip("\r"), lines[1:]
        fields = _parse_fields(rest, self._limits)
        message: Request | Response
        message = (
            _parse_status_line(first, self._limits)
            if is_response
            else _parse_request_line(first, self._limits)
        )
        message.fields = fields
        self._body_size = _body_size(fields, self._limits)
        self._junk_run = 0
        if self._body_size:
            self._message = message
        else:
            units.append(message)
        return head_end


def _kind_at(buffer: bytes, position: int) -> str | None:
    """``request``, ``response`` or ``junk``; None when too little has come to tell."""
    two = buffer[position : position + 2]
    if two == b"RT":
        return "response"
    if two in _METHOD_STARTS:
        return "request"
    if len(two) < 2:
        return None if two[0] in _UPPER else "junk"
    if two[0] not in _UPPER or two[1] not in _UPPER:
        return "junk"
    # An unknown method: a stranger's extension, to be answered 501, if it looks like a request line.
    line = buffer[position : position + 64]
    word, blank, rest = line.partition(b" ")
    if not blank:
        return None if len(line) < 64 and all(byte in _UPPER for byte in line) else "junk"
    if not all(byte in _UPPER for byte in word):
        return "junk"
    starts = (b"rtsp://", b"rtsps://", b"* RTSP/", b"/")
    if rest.startswith(starts):
        return "request"
    return None if len(line) < 64 and any(start.startswith(rest) for start in starts) else "junk"


def _find_head_end(buffer: bytes, position: int, scanned: int) -> int | None:
    """Just after the empty line; bare line feeds end lines as well."""
    start = position + scanned
    crlf = buffer.find(b"\n\r\n", start)
    bare = buffer.find(b"\n\n", start, crlf + 1 if crlf >= 0 else len(buffer))
    if bare >= 0 and (crlf < 0 or bare < crlf):
        return bare + 2
    return crlf + 3 if crlf >= 0 else None


def _check_first_line(buffer: bytes, position: int, limits: Limits, *, is_response: bool) -> None:
    longest = limits.reason + 20 if is_response else limits.method + limits.target + 70
    if len(buffer) - position > longest and buffer.find(b"\n", position, position + longest) < 0:
        status = Status.BAD_REQUEST if is_response else Status.URI_TOO_LONG
        raise _BadMessageError("first line is too long", status)


def _parse_request_line(line: str, limits: Limits) -> Request:
    parts = line.split(" ")
    if len(parts) != 3 or not parts[1]:
        raise _BadMessageError("request line is malformed")
    method, target, protocol = parts
    if len(method) > limits.method or not _METHOD.fullmatch(method):
        raise _BadMessageError("method is malformed")
    if len(target) > limits.target:
        raise _BadMessageError("URL is too long", Status.URI_TOO_LONG)
    if any(ord(character) < 0x20 or ord(character) == 0x7F for character in target):
        raise _BadMessageError("URL holds a control character")
    if protocol != "RTSP/1.0":
        known = protocol.startswith(("RTSP/", "HTTP/"))
        raise _BadMessageError(
            "protocol is not RTSP/1.0", Status.VERSION_NOT_SUPPORTED if known else Status.BAD_REQUEST
        )
    return Request(method, target)


def _parse_status_line(line: str, limits: Limits) -> Response:
    match = _CODE.fullmatch(line)
    if match is None:
        raise _BadMessageError("status line is malformed")
    reason = (match[2] or "").strip()
    if len(reason) > limits.reason:
        raise _BadMessageError("reason is too long")
    return Response(int(match[1]), reason)


def _parse_fields(lines: list[str], limits: Limits) -> Fields:
    items: list[tuple[str, str]] = []
    for raw in lines:
        line = raw.rstrip("\r")
        if not line:
            continue
        if line[0] in " \t":
            # Folding is obsolete, and a line that continues nothing is an error.
            if not items:
                raise _BadMessageError("first header is folded")
            name, before = items[-1]
            value = f"{before} {line.strip()}"
            items[-1] = (name, value)
        else:
            name, colon, value = line.partition(":")
            name, value = name.rstrip(), value.strip()
            if not colon or not name:
                raise _BadMessageError("header has no colon")
            if len(name) > limits.header_name:
                raise _BadMessageError("header name is too long")
            if len(items) >= limits.header_count:
                raise _BadMessageError("too many headers")
            items.append((canonical_name(name), value))
        if len(value) > limits.header_value:
            raise _BadMessageError("header value is too long")
        if "\r" in value or "\x00" in value:
            raise _BadMessageError("header value holds a control character")
    return Fields.from_untrusted(items)


def _body_size(fields: Fields, limits: Limits) -> int:
    values = set(fields.get_all("Content-Length"))
    if not values:
        return 0
    if len(values) > 1:
        raise _BadMessageError("Content-Length is given twice")
    (value,) = values
    if not (value.isascii() and value.isdigit()):
        raise _BadMessageError("Content-Length is not a number")
    if len(value) > 10 or int(value) > limits.body:
        raise _BadMessageError("body is too large", Status.BODY_TOO_LARGE)
    return int(value)


_CSEQ_LINE: Final = re.compile(rb"\ncseq *: *([!-~]{1,32})[ \t]*\r?\n", re.IGNORECASE)


def _find_cseq(buffer: bytes) -> str | None:
    """The number of a request that broke the rules elsewhere, so that its sender can match the answer."""
    end = _find_head_end(buffer, 0, 0)
    match = _CSEQ_LINE.search(buffer, 0, end) if end is not None else None
    return match[1].decode("ascii") if match else None
