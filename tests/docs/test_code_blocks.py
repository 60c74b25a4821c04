"""Every code block of the README and the documentation does what it says."""

from __future__ import annotations

import ast
import doctest
import inspect
import json
import subprocess
import sys
import tomllib
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import trio

import terzetto as tz
from tests.docs.blocks import Block, blocks_of, pages
from tests.docs.commands import commands_of, expected_output_of, run_command
from tests.docs.world import World

pytestmark = pytest.mark.slow

# Programs that live in other people's packages, and captures that want Wireshark's window: nothing else is excused.
MOST_SKIPPED = 9

BLOCKS = [block for page in pages() for block in blocks_of(page)]


@pytest.mark.parametrize("block", [block for block in BLOCKS if "skip" not in block.directives], ids=str)
def test_code_block_does_what_it_says(
    block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "110")
    if block.language in CHECKERS:
        CHECKERS[block.language](block)
        return
    if "def test_" in block.text:
        run_pytest(block, tmp_path)
        return
    # Whatever it writes is written there; what it reads lies there.
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recording.ts").write_bytes(b"\x47" + bytes(187) * 7)
    world = World(*block.counterparts, seconds=block.seconds)
    with ExitStack() as stack:
        if "real" not in block.directives:
            stack.enter_context(world.replaces_trio_run())
        if block.language == "python":
            run_python(block)
            expected = block.expected_output
        else:
            run_console(block)
            expected = block.expected_output or expected_output_of(block)
    assert world.heard > 0 or "receiver" not in block.counterparts, "nothing arrived"
    if expected:
        check_output(expected, capsys.readouterr().out)


def test_few_blocks_are_excused_and_each_says_why() -> None:
    excused = [block for block in BLOCKS if "skip" in block.directives]
    assert len(excused) <= MOST_SKIPPED, [str(block) for block in excused]
    assert all(len(block.directives["skip"]) > 10 for block in excused)


def test_every_language_of_a_block_is_run_or_checked() -> None:
    unknown = [str(block) for block in BLOCKS if block.language not in {"python", "console", *CHECKERS}]
    assert not unknown, f"fences without a language that we run or check: {unknown}"


def run_python(block: Block) -> None:
    """Run a whole program, or a snippet with ``await`` at its top level."""
    namespace: dict[str, Any] = {"__name__": "__main__", "trio": trio, "tz": tz, "media": bytes(13160)}
    code = compile(block.text, str(block), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    if not code.co_flags & inspect.CO_COROUTINE:
        exec(code, namespace)
        return

    async def snippet() -> None:
        await eval(code, namespace)

    trio.run(snippet)


def run_pytest(block: Block, folder: Path) -> None:
    """Run tests as a reader would, in a process of their own."""
    (folder / "test_block.py").write_text(block.text)
    command = [sys.executable, "-m", "pytest", "-q", "-o", "trio_mode=true", "-p", "no:cacheprovider", "."]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def run_console(block: Block) -> None:
    """Run or check each command."""
    commands = list(commands_of(block))
    assert commands, "there is no line that begins with a dollar sign"
    statuses = [run_command(argv, block.directives.get("args", "")) for argv in commands]
    wanted = int(block.directives.get("exit", "0"))
    assert statuses[-1] == wanted
    assert not any(statuses[:-1])


def check_output(expected: str, printed: str) -> None:
    """Compare, blind to the width of spaces; ``...`` stands for anything."""
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    assert doctest.OutputChecker().check_output(expected, printed, flags), f"it printed:\n{printed}"


def check_urls(block: Block) -> None:
    """Each line is a URL that we can read."""
    from terzetto.url import parse_url

    for line in block.text.splitlines():
        parse_url(line.partition("  ")[0])


CHECKERS: dict[str, Callable[[Block], object]] = {
    "text": lambda block: check_urls(block) if "urls" in block.directives else None,
    "toml": lambda block: tomllib.loads(block.text),
    "json": lambda block: [json.loads(line) for line in block.text.splitlines()],
}
