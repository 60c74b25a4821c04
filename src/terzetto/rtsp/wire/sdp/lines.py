"""The lines of a session description, each with the very bytes it ended in.

Keeping the text is what makes printing lossless: whatever we do not understand passes through a relay unharmed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

__all__ = ["Line", "attribute", "attributes", "first", "join_lines", "split_lines"]

_LINE: Final = re.compile(r"([^\r\n]*)(\r\n|\n|\r|$)")


class Line(NamedTuple):
    """``letter=value``; a line that is none (blank, junk) has an empty letter and its text as the value."""

    letter: str
    value: str
    ending: str = "\r\n"

    @property
    def text(self) -> str:
        """The line without its ending."""
        return f"{self.letter}={self.value}" if self.letter else self.value

    @property
    def attribute_name(self) -> str:
        """For ``a=name[:value]`` the name, else empty."""
        return self.value.partition(":")[0].strip() if self.letter == "a" else ""

    @property
    def attribute_value(self) -> str:
        """For ``a=name:value`` the value, without blanks around it."""
        return self.value.partition(":")[2].strip()


def split_lines(text: str) -> list[Line]:
    """Every line of *text*; joined again they are *text*."""
    lines: list[Line] = []
    for match in _LINE.finditer(text):
        content, ending = match[1], match[2]
        if not content and not ending:
            continue
        if len(content) > 1 and content[1] == "=" and content[0].isalpha():
            lines.append(Line(content[0], content[2:], ending))
        else:
            lines.append(Line("", content, ending))
    return lines


def join_lines(lines: Iterable[Line]) -> str:
    """The text that the lines came from."""
    return "".join(line.text + line.ending for line in lines)


def first(lines: Iterable[Line], letter: str) -> str | None:
    """The value of the first line with this letter, without blanks and NULs around it."""
    for line in lines:
        if line.letter == letter:
            return line.value.strip(" \t\x00")
    return None


def attribute(lines: Iterable[Line], name: str) -> str | None:
    """The value of the first attribute of that name: empty for a flag, None where there is none."""
    for line in lines:
        if line.letter == "a" and line.attribute_name.lower() == name:
            return line.attribute_value
    return None


def attributes(lines: Iterable[Line], name: str) -> list[str]:
    """The values of every attribute of that name."""
    return [
        line.attribute_value for line in lines if line.letter == "a" and line.attribute_name.lower() == name
    ]
