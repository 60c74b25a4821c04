"""Tests against real peers fail where a peer is missing: a skipped one would look like a passed one.

Where the machine lets us, each process of the run has a network of its own: ports of two workers never meet, and
multicast groups stay inside.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import nullcontext

import pytest

from tests.net.namespace import can_make_namespaces, own_network

# Where Debian has them.
PACKAGES = {
    "ristsender": "rist-tools",
    "ristreceiver": "rist-tools",
    "ffmpeg": "ffmpeg",
    "tshark": "tshark",
    # With gstreamer1.0-plugins-base, -good (rtpst2022-1-fecdec and -fecenc) and -bad.
    "gst-launch-1.0": "gstreamer1.0-tools",
}


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs(program, ...): the programs that a test runs")


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers("needs"):
        missing = [name for name in mark.args if shutil.which(name) is None]
        if missing:
            packages = sorted({PACKAGES.get(name, name) for name in missing})
            pytest.fail(f"{', '.join(missing)} missing: install {' '.join(packages)}", pytrace=False)


@pytest.fixture(scope="session", autouse=True)
def network_of_its_own() -> Iterator[None]:
    """A loopback that nobody else on this machine can reach."""
    with own_network() if can_make_namespaces else nullcontext():
        yield
