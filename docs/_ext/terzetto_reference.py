"""Directives that write reference tables from the code when the pages are built, so that they cannot drift.

``options MODULE CLASS``    every field of a class of options: default, and what it does
``rist-url-parameters``     the same by their names in URLs
``rtsp-url-parameters SIDE``  those of RTSP, of a ``client`` or a ``server``
``fields MODULE CLASS``     the fields of a value, with their docstrings
``rist-events``             what may happen to a session
``rtsp-events``             what may happen to an RTSP client
``srt-options``             options of SRT with their names in URLs, and until when they can be set
``srt-events``              what may happen to an SRT connection or listener
``error-tree``              the exceptions, by whose fault it is
``command-help``            what ``--help`` prints, for every command
"""

from __future__ import annotations

import importlib
import inspect
import io
import os
from collections.abc import Iterable, Iterator
from contextlib import redirect_stdout
from enum import Enum
from typing import get_args
from unittest import mock

import attrs
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.pycode import ModuleAnalyzer
from sphinx.util.docutils import SphinxDirective

import terzetto.errors
from terzetto.rist import url as rist_url
from terzetto.rtsp import url as rtsp_url


class _Table(SphinxDirective):
    """Parses the Markdown of a table where the directive stands."""

    def table(self, head: Iterable[str], rows: Iterable[Iterable[str]]) -> list[nodes.Node]:
        head = list(head)
        lines = [_row(head), _row(["---"] * len(head)), *(_row(row) for row in rows)]
        container = nodes.container()
        self.state.nested_parse(StringList(lines, source=__name__), self.content_offset, container)
        return container.children


class Options(_Table):
    """``options``."""

    required_arguments = 2

    def run(self) -> list[nodes.Node]:
        module, name = self.arguments
        docs = _field_docs(module, name)
        rows = (
            (f"`{field.name}`", f"`{_plain(field.default)}`", docs.get(field.name, ""))
            for field in attrs.fields(getattr(importlib.import_module(module), name))
        )
        return self.table(("option", "default", "what it does"), rows)


class UrlParameters(_Table):
    """``rist-url-parameters``."""

    def run(self) -> list[nodes.Node]:
        return self.table(("parameter", "value", "option"), sorted(_url_parameters()))


