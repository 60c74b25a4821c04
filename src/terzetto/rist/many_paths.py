"""What users do with the paths of a stream while it runs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from terzetto.errors import UnsupportedOperation
from terzetto.rist.core.receiver import Receiver
from terzetto.rist.core.sender import Sender
from terzetto.rist.group import Group
from terzetto.rist.plan import Plan
from terzetto.rist.runtime import Runtime

__all__ = ["ManyPaths", "Prepare"]

Prepare: TypeAlias = Callable[[str], Awaitable[Plan]]


class ManyPaths:
    """What a stream over several paths can do with them; one that was opened with a list of URLs is such a stream."""

    _runtime: Runtime[Sender] | Group[Sender] | Runtime[Receiver] | Group[Receiver]
    _prepare: Prepare | None

    @property
    def paths(self) -> dict[int, str]:
        """The paths by their numbers, and where each leads."""
        if isinstance(self._runtime, Group):
            return {index: path.url for index, path in self._runtime.paths.items()}
        return {0: self._runtime.url}

    async def add_path(self, url: str) -> int:
        """Carry the flow over *url* too, with the options that the group was opened with; the path's number."""
        group = self._group()
        if self._prepare is None:
            raise UnsupportedOperation("whoever calls is a path here, and paths cannot be added")
        return await group.add(await self._prepare(url))

    async def remove_path(self, path: int) -> None:
        """Say goodbye on a path and close it; the last one stays."""
        await self._group().remove(path)

    def set_weight(self, path: int, weight: int) -> None:
        """Give *path* another share of the load from now on; with 0 it carries everything."""
        self._group().set_weight(path, weight)

    def _group(self) -> Group[Sender] | Group[Receiver]:
        if isinstance(self._runtime, Group):
            return self._runtime
        raise UnsupportedOperation(
            "this stream was opened with one URL, and has one path for good",
            hint="open it with a list of URLs, of one if need be",
        )
