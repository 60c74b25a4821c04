"""What to measure: pairs of a sender and a receiver, from ``peers.toml`` and files like it."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeAlias

import attrs

from bench.machine import BenchError, tool

__all__ = ["OUR_PEERS", "Case", "End", "cases", "load_ends"]

OUR_PEERS: Final = Path(__file__).resolve().parent / "peers.toml"

Table: TypeAlias = Mapping[str, object]


@attrs.frozen
class End:
    """One peer in one mode: the command lines of its sender and its receiver."""

    peer: str
    mode: str
    about: str
    sender: str
    receiver: str
    tokens: Mapping[str, str]
    maps: tuple[int, ...] = (0,)
    sender_first: bool = False
    buffers: bool = True
    needs: tuple[str, ...] = ()
    is_reference: bool = False

    def missing(self) -> list[str]:
        """Programs that this peer needs and this machine lacks."""
        return [name for name in map(_environment, self.needs) if shutil.which(name) is None]


@attrs.frozen
class Case:
    """A sender of one peer and a receiver of one peer, in one mode."""

    mode: str
    sender: End
    receiver: End

    @property
    def name(self) -> str:
        """How tables call it."""
        if self.sender.peer == self.receiver.peer:
            return self.sender.peer
        return f"{self.sender.peer} → {self.receiver.peer}"

    def sender_command(self, tokens: Mapping[str, str]) -> list[str]:
        """The sender's command line."""
        return _expand(self.sender.sender, {**self.sender.tokens, **tokens})

    def receiver_command(self, tokens: Mapping[str, str]) -> list[str]:
        """The receiver's command line."""
        return _expand(self.receiver.receiver, {**self.receiver.tokens, **tokens})


def load_ends(paths: Iterable[Path]) -> list[End]:
    """Every peer in every of its modes; a later file replaces peers of the same name."""
    peers: dict[str, Table] = {}
    for path in paths:
        peers.update(tomllib.loads(path.read_text(encoding="utf-8")))
    return [
        _end(name, peer, mode, _table(settings))
        for name, peer in peers.items()
        for mode, settings in _table(peer.get("modes", {})).items()
    ]


def cases(ends: Sequence[End], *, modes: Sequence[str] = (), peers: Sequence[str] = ()) -> list[Case]:
    """Each chosen peer with itself, then those that share a mode crossed."""
    chosen = [end for end in ends if (not modes or end.mode in modes) and (not peers or end.peer in peers)]
    if not chosen:
        raise BenchError(f"no such peer or mode; there are {', '.join(f'{e.peer}/{e.mode}' for e in ends)}")
    alone = [Case(end.mode, end, end) for end in chosen]
    crossed = [
        Case(one.mode, one, other)
        for one in chosen
        for other in chosen
        if one is not other and one.mode == other.mode and one.buffers and other.buffers
    ]
    return alone + crossed


def _end(name: str, peer: Table, mode: str, settings: Table) -> End:
    merged = {**peer, **settings}
    maps = merged.get("maps", [0])
    needs = merged.get("needs", [])
    if not isinstance(maps, list) or not isinstance(needs, list):
        raise BenchError(f"{name}/{mode}: maps and needs must be lists")
    return End(
        peer=name,
        mode=mode,
        about=str(merged.get("about", "")),
        sender=str(merged["sender"]),
        receiver=str(merged["receiver"]),
        tokens={key: value for key, value in merged.items() if isinstance(value, str)},
        maps=tuple(maps),
        sender_first=merged.get("order") == "sender-first",
        buffers=bool(merged.get("buffers", True)),
        needs=tuple(needs),
        is_reference=bool(merged.get("reference", False)),
    )


def _table(value: object) -> Table:
    if not isinstance(value, dict):
        raise BenchError(f"{value!r} should be a table")
    return value


def _expand(template: str, tokens: Mapping[str, str]) -> list[str]:
    """Fill in tokens (also inside the values of others) and the environment; split into arguments."""
    values = {"python": shlex.quote(sys.executable), **tokens}
    text = template
    for _ in range(3):
        text = re.sub(r"\{tool:(\w+)\}", lambda found: tool(found[1]), text)
        text = re.sub(r"(?<!\$)\{(\w+)\}", lambda found: values.get(found[1], found[0]), text)
    return shlex.split(_environment(text))


def _environment(text: str) -> str:
    return re.sub(r"\$\{(\w+):-([^}]*)\}", lambda found: os.environ.get(found[1]) or found[2], text)
