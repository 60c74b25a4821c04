"""The head of an HTTP message: all of HTTP that a tunnel needs.

What follows the head is no HTTP any more, and the lengths that tunnels announce are fictions, so a library that knows
what a body is would stand in the way.
"""

from __future__ import annotations

import re
from typing import Final, Self

from attrs import field, frozen

from terzetto.errors import MalformedPacket
from terzetto.rtsp.wire.fields import Fields
from terzetto.rtsp.wire.limits import DEFAULT_LIMITS

__all__ = ["HeadReader", "HttpRequest", "HttpResponse"]

_REQUEST_LINE: Final = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+) (\S+) HTTP/1\.[01]")
_STATUS_LINE: Final = re.compile(r"HTTP/1\.[01] ([1-5]\d\d)(?: (.*))?")
_FIELD: Final = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*:[ \t]*(.*?)[ \t]*")
_SIZE_LIMIT: Final = 16 * 1024
_FIELD_LIMIT: Final = 100


@frozen(kw_only=True)
class HttpRequest:
    """A request without a body."""

    method: str
    target: str
    fields: Fields = field(factory=Fields)

    def encode(self) -> bytes:
        """The head as it goes on the wire."""
        return _encode(f"{self.method} {self.target} HTTP/1.1", self.fields)

    @classmethod
    def parse(cls, head: bytes) -> Self:
        """Read a whole head; MalformedPacket is the only way to fail."""
        line, fields = _parse(head)
        match = _REQUEST_LINE.fullmatch(line)
        if match is None or len(match[2]) > DEFAULT_LIMITS.target:
            raise MalformedPacket("HTTP request makes no sense")
        return cls(method=match[1], target=match[2], fields=fields)


@frozen(kw_only=True)
class HttpResponse:
    """A response's head."""

    code: int
    reason: str = ""
    fields: Fields = field(factory=Fields)

    @property
    def is_success(self) -> bool:
        """Whether the request was granted."""
        return 200 <= self.code < 300

    def encode(self) -> bytes:
        """The head as it goes on the wire."""
        return _encode(f"HTTP/1.1 {self.code} {self.reason}", self.fields)

    @classmethod
    def parse(cls, head: bytes) -> Self:
        """Read a whole head; MalformedPacket is the only way to fail."""
        line, fields = _parse(head)
        match = _STATUS_LINE.fullmatch(line)
        if match is None:
            raise MalformedPacket("HTTP response makes no sense")
        return cls(code=int(match[1]), reason=match[2] or "", fields=fields)


class HeadReader:
    """Collects bytes until a head is complete; what came after it is kept."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> bytes | None:
        """Take in *data*; the head once it is there. MalformedPacket when it grows beyond all sense."""
        searched = max(0, len(self._data) - 3)
        self._data += data
        end = self._data.find(b"\r\n\r\n", searched)
        if end > _SIZE_LIMIT or (end < 0 and len(self._data) > _SIZE_LIMIT):
            raise MalformedPacket("HTTP head is too long")
        if end < 0:
            return None
        head = bytes(self._data[:end])
        del self._data[: end + 4]
        return head

    def take_rest(self) -> bytes:
        """What came behind the head."""
        rest = bytes(self._data)
        self._data.clear()
        return rest


def _encode(line: str, fields: Fields) -> bytes:
    lines = [line, *(f"{name}: {value}" for name, value in fields)]
    return "\r\n".join((*lines, "", "")).encode("utf-8", "surrogateescape")


def _parse(head: bytes) -> tuple[str, Fields]:
    lines = head.decode("utf-8", "surrogateescape").split("\r\n")
    if len(lines) > _FIELD_LIMIT:
        raise MalformedPacket("HTTP head has too many fields")
    items: list[tuple[str, str]] = []
    for line in lines[1:]:
        match = _FIELD.fullmatch(line)
        if match is None:
            raise MalformedPacket("HTTP field makes no sense")
        items.append((match[1], match[2]))
    return lines[0], Fields.from_untrusted(items)
