"""A network namespace for one test: interfaces of its own, gone when the test is over.

Only the thread that asked is moved, so the rest of the process stays where it was and nothing has a name that
could be left behind.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import pytest
import trio

_CLONE_NEWNET: Final = 0x40000000

needs_namespace = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0 or not (shutil.which("ip") and shutil.which("tc")),
    reason="makes a network namespace: Linux, root and iproute2",
)


def run_in_namespace(setup: str, test: Callable[[], Awaitable[Any]], *, seconds: float = 10) -> None:
    """Run *test* in a namespace of its own, after the command lines of *setup* (loopback is up already)."""

    async def bounded() -> None:
        with trio.fail_after(seconds):
            await test()

    def inside() -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(_CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "unshare")
        for line in ["ip link set lo up", *setup.strip().splitlines()]:
            subprocess.run(line.split(), check=True, capture_output=True)
        trio.run(bounded)

    with ThreadPoolExecutor(1) as executor:
        executor.submit(inside).result()
