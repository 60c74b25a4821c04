"""A session description: lines before the first ``m=``, and one section per media."""

from __future__ import annotations

from typing import Final, Self

from attrs import frozen

from terzetto.errors import MalformedPacket
from terzetto.rtsp.wire.sdp.lines import Line, attribute, attributes, first, join_lines, split_lines

__all__ = ["MAX_LINES", "MAX_MEDIAS", "MediaSection", "SessionDescription"]

# A description is bounded by the body's limit already; these bound what is made of it.
MAX_MEDIAS: Final = 64
MAX_LINES: Final = 4000


@frozen
class MediaSection:
    """One ``m=`` line and what follows it."""

    lines: tuple[Line, ...]

    @property
    def media(self) -> str:
        """The value of the ``m=`` line."""
        return self.lines[0].value

    def first(self, letter: str) -> str | None:
        """The value of the first line with this letter."""
        return first(self.lines, letter)

    def attribute(self, name: str) -> str | None:
        """The value of an attribute; empty for a flag."""
        return attribute(self.lines, name)

    def attributes(self, name: str) -> list[str]:
        """The values of every attribute of that name."""
        return attributes(self.lines, name)


@frozen
class SessionDescription:
    """The whole text, taken apart no further than its lines."""

    lines: tuple[Line, ...] = ()
    medias: tuple[MediaSection, ...] = ()

    @classmethod
    def parse(cls, data: bytes | str) -> Self:
        """Read a description; MalformedPacket when it has no media at all, or absurdly many lines."""
        text = data if isinstance(data, str) else data.decode("utf-8", "surrogateescape")
        lines = split_lines(text)
        if len(lines) > MAX_LINES:
            raise MalformedPacket("SDP has too many lines")
        starts = [index for index, line in enumerate(lines) if line.letter == "m"]
        if not starts:
            raise MalformedPacket("SDP has no media")
        if len(starts) > MAX_MEDIAS:
            raise MalformedPacket("SDP has too many medias")
        ends = [*starts[1:], len(lines)]
        sections = tuple(
            MediaSection(tuple(lines[start:end])) for start, end in zip(starts, ends, strict=True)
        )
        return cls(tuple(lines[: starts[0]]), sections)

    def __str__(self) -> str:
        return join_lines(self.lines) + "".join(join_lines(section.lines) for section in self.medias)

    def encode(self) -> bytes:
        """The body of a message; of a parsed description, the very bytes it came from."""
        return str(self).encode("utf-8", "surrogateescape")

    def first(self, letter: str) -> str | None:
        """The value of the first session-level line with this letter."""
        return first(self.lines, letter)

    def attribute(self, name: str) -> str | None:
        """The value of a session-level attribute; empty for a flag."""
        return attribute(self.lines, name)

    def attributes(self, name: str) -> list[str]:
        """The values of every session-level attribute of that name."""
        return attributes(self.lines, name)
