"""Requests and responses.

::

    METHOD SP target SP "RTSP/1.0" CRLF        "RTSP/1.0" SP code [SP reason] CRLF
    *(name ":" SP value CRLF) CRLF [body]      *(name ":" SP value CRLF) CRLF [body]
"""

from __future__ import annotations

from attrs import define, field

from terzetto.rtsp.wire.fields import Fields, FieldsLike
from terzetto.rtsp.wire.status import is_success, reason_of

__all__ = ["Request", "Response"]


def _fields(given: FieldsLike) -> Fields:
    return given if isinstance(given, Fields) else Fields(given)


def _encode(first_line: str, fields: Fields, body: bytes) -> bytes:
    if any(character in first_line for character in "\r\n\x00"):
        raise ValueError("the first line of a message holds a line break or NUL")
    lines = [first_line]
    lines += [f"{name}: {value}" for name, value in fields if name.lower() != "content-length"]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join((*lines, "", "")).encode("utf-8", "surrogateescape") + body


@define
class Request:
    """One request; ``target`` is an absolute URL or ``*``, in the very text that was or will be sent."""

    method: str
    target: str
    fields: Fields = field(factory=Fields, converter=_fields)
    body: bytes = b""

    def encode(self) -> bytes:
        """The request as it goes on the wire; ValueError for what cannot be written."""
        if not self.method or " " in self.method or " " in self.target:
            raise ValueError("a method or a URL holds a blank")
        return _encode(f"{self.method} {self.target} RTSP/1.0", self.fields, self.body)

    @property
    def cseq(self) -> str | None:
        """The request's number, as text, because that is what an answer repeats."""
        value = self.fields.get("CSeq")
        return value.strip() if value is not None else None


@define
class Response:
    """One response; without a ``reason`` it gets the specification's."""

    code: int
    reason: str = ""
    fields: Fields = field(factory=Fields, converter=_fields)
    body: bytes = b""

    def __attrs_post_init__(self) -> None:
        if not self.reason:
            self.reason = reason_of(self.code)

    @property
    def is_success(self) -> bool:
        """Whether the request was granted."""
        return is_success(self.code)

    def encode(self) -> bytes:
        """The response as it goes on the wire; ValueError for what cannot be written."""
        return _encode(f"RTSP/1.0 {self.code} {self.reason}", self.fields, self.body)

    @property
    def cseq(self) -> str | None:
        """The number of the request that this answers."""
        value = self.fields.get("CSeq")
        return value.strip() if value is not None else None
