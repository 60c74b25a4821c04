"""What a reader types into a shell, run in process or checked to be possible."""

from __future__ import annotations

import configparser
import re
import shlex
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from tests.docs.blocks import ROOT, Block

__all__ = ["commands_of", "expected_output_of", "run_command"]


def commands_of(block: Block) -> Iterator[list[str]]:
    """Each command of a console block, one for each side of ``&&``."""
    text = block.text.replace("\\\n", " ")
    for line in text.splitlines():
        if line.startswith("$ "):
            lexer = shlex.shlex(line[2:], posix=True, punctuation_chars="&|>")
            lexer.whitespace_split = True
            words: list[str] = []
            for word in lexer:
                if word == "&&":
                    yield words
                    words = []
                else:
                    words.append(word)
            yield words


def expected_output_of(block: Block) -> str:
    """What the block says that its commands print."""
    text = block.text.replace("\\\n", " ")
    return "".join(f"{line}\n" for line in text.splitlines() if not line.startswith("$ "))


def run_command(argv: list[str], extra: str) -> int:
    """Run a ``terzetto`` command here, with *extra* arguments; check that any other one could be run."""
    match argv:
        case ["terzetto", *arguments] | ["python", "-m", "terzetto", *arguments]:
            from terzetto.cli.app import run

            return run([*arguments, *shlex.split(extra)])
        case ["python", "-m", module, *arguments] if module in _MODULES:
            _MODULES[module](arguments)
        case ["python", script, *arguments] if script.startswith("examples/"):
            _example(ROOT / script, arguments)
        case [program, *arguments] if program in _PROGRAMS:
            _PROGRAMS[program](arguments)
        case _:
            raise AssertionError(f"nobody knows how to check {shlex.join(argv)}; mark its block with skip=")
    return 0


def _pip(arguments: list[str]) -> None:
    assert arguments[0] == "install", arguments
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [word for word in arguments[1:] if not word.startswith("-")]
    assert wanted, "pip is told to install nothing"
    for word in wanted:
        name, extras = re.fullmatch(r"([\w.-]+)(?:\[([\w,]+)\])?", word).groups()  # type: ignore[union-attr]
        if name in (".", project["name"]):
            for extra in (extras or "").split(","):
                assert not extra or extra in project["optional-dependencies"], f"there is no extra {extra!r}"
        else:
            assert name in {"tox", "towncrier"}, f"why would a reader install {name}?"


def _tox(arguments: list[str]) -> None:
    config = configparser.ConfigParser(interpolation=None)
    config.read(ROOT / "tox.ini")
    known = {section.removeprefix("testenv:") for section in config.sections()}
    known |= {name.strip() for name in config["tox"]["env_list"].split(",")}
    environments = arguments[1].split(",") if arguments[:1] == ["-e"] else []
    for name in environments:
        assert name in known, f"tox.ini knows no environment {name!r}"
    assert environments or not arguments or arguments[0] == "--", arguments


def _bench(arguments: list[str]) -> None:
    from bench.__main__ import make_parser

    make_parser().parse_args(arguments)


def _bench_rtsp(arguments: list[str]) -> None:
    from bench.rtsp_fanout import make_parser

    make_parser().parse_args(arguments)


def _pytest(arguments: list[str]) -> None:
    for word in arguments:
        if word.startswith("--"):
            assert word.split("=")[0] == "--terzetto-seed", f"{word} is no option of ours"
        elif not word.startswith("-") and "=" not in word and word != "interop":
            assert (ROOT / word).exists() or word.startswith("test_"), f"there is no {word}"


def _example(script: Path, arguments: list[str]) -> None:
    source = script.read_text(encoding="utf-8")
    for word in arguments:
        if word.startswith("--"):
            assert f'"{word}"' in source, f"{script.name} has no option {word}"


def _script(path: str) -> Callable[[list[str]], None]:
    def check(_arguments: list[str]) -> None:
        assert (ROOT / path).stat().st_mode & 0o111, f"{path} cannot be executed"

    return check


def _tool(section: str) -> Callable[[list[str]], None]:
    """A tool that is configured in ``pyproject.toml`` and does not take what a page may get wrong."""

    def check(_arguments: list[str]) -> None:
        assert section in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"], section

    return check


_MODULES: Final = {"pip": _pip, "pytest": _pytest, "bench": _bench, "bench.rtsp_fanout": _bench_rtsp}

_PROGRAMS: Final = {
    "tox": _tox,
    "pytest": _pytest,
    ".ci/run": _script(".ci/run"),
    "ruff": _tool("ruff"),
    "mypy": _tool("mypy"),
    "towncrier": _tool("towncrier"),
}