class RtspUrlParameters(_Table):
    """``rtsp-url-parameters``."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        rows = sorted(_rtsp_url_parameters(self.arguments[0]))
        return self.table(("parameter", "value", "option"), rows)


class Fields(_Table):
    """``fields``."""

    required_arguments = 2

    def run(self) -> list[nodes.Node]:
        module, name = self.arguments
        value = getattr(importlib.import_module(module), name)
        docs = _field_docs(module, name)
        names = [field.name for field in attrs.fields(value)] if attrs.has(value) else value._fields
        rows = ((f"`{each}`", docs.get(each, "")) for each in names)
        return self.table(("field", "meaning"), rows)


class Events(_Table):
    """``rist-events``."""

    def run(self) -> list[nodes.Node]:
        from terzetto.rist import events

        values = [getattr(events, name) for name in events.__all__]
        told = [value for value in values if attrs.has(value) and value is not events.PacketsReady]
        return self.table(("event", "fields", "when"), _events(told))


class SrtOptionsTable(_Table):
    """``srt-options``."""

    def run(self) -> list[nodes.Node]:
        from terzetto.srt import options

        docs = _field_docs("terzetto.srt.options", "SrtOptions")
        live = options.SrtOptions()
        file = options.SrtOptions(transmission_type="file")
        rows = (
            (
                f"`{field.name}`",
                f"`{field.metadata['libsrt']}`" if "libsrt" in field.metadata else "",
                _by_mode(getattr(live, field.name), getattr(file, field.name)),
                field.metadata["binding"].value,
                docs.get(field.name, ""),
            )
            for field in attrs.fields(options.SrtOptions)
            if "binding" in field.metadata
        )
        return self.table(("option", "in libsrt", "default", "can be set", "what it does"), rows)


class SrtEvents(_Table):
    """``srt-events``."""

    def run(self) -> list[nodes.Node]:
        from terzetto.srt import events

        values = [getattr(events, name) for name in events.__all__]
        return self.table(("event", "fields", "when"), _events(value for value in values if attrs.has(value)))


class RtspEvents(_Table):
    """``rtsp-events``."""

    def run(self) -> list[nodes.Node]:
        from terzetto.rtsp import events

        rows = (
            (
                f"`{value.__name__}`",
                ", ".join(f"`{field.name}`" for field in attrs.fields(value)),
                _paragraph(value.__doc__),
            )
            for value in get_args(events.ClientEvent)
        )
        return self.table(("event", "fields", "when"), rows)


class ErrorTree(_Table):
    """``error-tree``."""

    def run(self) -> list[nodes.Node]:
        return self.table(("exception", "also a", "when"), _errors(terzetto.errors.TerzettoError, 0))


class CommandHelp(SphinxDirective):
    """``command-help``."""

    def run(self) -> list[nodes.Node]:
        from terzetto.cli.app import COMMANDS

        found: list[nodes.Node] = []
        for name in ("", *COMMANDS):
            text = _help_of(*name.split())
            found += [
                nodes.rubric(text=f"terzetto {name}".strip()),
                nodes.literal_block(text, text, language="text"),
            ]
        return found


def _events(values: Iterable[type[attrs.AttrsInstance]]) -> Iterator[tuple[str, str, str]]:
    for value in values:
        fields = ", ".join(f"`{field.name}`" for field in attrs.fields(value))
        yield f"`{value.__name__}`", fields, _paragraph(value.__doc__)


def _help_of(*command: str) -> str:
    from terzetto.cli.app import run

    written = io.StringIO()
    plain = {"COLUMNS": "96", "NO_COLOR": "1", "TERM": "dumb"}
    with mock.patch.dict(os.environ, plain), redirect_stdout(written):
        run([*command, "--help"])
    return written.getvalue()


def _url_parameters() -> Iterator[tuple[str, str, str]]:
    for name, field in rist_url._MILLISECONDS.items():
        yield f"`{name}`", "milliseconds", f"`{field}`"
    for name, field in rist_url._INTEGERS.items():
        yield f"`{name}`", "a number", f"`{field}`"
    for name, field in rist_url._TEXTS.items():
        yield f"`{name}`", "text", f"`{field}`"
    for name, field in rist_url._SWITCHES.items():
        yield f"`{name}`", "0 or 1", f"`{field}`"
    for name in rist_url._DTLS:
        yield f"`dtls-{name.replace('_', '-')}`", "text", f"`{name}` of `dtls`"
    yield "`dtls`", "0 or 1", "`dtls`"
    for name, (low, high) in rist_url._PAIRS.items():
        yield f"`{name}`", "milliseconds", f"`{low}` and `{high}`"
    yield "`nack-type`", "`range` or `bitmask`", "`nack_type`"
    yield "`profile`", ", ".join(f"`{each}`" for each in rist_url._PROFILES), "`profile`"


def _rtsp_url_parameters(side: str) -> Iterator[tuple[str, str, str]]:
    kinds = {"MILLISECONDS": "milliseconds", "INTEGERS": "a number", "TEXTS": "text", "SWITCHES": "0 or 1"}
    for kind, value in kinds.items():
        for name, field in getattr(rtsp_url, f"{side.upper()}_{kind}", {}).items():
            yield f"`{rtsp_url.PREFIX}{name}`", value, f"`{field}`"


def _errors(kind: type[BaseException], depth: int) -> Iterator[tuple[str, str, str]]:
    ours = terzetto.errors.TerzettoError
    others = [
        base.__name__ for base in kind.__bases__ if not issubclass(base, ours) and base is not Exception
    ]
    indent = "\N{EM SPACE}" * 2 * depth
    yield f"{indent}`{kind.__name__}`", ", ".join(f"`{each}`" for each in others), _paragraph(kind.__doc__)
    for child in kind.__subclasses__():
        if child.__module__ == terzetto.errors.__name__:
            yield from _errors(child, depth + 1)


def _field_docs(module: str, name: str) -> dict[str, str]:
    found = ModuleAnalyzer.for_module(module).find_attr_docs()
    return {field: _paragraph("\n".join(lines)) for (owner, field), lines in found.items() if owner == name}


def _paragraph(text: str | None) -> str:
    return " ".join(inspect.cleandoc(text or "").split("\n\n")[0].split()).replace("``", "`")


def _plain(value: object) -> str:
    return value.name if isinstance(value, Enum) else str(value)


def _by_mode(live: object, file: object) -> str:
    """The default in live mode, and that for files where it is another one."""
    return f"`{_plain(live)}`" if live == file else f"`{_plain(live)}`; file: `{_plain(file)}`"


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_directive("options", Options)
    app.add_directive("rist-url-parameters", UrlParameters)
    app.add_directive("rtsp-url-parameters", RtspUrlParameters)
    app.add_directive("rist-events", Events)
    app.add_directive("rtsp-events", RtspEvents)
    app.add_directive("srt-options", SrtOptionsTable)
    app.add_directive("srt-events", SrtEvents)
    app.add_directive("fields", Fields)
    app.add_directive("error-tree", ErrorTree)
    app.add_directive("command-help", CommandHelp)
    return {"parallel_read_safe": True}
