"""The header fields of a message: names without case, values in order, and nothing that breaks a line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, Self, TypeAlias

__all__ = ["Fields", "FieldsLike", "canonical_name"]

_SPECIAL: Final = {
    "cseq": "CSeq",
    "rtp-info": "RTP-Info",
    "www-authenticate": "WWW-Authenticate",
    "keymgmt": "KeyMgmt",
}
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_BREAKS: Final = re.compile(r"[\r\n\x00]")


def canonical_name(name: str) -> str:
    """*name* as it is written on the wire: ``Content-Length``, with the specification's four exceptions."""
    lower = name.lower()
    return _SPECIAL.get(lower) or "-".join(part.capitalize() for part in lower.split("-"))


class Fields:
    """Header fields, in order, several with one name allowed.

    ``fields["name"]`` is the first value. Setting checks what is written, because a line break in a value would
    let whoever chose it write headers of his own.
    """

    __slots__ = ("_items",)

    def __init__(self, items: FieldsLike = ()) -> None:
        pairs = items.items() if isinstance(items, (Mapping, Fields)) else items
        self._items: list[tuple[str, str]] = []
        for name, value in pairs:
            self.add(name, value)

    @classmethod
    def from_untrusted(cls, items: list[tuple[str, str]]) -> Self:
        """Fields that a peer sent, whose lines were taken apart already."""
        fields = cls()
        fields._items = items
        return fields

    def add(self, name: str, value: str) -> None:
        """Append a field; ValueError when it cannot be written."""
        if not _TOKEN.fullmatch(name):
            raise ValueError(f"{name!r} is no name of a header")
        if _BREAKS.search(value):
            raise ValueError(f"the value of {name} holds a line break or NUL")
        self._items.append((canonical_name(name), value))

    def __setitem__(self, name: str, value: str) -> None:
        self.remove(name)
        self.add(name, value)

    def setdefault(self, name: str, value: str) -> None:
        """Append a field unless there is one of that name."""
        if name not in self:
            self.add(name, value)

    def remove(self, name: str) -> None:
        """Drop every field of that name."""
        wanted = name.lower()
        self._items = [item for item in self._items if item[0].lower() != wanted]

    def __getitem__(self, name: str) -> str:
        value = self.get(name)
        if value is None:
            raise KeyError(name)
        return value

    def get(self, name: str) -> str | None:
        """The first value of *name*, or None."""
        wanted = name.lower()
        for key, value in self._items:
            if key.lower() == wanted:
                return value
        return None

    def get_all(self, name: str) -> list[str]:
        """Every value of *name*, in order."""
        wanted = name.lower()
        return [value for key, value in self._items if key.lower() == wanted]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.get(name) is not None

    def items(self) -> Iterator[tuple[str, str]]:
        """Names and values, in order."""
        return iter(self._items)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Fields):
            return NotImplemented
        return [(key.lower(), value) for key, value in self] == [(key.lower(), value) for key, value in other]

    __hash__ = None  # type: ignore[assignment]  # mutable, as a dict is

    def __repr__(self) -> str:
        hidden = ("authorization", "proxy-authorization", "session", "keymgmt")
        shown = ((name, "***" if name.lower() in hidden else value) for name, value in self)
        return f"Fields({list(shown)!r})"

    def copy(self) -> Fields:
        """A list of the same fields that may be changed by itself."""
        return Fields.from_untrusted(list(self._items))


FieldsLike: TypeAlias = Fields | Mapping[str, str] | Iterable[tuple[str, str]]
"""What a message can be given as its fields."""
