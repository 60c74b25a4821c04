"""Finds the code blocks of our Markdown pages, and what a comment before each says about running it.

A block is run as it stands unless an HTML comment right before it, which no reader sees, says how::

    <!-- run: with=sender,udp-source seconds=5 -->

``with=NAME,...`` beside counterparts from ``world.py``
``seconds=N``     stop it after so long; otherwise it must end by itself
``args="..."``    add this to each ``terzetto`` command line
``exit=N``        the exit status that the last command must have
``real``          on the kernel's network and clock instead of the simulated ones
``output``        not code: what the block before it must have printed (``...`` stands for anything)
``urls``          not code: lines that begin with a URL
``skip="why"``    do not run it
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import attrs

__all__ = ["ROOT", "Block", "blocks_of", "pages"]

ROOT: Final = Path(__file__).resolve().parents[2]

_FENCE: Final = re.compile(r"^(?P<fence>`{3,})(?P<language>\S*)(?: .*)?$")
_DIRECTIVES: Final = re.compile(r"^<!-- run: (?P<text>.*) -->$")
_KNOWN: Final = {"with", "seconds", "args", "exit", "real", "output", "urls", "skip"}


@attrs.frozen
class Block:
    """One fenced block."""

    page: Path
    line: int
    language: str
    text: str
    directives: Mapping[str, str]
    expected_output: str | None = None

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def counterparts(self) -> list[str]:
        """Who else is there."""
        return [name for name in self.directives.get("with", "").split(",") if name]

    @property
    def seconds(self) -> float | None:
        """When to stop it."""
        return float(self.directives["seconds"]) if "seconds" in self.directives else None


def pages() -> list[Path]:
    """Every page of ours that a reader may copy code from."""
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks_of(page: Path) -> list[Block]:
    """The blocks of *page*, outputs attached to the block they belong to."""
    blocks: list[Block] = []
    for block in _fenced(page):
        if "output" not in block.directives:
            blocks.append(block)
            continue
        if not blocks or blocks[-1].expected_output is not None:
            raise ValueError(f"{block}: there is no block before it whose output this could be")
        blocks[-1] = attrs.evolve(blocks[-1], expected_output=block.text)
    return blocks


def _fenced(page: Path) -> Iterator[Block]:
    lines = iter(enumerate(page.read_text(encoding="utf-8").splitlines(), start=1))
    directives: dict[str, str] = {}
    for number, line in lines:
        if found := _DIRECTIVES.match(line.strip()):
            directives = _parse(found["text"], f"{page.name}:{number}")
        elif opening := _FENCE.match(line):
            body = []
            for _, inner in lines:
                if inner.rstrip() == opening["fence"]:
                    break
                body.append(inner)
            # In braces stand directives of Sphinx; building the pages runs those.
            if not opening["language"].startswith("{"):
                yield Block(page, number, opening["language"], "\n".join(body) + "\n", directives)
            directives = {}
        elif line.strip() and directives:
            raise ValueError(f"{page.name}:{number}: a run comment must stand right before its block")


def _parse(text: str, place: str) -> dict[str, str]:
    words = (word.partition("=") for word in shlex.split(text))
    found = {name: value for name, _, value in words}
    if unknown := found.keys() - _KNOWN:
        raise ValueError(f"{place}: no such directive: {', '.join(unknown)}")
    return found
