"""A file's way over SRT, shown: a bar on a terminal, a line at the end elsewhere, JSON for programs."""

from __future__ import annotations

import json
import signal
import sys

import trio
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from terzetto.driver.nursery import open_session_nursery
from terzetto.gateway.transfer import Transfer
from terzetto.srt.files import SrtTransfer

__all__ = ["run_transfer"]

_INTERRUPTED = 130


async def run_transfer(transfer: Transfer, as_json: bool) -> int:
    """Move the file; the exit status."""
    results: list[SrtTransfer] = []
    console = Console(stderr=True, highlight=False)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=as_json or not console.is_terminal,
    )
    task: TaskID = bar.add_task(transfer.path.name, total=None)
    async with open_session_nursery() as nursery:
        await nursery.start(_mind_signals, nursery.cancel_scope)
        with bar:
            results.append(
                await transfer.run(lambda done, total: bar.update(task, completed=done, total=total))
            )
        nursery.cancel_scope.cancel()
    if not results:
        return _INTERRUPTED
    _tell(transfer, results[0], as_json=as_json)
    return 0


async def _mind_signals(
    scope: trio.CancelScope, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        task_status.started()
        async for _ in signals:
            scope.cancel()
            return


def _tell(transfer: Transfer, result: SrtTransfer, *, as_json: bool) -> None:
    rate = result.size * 8 / max(result.seconds, 1e-9)
    if as_json:
        told = {
            "event": "transferred",
            "direction": "sent" if transfer.sends else "received",
            "path": str(result.path),
            "size": result.size,
            "sha256": result.sha256,
            "seconds": round(result.seconds, 3),
            "bitrate": round(rate),
        }
        print(json.dumps(told), flush=True)
        return
    word = "sent" if transfer.sends else "received"
    print(
        f"{word} {result.path}: {result.size} bytes in {result.seconds:.1f} s ({rate / 1e6:.1f} Mbit/s)\n"
        f"sha256 {result.sha256}",
        file=sys.stderr,
        flush=True,
    )
