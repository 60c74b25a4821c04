"""A network namespace for one test: interfaces of its own, gone when the test is over.

Only the thread that asked is moved, so the rest of the process stays where it was and nothing has a name that
could be left behind.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import subprocess
import sys
import time
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


def _wait_for_interfaces() -> None:
    """The kernel brings interfaces up behind the back of whoever asked, and routes to groups after that."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        links = json.loads(subprocess.run(["ip", "-j", "link"], check=True, capture_output=True).stdout)
        up = {link["ifname"] for link in links if "UP" in link["flags"] and link["ifname"] != "lo"}
        route = ["ip", "-6", "-j", "route", "show", "table", "local", "type", "multicast"]
        routes = json.loads(subprocess.run(route, check=True, capture_output=True).stdout or b"[]")
        if up <= {route["dev"] for route in routes} and all(
            link["operstate"] == "UP" for link in links if link["ifname"] in up
        ):
            return
        time.sleep(0.02)
    raise TimeoutError("the interfaces do not come up")


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
        _wait_for_interfaces()
        trio.run(bounded)

    with ThreadPoolExecutor(1) as executor:
        executor.submit(inside).result()
