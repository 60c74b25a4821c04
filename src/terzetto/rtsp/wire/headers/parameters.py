"""``key=value`` lists, as Transport, Session, RTP-Info and the authentication headers have them.

Blanks around separators are skipped, empty elements too; a value in quotes runs to the next quote, with ``\\"``
for a quote inside; a key may stand alone.
"""

from __future__ import annotations

from terzetto.errors import MalformedPacket

__all__ = ["format_quoted", "parse_parameters", "split_outside_quotes"]


def split_outside_quotes(text: str, separator: str) -> list[str]:
    """*text* cut at each *separator* that is not inside quotes; MalformedPacket when a quote stays open."""
    if '"' not in text:
        return text.split(separator)
    parts: list[str] = []
    start = 0
    quoted = False
    escaped = False
    for index, character in enumerate(text):
        if escaped:
            escaped = False
        elif quoted and character == "\\":
            escaped = True
        elif character == '"':
            quoted = not quoted
        elif character == separator and not quoted:
            parts.append(text[start:index])
            start = index + 1
    if quoted:
        raise MalformedPacket("quote is not closed")
    parts.append(text[start:])
    return parts


def parse_parameters(text: str, separator: str = ";") -> list[tuple[str, str]]:
    """Keys as they came, with their values out of quotes; a key without ``=`` has an empty value."""
    pairs: list[tuple[str, str]] = []
    for part in split_outside_quotes(text, separator):
        element = part.strip()
        if not element:
            continue
        key, _, value = element.partition("=")
        pairs.append((key.strip(), _unquote(value.strip())))
    return pairs


def format_quoted(value: str) -> str:
    """*value* in quotes."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _unquote(value: str) -> str:
    if not value.startswith('"'):
        return value
    # What follows the closing quote is nothing that anybody means.
    text: list[str] = []
    escaped = False
    for character in value[1:]:
        if escaped:
            text.append(character)
            escaped = False
        elif character == "\\":
            escaped = True
        elif character == '"':
            break
        else:
            text.append(character)
    return "".join(text)
