"""Flow attributes of the Advanced profile: how often they are said, and for how long they hold (TR-06-3, 5.4)."""

from __future__ import annotations

import json
from typing import Final

from terzetto.errors import InvalidOption
from terzetto.primitives.time import MICROS_PER_MILLI, MICROS_PER_SECOND, Micros

__all__ = ["LONGEST_TEXT", "AttributeSender", "AttributeTable", "check_attributes"]

LONGEST_TEXT: Final = 32_768
"""Characters of a description; beyond it a peer's is passed over."""

# At least twice a second, and ten times for the first second.
_INTERVAL: Final[Micros] = 500 * MICROS_PER_MILLI
_HURRIED_INTERVAL: Final[Micros] = 100 * MICROS_PER_MILLI
_HURRIED_FOR: Final[Micros] = MICROS_PER_SECOND

_VALID_FOR: Final[Micros] = 2 * MICROS_PER_SECOND
_MOST_TEXTS: Final = 64


def check_attributes(text: str) -> str:
    """The text, if a peer can be told it: a JSON object of bounded length, or nothing; else InvalidOption."""
    if len(text) > LONGEST_TEXT:
        raise InvalidOption(f"flow attributes have {len(text)} characters, must have at most {LONGEST_TEXT}")
    try:
        is_object = not text or isinstance(json.loads(text), dict)
    except ValueError:
        is_object = False
    if not is_object:
        raise InvalidOption("flow attributes must be a JSON object", hint='such as {"sessions": []}')
    return text


class AttributeSender:
    """When to say what we have to say of our flows."""

    def __init__(self) -> None:
        self.text = ""
        self._hurried_until: Micros = 0
        self._due: Micros | None = None

    def set(self, text: str, *, now: Micros) -> None:
        """Say *text* from now on; nothing is said of nothing."""
        self.text = text
        self._hurried_until = now + _HURRIED_FOR
        self._due = now if text else None

    def next_timeout(self) -> Micros | None:
        """When it is due."""
        return self._due

    def is_due(self, now: Micros) -> bool:
        """Whether to say it now."""
        if self._due is None or now < self._due:
            return False
        self._due = now + (_HURRIED_INTERVAL if now < self._hurried_until else _INTERVAL)
        return True


class AttributeTable:
    """What the peer says of its flows, which it may do in several texts; who stays silent takes it back."""

    def __init__(self) -> None:
        self._heard: dict[str, Micros] = {}

    def hear(self, text: str, *, now: Micros) -> bool:
        """The peer said *text*; whether that is news."""
        if len(text) > LONGEST_TEXT:
            return False
        is_news = text not in self._heard
        if is_news and len(self._heard) >= _MOST_TEXTS:
            return False
        self._heard[text] = now
        return is_news

    def next_timeout(self) -> Micros | None:
        """When the first of them ends, if it is not said again."""
        return min(self._heard.values()) + _VALID_FOR if self._heard else None

    def expire(self, now: Micros) -> list[str]:
        """Texts that were not said for two seconds."""
        gone = [text for text, heard_at in self._heard.items() if now - heard_at >= _VALID_FOR]
        for text in gone:
            del self._heard[text]
        return gone
