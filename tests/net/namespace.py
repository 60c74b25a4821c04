"""A network namespace for one test, or for all of a process: interfaces of its own, gone when they are over.

Only the thread that asked is moved (and what it starts afterwards), so the rest of the process stays where it was and
nothing has a name that could be left behind.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Final
from unittest import mock

import pytest
import trio
from trio._core import _thread_cache

_CLONE_NEWNET: Final = 0x40000000

can_make_namespaces: Final = bool(
    sys.platform == "linux" and os.geteuid() == 0 and shutil.which("ip") and shutil.which("tc")
)

needs_namespace = pytest.mark.skipif(
    not can_make_namespaces,
    reason="makes a network namespace: Linux, root and iproute2",
)


# What a machine's own loopback lacks: groups. Here nobody else hears them.
_LOOPBACK: Final = ("ip link set lo multicast on", "ip link set lo up")


def _ask_kernel(call: str, *arguments: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, call)(*arguments) != 0:
        raise OSError(ctypes.get_errno(), call)


def _own_threads() -> AbstractContextManager[object]:
    """Let trio start threads of our own: an idle one that it kept (and starts programs in) lives in another network."""
    return mock.patch.object(_thread_cache, "THREAD_CACHE", _thread_cache.ThreadCache())


@contextmanager
def own_network() -> Iterator[None]:
    """Move this thread, and what it starts, to a network of its own with nothing but a loopback."""
    with Path("/proc/thread-self/ns/net").open("rb") as before, _own_threads():
        _ask_kernel("unshare", _CLONE_NEWNET)
        try:
            for line in _LOOPBACK:
                subprocess.run(line.split(), check=True, capture_output=True)
            yield
        finally:
            _ask_kernel("setns", before.fileno(), _CLONE_NEWNET)


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
        _ask_kernel("unshare", _CLONE_NEWNET)
        for line in ["ip link set lo up", *setup.strip().splitlines()]:
            subprocess.run(line.split(), check=True, capture_output=True)
        _wait_for_interfaces()
        with _own_threads():
            trio.run(bounded)

    with ThreadPoolExecutor(1) as executor:
        executor.submit(inside).result()
